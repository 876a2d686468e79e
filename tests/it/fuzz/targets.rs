//! The targets: each looks at some bytes in every way that matters, panics if something is wrong, and says whether it
//! understood them.
//!
//! The paths are written out because `benches/fuzz` takes this file by its path, too.

#[path = "targets/applies.rs"]
mod applies;
#[path = "targets/bodies.rs"]
mod bodies;
#[path = "targets/credentials.rs"]
mod credentials;
#[path = "targets/envelopes.rs"]
mod envelopes;
#[path = "targets/expressions.rs"]
mod expressions;
#[path = "targets/fields.rs"]
mod fields;
#[path = "targets/headers.rs"]
mod headers;
#[path = "targets/impersonations.rs"]
mod impersonations;
#[path = "targets/introductions.rs"]
mod introductions;
#[path = "targets/messages.rs"]
mod messages;
#[path = "targets/negotiations.rs"]
mod negotiations;
#[path = "targets/objects.rs"]
mod objects;
#[path = "targets/patches.rs"]
mod patches;
#[path = "targets/policies.rs"]
mod policies;
#[path = "targets/requests.rs"]
mod requests;
#[path = "targets/reviews.rs"]
mod reviews;
#[path = "targets/selectors.rs"]
mod selectors;
#[path = "targets/tokens.rs"]
mod tokens;

/// A target.
pub(crate) type Target = fn(&[u8]) -> bool;

/// All of them, by name; a folder of `corpus/` has the same.
pub(crate) const ALL: [(&str, Target); 17] = [
    ("applies", applies::target),
    ("bodies", bodies::target),
    ("credentials", credentials::target),
    ("envelopes", envelopes::target),
    ("expressions", expressions::target),
    ("fields", fields::target),
    ("impersonations", impersonations::target),
    ("introductions", introductions::target),
    ("messages", messages::target),
    ("negotiations", negotiations::target),
    ("objects", objects::target),
    ("patches", patches::target),
    ("policies", policies::target),
    ("requests", requests::target),
    ("reviews", reviews::target),
    ("selectors", selectors::target),
    ("tokens", tokens::target),
];

/// Two parts of an input, by a line of dashes.
fn parts(data: &[u8]) -> Option<(&[u8], &[u8])> {
    const BETWEEN: &[u8] = b"\n----\n";
    let at = data.windows(BETWEEN.len()).position(|window| window == BETWEEN)?;
    Some((&data[..at], &data[at + BETWEEN.len()..]))
}
