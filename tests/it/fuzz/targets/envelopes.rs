//! Stored values that are encrypted, and the configuration of their keys: `edit:` before an input means changes of a sealed
//! value, as pairs of place and byte; `configuration:` a file; anything else a value that somebody put into the storage.

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bulward::storage::encrypted::{Ring, is_encrypted, key_name, parse};
use bytes::Bytes;

const KEY: &str = "/bulward/organizations/acme";
const VALUE: &[u8] = br#"{"spec":{"owners":[{"kind":"User","name":"alice"}]}}"#;

fn ring(names: &[&str], identity: bool) -> Ring {
    let key = |name: &&str| {
        let secret = BASE64_STANDARD.encode([u8::try_from(name.len()).expect("a short name"); 32]);
        format!("{{name: {name}, secret: {secret}}}")
    };
    let keys: Vec<String> = names.iter().map(key).collect();
    let identity = if identity { ", {identity: {}}" } else { "" };
    let text = format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: ['*.*']\n  \
         providers: [{{aesgcm: {{keys: [{}]}}}}{identity}]\n",
        keys.join(", ")
    );
    parse(&text).unwrap_or_else(|why| panic!("{why}: {text}"))
}

struct World {
    strict: Ring,
    lenient: Ring,
    sealed: Bytes,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let strict = ring(&["one", "three"], false);
    let sealed = strict.seal(KEY, &Bytes::from_static(VALUE)).expect("sealed");
    World {
        strict,
        lenient: ring(&["three", "one"], true),
        sealed,
    }
});

pub(super) fn target(data: &[u8]) -> bool {
    let world = &*WORLD;
    if let Some(text) = data.strip_prefix(b"configuration:") {
        return configuration(&String::from_utf8_lossy(text));
    }
    let (value, edited) = match data.strip_prefix(b"edit:") {
        Some(edits) => {
            let mut value = world.sealed.to_vec();
            for edit in edits.chunks_exact(2) {
                let at = usize::from(edit[0]) % value.len();
                value[at] ^= edit[1];
            }
            (Bytes::from(value), true)
        }
        None => (Bytes::copy_from_slice(data), false),
    };
    match world.strict.open(KEY, value.clone()) {
        Ok(opened) => assert!(
            value == world.sealed && opened == VALUE,
            "a value that was never sealed"
        ),
        Err(why) => {
            let why = why.to_string();
            assert!(value != world.sealed && why.contains(KEY), "{why}");
            assert!(why.len() < 1_024 && !why.contains("alice"), "{why}");
        }
    }
    // Plain text is what does not look encrypted, and is then nothing else.
    match world.lenient.open(KEY, value.clone()) {
        Ok(opened) if is_encrypted(&value) => assert!(value == world.sealed && opened == VALUE),
        Ok(opened) => assert_eq!(opened, value),
        Err(_) => assert!(is_encrypted(&value)),
    }
    if let Some(name) = key_name(&value) {
        assert!(is_encrypted(&value) && name.len() <= 3 * 256, "{name:?}");
    }
    // Whatever is stored comes back, under its own key alone.
    let sealed = world.strict.seal(KEY, &value).expect("sealed");
    assert!(is_encrypted(&sealed) && world.strict.is_current(&sealed) && !world.lenient.is_current(&sealed));
    assert_eq!(key_name(&sealed).as_deref(), Some("one"));
    assert_eq!(world.strict.open(KEY, sealed.clone()).expect("ours"), value);
    assert_eq!(world.lenient.open(KEY, sealed.clone()).expect("ours"), value);
    world
        .strict
        .open("/bulward/organizations/other", sealed)
        .expect_err("another place");
    edited
}

/// One line that says what is wrong, and quotes no secret.
fn configuration(text: &str) -> bool {
    match parse(text) {
        Ok(ring) => {
            assert!(!ring.first().is_empty());
            true
        }
        Err(why) => {
            assert!(!why.is_empty() && !why.contains('\n'), "{why:?}");
            for (at, mark) in text.match_indices("secret: ") {
                let rest = &text[at + mark.len()..];
                let secret = rest
                    .split(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c))
                    .next();
                // What stands elsewhere as well is none.
                let secret = secret.filter(|secret| secret.len() >= 16 && text.matches(secret).count() == 1);
                // Nor is what the texts say by themselves.
                let secret = secret.filter(|secret| !"EncryptionConfiguration".contains(secret));
                assert!(secret.is_none_or(|secret| !why.contains(secret)), "{why}");
            }
            false
        }
    }
}
