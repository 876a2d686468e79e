//! Response bodies: one boxed type, whether the bytes are there already or still to come.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};

/// Why a streaming body broke off; the connection (or the HTTP/2 stream) is then reset, so that the client cannot
/// take what it got for the whole.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Every response's body.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A body whose bytes are all there; it carries a Content-Length.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// No bytes.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}
