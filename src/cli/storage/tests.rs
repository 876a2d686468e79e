use std::sync::Arc;

use bytes::Bytes;

use super::file::{self, Values, Writer};
use super::findings::{Level, findings};
use super::import::{MARK, import};
use super::reencrypt::reencrypt;
use super::{Failure, Opened};
use crate::storage::encrypted::{Encrypted, Keys, is_encrypted, parse};
use crate::storage::memory::Memory;
use crate::storage::{Entry, ListRequest, Storage};

fn keys(names: &[&str]) -> Arc<Keys> {
    let key = |name: &&str| format!("{{name: {name}, secret: {}}}", base64(name));
    let keys: Vec<String> = names.iter().map(key).collect();
    let text = format!(
        "{{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: [{{resources: ['*.*'], \
         providers: [{{aesgcm: {{keys: [{}]}}}}, {{identity: {{}}}}]}}]}}",
        keys.join(", ")
    );
    Arc::new(Keys::new(parse(&text).unwrap_or_else(|why| panic!("{why}"))))
}

fn base64(name: &str) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(format!("{name:->32}"))
}

fn entry(key: &str, value: &str) -> Entry {
    Entry {
        key: key.to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
        revision: 7,
    }
}

fn organization(name: &str, uid: &str, namespace: Option<&str>) -> String {
    let status = namespace.map_or("{}".to_owned(), |name| {
        format!(r#"{{"namespace":{{"name":"{name}"}}}}"#)
    });
    format!(
        r#"{{"metadata":{{"name":"{name}","uid":"{uid}"}},"spec":{{"owners":[{{"kind":"User","name":"alice","apiGroup":"rbac.authorization.k8s.io"}}]}},"status":{status}}}"#
    )
}

fn whole() -> Vec<Entry> {
    vec![
        entry(
            "claims/namespaces/acme",
            r#"{"resource":"organizations","key":"acme","uid":"u1"}"#,
        ),
        entry("organizations/acme", &organization("acme", "u1", Some("acme"))),
        entry("sealing/continue", r#"{"keys":[]}"#),
    ]
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::start(&mut out, 41, Values::Plain).unwrap();
    entries.iter().for_each(|entry| writer.entry(entry).unwrap());
    assert_eq!(writer.finish().unwrap(), entries.len());
    out
}

fn export(entries: &[Entry]) -> file::Export {
    file::read(&*written(entries)).unwrap()
}

async fn everything(storage: &dyn Storage) -> Vec<(String, Bytes)> {
    let page = storage.list(ListRequest::default()).await.unwrap();
    page.entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

#[test]
fn a_file_holds_the_very_bytes() {
    let odd = [
        "null",
        "{ \"a\" : 1.0e5 }",
        "{\"a\":\n1}",
        "",
        "not json",
        " {}",
        "k8s:enc:aesgcm:v1:x:\u{1}",
        "\"é\"",
    ];
    let entries: Vec<Entry> = odd
        .iter()
        .enumerate()
        .map(|(index, value)| entry(&format!("k{index}"), value))
        .collect();
    let read = export(&entries);
    assert_eq!(read.entries, entries);
    assert_eq!((read.revision, read.values), (41, Values::Plain));
}

#[test]
fn a_file_that_was_cut_or_changed_is_refused() {
    let text = written(&whole());
    for cut in 0..text.len() - 1 {
        assert!(file::read(&text[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..text.len() - 1 {
        let mut bent = text.clone();
        bent[at] ^= 1;
        // The foot's own number and sum are checked against what stands before; spaces may change there.
        assert!(
            file::read(&*bent).is_err(),
            "changed at {at}: {}",
            String::from_utf8_lossy(&bent)
        );
    }
    let more = [&*text, b"{}\n"].concat();
    assert!(file::read(&*more).is_err());
}

#[tokio::test]
async fn an_import_is_exact_and_goes_beyond_old_revisions() {
    let storage = Memory::new();
    let file = export(&whole());
    import(&storage, &file, false, 500).await.unwrap();
    let wanted: Vec<_> = whole().into_iter().map(|entry| (entry.key, entry.value)).collect();
    assert_eq!(everything(&storage).await, wanted);
    assert!(storage.current_revision().await.unwrap() > 541);
    // A second one finds something there.
    let Err(Failure::Runtime(why)) = import(&storage, &file, false, 500).await else {
        panic!()
    };
    assert!(why.contains("--overwrite"), "{why}");
    let before = storage.current_revision().await.unwrap();
    storage
        .create("organizations/other", Bytes::from_static(b"{}"))
        .await
        .unwrap();
    import(&storage, &file, true, 0).await.unwrap();
    assert_eq!(everything(&storage).await.len(), 4, "what the file does not have stays");
    assert!(
        storage.current_revision().await.unwrap() < before + 20,
        "the revision was far enough"
    );
}

#[tokio::test]
async fn an_import_that_was_broken_off_goes_on_with_the_same_file_only() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let encrypted = Encrypted::new(storage.clone(), keys(&["one"]));
    let file = export(&whole());
    let mark = format!("{{\"sha256\":\"{}\"}}", file.digest);
    encrypted.create(MARK, mark.into()).await.unwrap();
    encrypted
        .create(&file.entries[1].key, file.entries[1].value.clone())
        .await
        .unwrap();
    let other = export(&whole()[1..]);
    let Err(Failure::Runtime(why)) = import(&encrypted, &other, false, 0).await else {
        panic!()
    };
    assert!(why.contains("another file"), "{why}");
    import(&encrypted, &file, false, 0).await.unwrap();
    assert_eq!(everything(&encrypted).await.len(), 3);
    assert!(everything(&*storage).await.iter().all(|(_, value)| is_encrypted(value)));
}

#[tokio::test]
async fn reencrypt_changes_what_is_not_current_and_no_content() {
    let stored: Arc<dyn Storage> = Arc::new(Memory::new());
    stored.create("plain", Bytes::from_static(b"{\"n\":0}")).await.unwrap();
    let old = Encrypted::new(stored.clone(), keys(&["one"]));
    for n in 0..40 {
        old.create(&format!("k{n}"), Bytes::from(format!("{{\"n\":{n}}}")))
            .await
            .unwrap();
    }
    let lost = Encrypted::new(stored.clone(), keys(&["lost"]));
    lost.create("lost", Bytes::from_static(b"{}")).await.unwrap();
    let before = everything(&*stored).await;

    let opened = Opened {
        stored: stored.clone(),
        keys: Some(keys(&["two", "one"])),
        shared: true,
    };
    let done = reencrypt(&opened).await.unwrap();
    assert_eq!((done.written, done.current), (41, 0));
    assert_eq!(done.unreadable.len(), 1);
    assert!(
        done.unreadable[0].contains("key lost: ") && done.unreadable[0].contains("\"lost\""),
        "{done:?}"
    );
    let newest = stored.current_revision().await.unwrap();
    let again = reencrypt(&opened).await.unwrap();
    assert_eq!((again.written, again.current), (0, 41));
    assert_eq!(stored.current_revision().await.unwrap(), newest);

    let reads = keys(&["two"]);
    for (key, value) in everything(&*stored).await {
        let old = before.iter().find(|(own, _)| *own == key).unwrap();
        match key.as_str() {
            "lost" => assert_eq!(value, old.1, "left as it is"),
            _ => assert_eq!(
                reads.ring().open(&key, value).unwrap(),
                keys(&["one"]).ring().open(&key, old.1.clone()).unwrap()
            ),
        }
    }
}

fn found(entries: Vec<Entry>) -> Vec<(Level, String)> {
    let entries = entries.into_iter().map(|entry| (entry.key, Ok(entry.value)));
    let found = findings(entries.collect());
    found.into_iter().map(|one| (one.level, one.to_string())).collect()
}

#[test]
fn a_whole_store_has_no_findings() {
    assert_eq!(found(whole()), []);
}

#[test]
fn every_fault_is_found() {
    let acme = || organization("acme", "u1", None);
    let cases: Vec<(Entry, &str)> = vec![
        (entry("organizations/acme", "{"), "not JSON"),
        (entry("organizations/acme", "{}"), "no metadata"),
        (entry("organizations/other", &acme()), "another name"),
        (entry("organizations/acme", &organization("acme", "", None)), "no uid"),
        (entry("organisations/acme", &acme()), "belongs to no kind"),
        (
            entry("organizations/acme", &organization("acme", "u1", Some("acme"))),
            "not claimed",
        ),
        (
            entry(
                "claims/namespaces/x",
                r#"{"resource":"organizations","key":"x","uid":"u"}"#,
            ),
            "not there",
        ),
        (entry(MARK, "{}"), "broken off"),
    ];
    for (entry, what) in cases {
        let found = found(vec![entry]);
        assert_eq!(found.len(), 1, "{what}: {found:?}");
        assert!(
            found[0].0 == Level::Fault && found[0].1.contains(what),
            "{what}: {found:?}"
        );
    }
    let mut twice = whole();
    twice.push(entry("organizations/copy", &organization("copy", "u1", None)));
    assert!(found(twice)[0].1.contains("uid of organizations/acme"));
    let mut other = whole();
    other[1] = entry("organizations/acme", &organization("acme", "u2", Some("acme")));
    let other = found(other);
    assert!(other.iter().any(|one| one.1.contains("another uid")), "{other:?}");
    assert!(
        other.iter().any(|one| one.1.contains("claimed by another")),
        "{other:?}"
    );
    let mut moved = whole();
    moved[1] = entry("organizations/acme", &acme());
    assert!(found(moved)[0].1.contains("does not have this namespace"));
}

#[tokio::test]
async fn what_cannot_be_opened_is_a_fault_of_its_key() {
    let stored: Arc<dyn Storage> = Arc::new(Memory::new());
    let lost = Encrypted::new(stored.clone(), keys(&["lost"]));
    lost.create("organizations/acme", Bytes::from_static(b"{}"))
        .await
        .unwrap();
    let entry = stored.get("organizations/acme").await.unwrap().unwrap();
    for (keys, why) in [
        (Some(keys(&["one"])), "\"lost\""),
        (None, "give --encryption-provider-config"),
    ] {
        let opened = Opened {
            stored: stored.clone(),
            keys,
            shared: true,
        };
        let found = findings([(entry.key.clone(), opened.open(&entry))].into());
        assert_eq!(found.len(), 1);
        let line = found[0].to_string();
        let rest = line.strip_prefix("fault: organizations/acme: ").unwrap();
        assert!(rest.contains(why) && !rest.contains("organizations/acme"), "{line}");
    }
}

/// A key's name says nothing of its secret.
#[tokio::test]
async fn another_secret_under_the_same_name_is_told() {
    let stored: Arc<dyn Storage> = Arc::new(Memory::new());
    let secret = |text: &str| {
        let providers = format!("[{{aesgcm: {{keys: [{{name: one, secret: {}}}]}}}}]", base64(text));
        let text = format!(
            "{{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, \
             resources: [{{resources: ['*.*'], providers: {providers}}}]}}"
        );
        Arc::new(Keys::new(parse(&text).unwrap_or_else(|why| panic!("{why}"))))
    };
    let before = Encrypted::new(stored.clone(), secret("before"));
    before
        .create("organizations/acme", Bytes::from_static(b"{}"))
        .await
        .unwrap();
    let opened = Opened {
        stored,
        keys: Some(secret("after")),
        shared: true,
    };
    let done = reencrypt(&opened).await.unwrap();
    assert_eq!(
        (done.written, done.current, done.unreadable.len()),
        (0, 0, 1),
        "{done:?}"
    );
}

#[tokio::test]
async fn a_revision_far_away_is_not_written_towards() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let Err(Failure::Runtime(why)) = import(&*storage, &export(&whole()), false, 2_000_000).await else {
        panic!()
    };
    assert!(why.contains("--bump-revision="), "{why}");
    assert!(everything(&*storage).await.is_empty());
}
