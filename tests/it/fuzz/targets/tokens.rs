//! Continue tokens: those that were not made here, or for another list, are refused.
//!
//! An input is a text to try as a token; `edit:` before it means changes of a real one, as pairs of place and byte.

use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bulward::rest::paging::{Position, Sealer};
use bulward::storage::memory::Memory;

const SCOPE: &str = "projects/acme/alice";

struct World {
    runtime: tokio::runtime::Runtime,
    sealer: Sealer,
    position: Position,
    token: String,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let sealer = Sealer::new(Arc::new(Memory::new()));
    let position = Position {
        revision: Some(815),
        after: "projects/acme/web".to_owned(),
    };
    let token = runtime.block_on(sealer.seal(&position, SCOPE)).expect("a token");
    World {
        runtime,
        sealer,
        position,
        token,
    }
});

pub(super) fn target(data: &[u8]) -> bool {
    let world = &*WORLD;
    let (token, edited) = match data.strip_prefix(b"edit:") {
        Some(edits) => {
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&world.token).expect("ours");
            for edit in edits.chunks_exact(2) {
                let at = usize::from(edit[0]) % bytes.len();
                bytes[at] ^= edit[1];
            }
            (BASE64_URL_SAFE_NO_PAD.encode(bytes), true)
        }
        None => (String::from_utf8_lossy(data).into_owned(), false),
    };
    let open = |token: &str, scope: &str| world.runtime.block_on(world.sealer.open(token, scope));
    match open(&token, SCOPE) {
        Ok(position) => {
            assert_eq!(token, world.token, "a token that was never made");
            assert_eq!(position, world.position);
            open(&token, "projects/acme/bob").expect_err("another one's list");
        }
        Err(status) => {
            assert_ne!(token, world.token);
            assert_eq!(status.code, 400, "{status:?}");
            assert!(!status.message.contains("acme"), "{status:?}");
        }
    }
    // A token of this very moment opens, whatever the position says.
    if let Ok(text) = std::str::from_utf8(data) {
        let position = Position {
            revision: None,
            after: text.to_owned(),
        };
        let sealed = world
            .runtime
            .block_on(world.sealer.seal(&position, text))
            .expect("a token");
        assert_eq!(open(&sealed, text).expect("ours"), position);
        assert!(open(&sealed, &format!("{text}x")).is_err());
    }
    edited
}
