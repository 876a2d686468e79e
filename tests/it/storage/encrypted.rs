//! Encrypted values over any storage: the same suite, and what is particular to it.

use std::sync::Arc;

use base64::Engine;
use bulward::storage::encrypted::{Encrypted, Keys, is_encrypted, parse};
use bulward::storage::memory::Memory;
use bulward::storage::{Error, Expect, ListRequest, Storage};

use super::conformance::{end, entry, next, put, within, write};

/// An EncryptionConfiguration of these keys, `identity` behind them if plain text is to be read as well.
pub(super) fn configuration(names: &[&str], identity: bool) -> String {
    let secret = |name: &str| base64::prelude::BASE64_STANDARD.encode(format!("{name:->32}"));
    let key = |name: &&str| format!("      - name: {name}\n        secret: {}\n", secret(name));
    let keys: String = names.iter().map(key).collect();
    let identity = if identity { "  - identity: {}\n" } else { "" };
    format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: ['*.*']\n  \
         providers:\n  - aesgcm:\n      keys:\n{keys}{identity}"
    )
}

fn keys(names: &[&str]) -> Arc<Keys> {
    let ring = parse(&configuration(names, false)).unwrap_or_else(|why| panic!("{why}"));
    Arc::new(Keys::new(ring))
}

mod over_memory {
    use super::*;

    async fn open() -> (Arc<dyn Storage>, ()) {
        let inner = Arc::new(Memory::new());
        (Arc::new(Encrypted::new(inner, keys(&["one"]))), ())
    }

    crate::storage::conformance::suite!(open());
}

mod over_a_file {
    use bulward::storage::embedded::{Embedded, Options};
    use tempfile::TempDir;

    use super::*;

    async fn open() -> (Arc<dyn Storage>, TempDir) {
        let folder = TempDir::new().expect("a temporary folder");
        let inner = Embedded::open(folder.path(), Options::default()).await;
        let inner = Arc::new(inner.expect("a new storage"));
        (Arc::new(Encrypted::new(inner, keys(&["one"]))), folder)
    }

    crate::storage::conformance::suite!(open());
}

#[tokio::test]
async fn nothing_readable_reaches_the_storage_behind() {
    let inner = Arc::new(Memory::new());
    let storage = Encrypted::new(inner.clone(), keys(&["one"]));
    let revision = write(&storage, "organizations/acme", "a secret of theirs").await;
    let stored = inner.get("organizations/acme").await.unwrap().unwrap();
    assert!(is_encrypted(&stored.value) && !String::from_utf8_lossy(&stored.value).contains("secret"));
    assert_eq!(
        storage.get("organizations/acme").await.unwrap(),
        Some(entry("organizations/acme", "a secret of theirs", revision))
    );
}

#[tokio::test]
async fn a_value_that_no_key_opens_fails_what_needs_it_and_nothing_else() {
    let inner = Arc::new(Memory::new());
    let ours = keys(&["one"]);
    let storage = Encrypted::new(inner.clone(), ours.clone());
    let foreign = Encrypted::new(inner, keys(&["two"]));
    let start = write(&storage, "a", "1").await;
    let mut watch = storage.watch("", start).await.unwrap();
    let bad = write(&foreign, "b", "2").await;
    let last = write(&storage, "c", "3").await;

    let tells = |error: Error| match error {
        Error::Failed(why) => assert!(why.contains("key b: ") && why.contains("\"two\""), "{why}"),
        other => panic!("{other:?}"),
    };
    assert!(storage.get("a").await.unwrap().is_some());
    assert!(storage.get("c").await.unwrap().is_some());
    tells(storage.get("b").await.unwrap_err());
    tells(storage.list(ListRequest::default()).await.unwrap_err());
    tells(storage.commit(vec![put("b", Expect::Absent, "x")]).await.unwrap_err());
    tells(within(end(&mut watch)).await);

    // With the key it is there, and a watch goes on from where it was.
    ours.replace(parse(&configuration(&["one", "two"], false)).unwrap_or_else(|why| panic!("{why}")));
    let mut watch = storage.watch("", start).await.unwrap();
    assert_eq!(within(next(&mut watch)).await.revision, bad);
    assert_eq!(within(next(&mut watch)).await.revision, last);
    assert_eq!(storage.get("b").await.unwrap(), Some(entry("b", "2", bad)));
}
