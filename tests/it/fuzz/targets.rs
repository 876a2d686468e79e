//! The targets: each looks at some bytes in every way that matters, panics if something is wrong, and says whether it
//! understood them.
//!
//! The paths are written out because `benches/fuzz` takes this file by its path, too.

#[path = "targets/applies.rs"]
mod applies;
#[path = "targets/bodies.rs"]
mod bodies;
#[path = "targets/fields.rs"]
mod fields;
#[path = "targets/introductions.rs"]
mod introductions;
#[path = "targets/patches.rs"]
mod patches;
#[path = "targets/requests.rs"]
mod requests;
#[path = "targets/selectors.rs"]
mod selectors;
#[path = "targets/tokens.rs"]
mod tokens;

/// A target.
pub(crate) type Target = fn(&[u8]) -> bool;

/// All of them, by name; a folder of `corpus/` has the same.
pub(crate) const ALL: [(&str, Target); 8] = [
    ("requests", requests::target),
    ("selectors", selectors::target),
    ("bodies", bodies::target),
    ("patches", patches::target),
    ("fields", fields::target),
    ("applies", applies::target),
    ("tokens", tokens::target),
    ("introductions", introductions::target),
];

/// Two parts of an input, by a line of dashes.
fn parts(data: &[u8]) -> Option<(&[u8], &[u8])> {
    const BETWEEN: &[u8] = b"\n----\n";
    let at = data.windows(BETWEEN.len()).position(|window| window == BETWEEN)?;
    Some((&data[..at], &data[at + BETWEEN.len()..]))
}
