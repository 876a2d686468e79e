//! Request bodies: read within the limit, decoded, and compared with the path.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde_json::Value;

use super::Call;
use crate::http::upload::Upload;
use crate::wire::body::{self, Decoded, Expected, MediaType};
use crate::wire::negotiate::{self, Format};
use crate::wire::options::manager_from_user_agent;
use crate::wire::protobuf;
use crate::wire::status::Status;

/// The largest body, in bytes.
pub const LIMIT: usize = 3 << 20;
/// How much of a body that is too large is read before the connection is given up, in bytes.
const PATIENCE: usize = 4 * LIMIT;

/// The format of the body.
pub fn media_type(headers: &HeaderMap) -> Result<MediaType, Status> {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    MediaType::of(text)
}

/// The whole body.
///
/// # Errors
/// 413 over [`LIMIT`]. What is not much too large is read to its end all the same: many a client takes an answer in the
/// middle of its own sending for a broken connection.
pub async fn read(upload: &Upload) -> Result<Bytes, Status> {
    let mut incoming = upload.open().await;
    let mut kept = BytesMut::new();
    let mut size = 0;
    while let Some(frame) = incoming.frame().await {
        let frame =
            frame.map_err(|error| Status::bad_request(format!("unable to read the request's body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        if size > PATIENCE {
            break;
        }
        if size <= LIMIT {
            kept.extend_from_slice(&data);
        }
    }
    if size > LIMIT {
        return Err(Status::too_large(LIMIT));
    }
    Ok(kept.freeze())
}

/// The body as the JSON of some options, which may come in protobuf as well.
pub fn options(headers: &HeaderMap, bytes: &[u8]) -> Result<Value, Status> {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if negotiate::request_format(text)? != Format::Protobuf {
        return Ok(body::decode(media_type(headers)?, bytes)?.value);
    }
    let unknown = || Status::bad_request("the body is of a kind that has no protobuf form here");
    protobuf::decode(bytes)
        .map_err(Status::bad_request)?
        .ok_or_else(unknown)
}

/// The body as an object of the kind in the path.
pub fn object(call: &Call<'_>, media: MediaType, bytes: &[u8]) -> Result<Decoded, Status> {
    let expected = Expected {
        group_version: &call.resource.group_version,
        kind: &call.resource.stored.kind,
    };
    body::decode_object(media, bytes, &expected)
}

/// Who owns what is written: the manager that the client names, else what it calls itself.
pub fn field_manager(named: String, headers: &HeaderMap) -> String {
    if !named.is_empty() {
        return named;
    }
    let agent = headers
        .get(http::header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    manager_from_user_agent(agent.unwrap_or_default())
}
