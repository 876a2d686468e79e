//! Request bodies: read within the limit, decoded, and compared with the path.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use super::Call;
use crate::wire::body::{self, Decoded, Expected, MediaType};
use crate::wire::status::Status;

/// The largest body, in bytes.
pub const LIMIT: usize = 3 << 20;

/// The format of the body.
pub fn media_type(headers: &HeaderMap) -> Result<MediaType, Status> {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    MediaType::of(text)
}

/// The whole body.
pub async fn read(incoming: Incoming) -> Result<Bytes, Status> {
    match Limited::new(incoming, LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Status::too_large(LIMIT)),
        Err(error) => Err(Status::bad_request(format!(
            "unable to read the request's body: {error}"
        ))),
    }
}

/// The body as JSON, whatever it is about.
pub fn value(media: MediaType, bytes: &[u8]) -> Result<Value, Status> {
    Ok(body::decode(media, bytes)?.value)
}

/// The body as an object of the kind in the path.
pub fn object(call: &Call<'_>, media: MediaType, bytes: &[u8]) -> Result<Decoded, Status> {
    let expected = Expected {
        group_version: &call.resource.group_version,
        kind: &call.resource.stored.kind,
    };
    body::decode_object(media, bytes, &expected)
}
