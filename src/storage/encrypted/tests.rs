use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::keys::key_name;
use super::{Keys, Ring, is_encrypted, parse};
use crate::storage::Error;

const FIRST: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const SECOND: &str = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

fn file(providers: &str) -> String {
    format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: ['*.*']\n  providers:\n{providers}"
    )
}

fn aesgcm(keys: &[(&str, &str)]) -> String {
    let keys = keys
        .iter()
        .map(|(name, secret)| format!("      - {{name: {name}, secret: {secret}}}\n"));
    format!("  - aesgcm:\n      keys:\n{}", keys.collect::<String>())
}

fn ring(providers: &str) -> Ring {
    parse(&file(providers)).unwrap_or_else(|why| panic!("{why}"))
}

fn refused(text: &str) -> String {
    match parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(why) => why,
    }
}

fn failure(ring: &Ring, key: &str, value: &Bytes) -> String {
    match ring.open(key, value.clone()) {
        Err(Error::Failed(why)) => why,
        other => panic!("{other:?}"),
    }
}

const VALUE: &[u8] = br#"{"metadata":{"name":"acme"},"spec":{"displayName":"a secret of theirs"}}"#;

fn value() -> Bytes {
    Bytes::from_static(VALUE)
}

#[test]
fn the_first_key_seals_and_every_key_opens() {
    let old = ring(&aesgcm(&[("one", FIRST)]));
    let new = ring(&aesgcm(&[("two", SECOND), ("one", FIRST)]));
    let sealed = old.seal("organizations/acme", &value()).unwrap();
    assert!(sealed.starts_with(b"k8s:enc:aesgcm:v1:one:"));
    assert_eq!(key_name(&sealed).as_deref(), Some("one"));
    assert!(!sealed.windows(6).any(|window| window == b"secret"));
    assert_eq!(new.open("organizations/acme", sealed.clone()).unwrap(), value());
    assert!(old.is_current(&sealed) && !new.is_current(&sealed));
    let again = new.seal("organizations/acme", &value()).unwrap();
    assert!(again.starts_with(b"k8s:enc:aesgcm:v1:two:") && new.is_current(&again));
    assert_eq!(new.open("organizations/acme", again.clone()).unwrap(), value());
    let why = failure(&old, "organizations/acme", &again);
    assert!(why.contains("organizations/acme") && why.contains("\"two\""), "{why}");
}

#[test]
fn the_form_is_that_of_kubernetes() {
    // As k8s.io/apiserver pkg/storage/value/encrypt/aes writes it: the header, 12 bytes of nonce, the sealed bytes, the tag,
    // with the storage key as additional data. OpenSSL, which shares no code with ours, opens it.
    let sealed = ring(&aesgcm(&[("one", FIRST)]))
        .seal("organizations/acme", &value())
        .unwrap();
    let body = &sealed[b"k8s:enc:aesgcm:v1:one:".len()..];
    let (nonce, rest) = body.split_at(12);
    let (cipher, tag) = rest.split_at(rest.len() - 16);
    let opened = openssl::symm::decrypt_aead(
        openssl::symm::Cipher::aes_256_gcm(),
        b"0123456789abcdef0123456789abcdef",
        Some(nonce),
        b"organizations/acme",
        cipher,
        tag,
    );
    assert_eq!(opened.unwrap(), VALUE);
}

#[test]
fn a_value_belongs_to_its_key() {
    let ring = ring(&aesgcm(&[("one", FIRST)]));
    let sealed = ring.seal("organizations/acme", &value()).unwrap();
    let why = failure(&ring, "organizations/evil", &sealed);
    assert!(why.contains("organizations/evil") && why.contains("\"one\""), "{why}");
}

#[test]
fn no_change_of_a_value_goes_unnoticed_or_panics() {
    let ring = ring(&aesgcm(&[("one", FIRST)]));
    let sealed = ring.seal("k", &value()).unwrap();
    for at in 0..sealed.len() {
        let mut bent = sealed.to_vec();
        bent[at] ^= 1;
        failure(&ring, "k", &bent.into());
        failure(&ring, "k", &sealed.slice(..at));
    }
}

#[test]
fn equal_values_are_stored_differently() {
    let ring = ring(&aesgcm(&[("one", FIRST)]));
    assert_ne!(ring.seal("k", &value()).unwrap(), ring.seal("k", &value()).unwrap());
}

#[test]
fn plain_text_needs_identity() {
    let strict = ring(&aesgcm(&[("one", FIRST)]));
    let why = failure(&strict, "k", &value());
    assert!(why.contains("identity") && !why.contains("acme"), "{why}");
    let taking_over = ring(&format!("{}  - identity: {{}}\n", aesgcm(&[("one", FIRST)])));
    assert_eq!(taking_over.open("k", value()).unwrap(), value());
    assert!(!taking_over.is_current(VALUE));
    assert!(is_encrypted(&taking_over.seal("k", &value()).unwrap()));
    let giving_up = ring(&format!("  - identity: {{}}\n{}", aesgcm(&[("one", FIRST)])));
    assert_eq!(giving_up.seal("k", &value()).unwrap(), value());
    assert!(giving_up.is_current(VALUE));
    let sealed = strict.seal("k", &value()).unwrap();
    assert_eq!(giving_up.open("k", sealed.clone()).unwrap(), value());
    assert!(
        giving_up.seal("k", &sealed).is_err(),
        "it would be opened when it is read"
    );
    let why = failure(&taking_over, "k", &Bytes::from_static(b"k8s:enc:kms:v2:x:y"));
    assert!(why.contains("\"kms\""), "{why}");
}

#[test]
fn what_has_no_meaning_here_is_refused_without_quoting_secrets() {
    let key = aesgcm(&[("one", FIRST)]);
    let cases = [
        (file(&key).replace("*.*", "organizations.apiserver.bulward.io"), "*.*"),
        (file(&key).replace("'*.*'", "'*.*', 'secrets'"), "*.*"),
        (
            file(&key).replace("EncryptionConfiguration", "Encryption"),
            "EncryptionConfiguration",
        ),
        (
            file(&key).replace("resources: ['*.*']", "resource: ['*.*']"),
            "resource",
        ),
        (file(&key).replace("aesgcm", "aescbc"), "only aesgcm and identity"),
        (file("  - kms: {name: x}\n"), "only aesgcm and identity"),
        (file("    []\n"), "at least one"),
        (file("  - aesgcm: {keys: []}\n"), "at least one"),
        (file(&aesgcm(&[("one", FIRST), ("one", SECOND)])), "twice"),
        (file(&aesgcm(&[("a:b", FIRST)])), "name"),
        (file(&aesgcm(&[("one", "c2VjcmV0c2VjcmV0")])), "32"),
        (file(&aesgcm(&[("one", "notbase64!")])), "base64"),
        (
            format!("{}  - identity: {{}}\n  - identity: {{}}\n", file(&key)),
            "twice",
        ),
        (format!("{}\n \u{7}: [", file(&key)), "line"),
        (String::new(), "has to be"),
    ];
    for (text, part) in cases {
        let why = refused(&text);
        assert!(why.contains(part), "{part}: {why}");
        for secret in [FIRST, SECOND, "c2VjcmV0", "notbase64"] {
            assert!(!why.contains(secret), "{why}");
        }
        assert_eq!(why.lines().count(), 1, "{why}");
    }
}

#[test]
fn a_key_that_is_used_up_refuses() {
    let used = ring(&aesgcm(&[("one", FIRST)])).having_sealed("one", (1 << 32) - 1);
    let keys = Keys::new(used);
    keys.ring().seal("k", &value()).unwrap();
    let refused = |keys: &Keys| match keys.ring().seal("k", &value()) {
        Err(Error::Failed(why)) => assert!(why.contains("\"one\" has encrypted 2^32 values"), "{why}"),
        other => panic!("{other:?}"),
    };
    refused(&keys);
    // The file is written anew: the key is the same one.
    keys.replace(ring(&aesgcm(&[("one", FIRST), ("two", SECOND)])));
    refused(&keys);
    assert_eq!(keys.sealed()[1], ("two".to_owned(), 0));
    keys.replace(ring(&aesgcm(&[("two", SECOND), ("one", FIRST)])));
    let sealed = keys.ring().seal("k", &value()).unwrap();
    assert_eq!(keys.sealed()[0], ("two".to_owned(), 1));
    assert_eq!(keys.ring().open("k", sealed).unwrap(), value());
}

/// A file that changes between the first look and the first tick is not missed, and one that does not change is not news.
#[tokio::test(start_paused = true)]
async fn a_file_is_followed_from_what_was_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("encryption.yaml");
    let write = |keys: &[(&str, &str)]| std::fs::write(&path, file(&aesgcm(keys))).unwrap();
    write(&[("one", FIRST)]);
    let keys = Arc::new(Keys::load(&path).unwrap());
    let before = keys.ring().clone();
    write(&[("two", SECOND), ("one", FIRST)]);
    let interval = Duration::from_secs(5);
    let following = tokio::spawn(Keys::follow(Arc::downgrade(&keys), path.clone(), interval));
    let changed = async |than: &Arc<Ring>| {
        while Arc::ptr_eq(&*keys.ring(), than) {
            tokio::time::sleep(interval).await;
        }
        keys.ring().first()
    };
    assert!(changed(&before).await.contains("two"));
    let second = keys.ring().clone();
    std::fs::write(&path, "nothing of the sort").unwrap();
    tokio::time::sleep(interval * 3).await;
    assert!(Arc::ptr_eq(&*keys.ring(), &second), "a bad file changes nothing");
    write(&[("one", FIRST)]);
    assert!(changed(&second).await.contains("one"));
    drop(keys);
    following.await.unwrap();
}
