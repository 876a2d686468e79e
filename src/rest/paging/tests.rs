//! Tokens: opened by every replica, by nobody else, and for nothing else.

use super::*;
use crate::storage::memory::Memory;

fn position() -> Position {
    Position {
        revision: Some(7),
        after: "secret-name".to_owned(),
    }
}

#[tokio::test]
async fn v06_every_replica_opens_every_token_and_a_restart_loses_none() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let (one, other) = (Sealer::new(storage.clone()), Sealer::new(storage.clone()));
    let token = one.seal(&position(), "organizations/").await.unwrap();
    assert_eq!(other.open(&token, "organizations/").await.unwrap(), position());
    let back = other.seal(&position(), "organizations/").await.unwrap();
    assert_eq!(one.open(&back, "organizations/").await.unwrap(), position());
    let restarted = Sealer::new(storage);
    assert_eq!(restarted.open(&token, "organizations/").await.unwrap(), position());
}

#[tokio::test]
async fn v06_a_token_says_nothing_and_is_good_for_its_own_list_alone() {
    let sealer = Sealer::new(Arc::new(Memory::new()));
    let token = sealer.seal(&position(), "organizations/").await.unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("secret"));
    assert_ne!(
        token,
        sealer.seal(&position(), "organizations/").await.unwrap(),
        "a nonce of its own"
    );
    let mut forged = bytes.clone();
    *forged.last_mut().unwrap() ^= 1;
    for (token, scope) in [
        (token.clone(), "projects/"),
        (BASE64_URL_SAFE_NO_PAD.encode(forged), "organizations/"),
        ("abc".to_owned(), "organizations/"),
        ("!".to_owned(), "organizations/"),
    ] {
        let refused = sealer.open(&token, scope).await.unwrap_err();
        assert_eq!(refused.code, 400);
        assert!(refused.message.starts_with("invalid continue token: "), "{refused}");
    }
}

#[tokio::test]
async fn v06_an_old_key_still_opens_after_the_next_one_took_over() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let before = Sealer::new(storage.clone());
    let token = before.seal(&position(), "s").await.unwrap();
    let entry = storage.get(KEY).await.unwrap().unwrap();
    let mut stored = parse(&entry).unwrap();
    stored.keys[0].created = "2020-01-01T00:00:00Z".parse().unwrap();
    let value = json::to_vec(&stored).into();
    storage.compare_and_swap(KEY, entry.revision, value).await.unwrap();

    let after = Sealer::new(storage.clone());
    assert_eq!(after.open(&token, "s").await.unwrap(), position());
    let newer = after.seal(&position(), "s").await.unwrap();
    assert_eq!(parse(&storage.get(KEY).await.unwrap().unwrap()).unwrap().keys.len(), 2);
    assert_eq!(after.open(&token, "s").await.unwrap(), position(), "both are valid");
    *before.refreshed.lock().await = None;
    assert_eq!(
        before.open(&newer, "s").await.unwrap(),
        position(),
        "the other replica learns of it"
    );
}
