//! Request bodies: read within the limit, decoded, and compared with the path.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde_json::Value;

use super::{Call, typed};
use crate::http::upload::Upload;
use crate::rest::owners::{self, Found};
use crate::rest::store::Wanted;
use crate::rest::store::prepare::cannot_handle;
use crate::wire::body::{self, Expected, MediaType};
use crate::wire::meta;
use crate::wire::options::{FieldValidation, manager_from_user_agent};
use crate::wire::status::Status;

/// The largest body, in bytes.
pub const LIMIT: usize = 3 << 20;
/// How much of a body that is too large is read before the connection is given up, in bytes.
const PATIENCE: usize = 4 * LIMIT;

/// The format of the body, which is an object of the kind in the path.
pub fn media_type(call: &Call<'_>, headers: &HeaderMap) -> Result<MediaType, Status> {
    MediaType::of(content_type(headers), call.resource.has_protobuf())
}

/// `Content-Type`.
pub fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE)?.to_str().ok()
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

/// As [`read`], and counts the bytes; `verb` as the metric names it.
///
/// # Errors
/// As [`read`].
pub async fn read_counted(call: &Call<'_>, verb: &str, upload: &Upload) -> Result<Bytes, Status> {
    let bytes = read(upload).await?;
    let (group, resource) = (&call.resource.group_version.group, &call.resource.stored.plural);
    call.metrics.request_body(group, resource, verb, bytes.len());
    Ok(bytes)
}

/// The body as the JSON of some options, which may come in protobuf as well.
pub fn options(headers: &HeaderMap, bytes: &[u8]) -> Result<Value, Status> {
    let media = MediaType::of(content_type(headers), true)?;
    Ok(body::decode(media, bytes)?.value)
}

/// The body as an object of the kind in the path.
///
/// # Errors
/// 400 and 422 for what is none.
pub fn object(
    call: &Call<'_>,
    media: MediaType,
    bytes: &[u8],
    field_validation: FieldValidation,
) -> Result<Wanted, Status> {
    let expected = Expected {
        group_version: &call.resource.group_version,
        kind: &call.resource.stored.kind,
    };
    let decoded = if call.resource.stored.conventions.kind_is_required() {
        body::decode_object(media, bytes, &expected)?
    } else {
        typed::object(call, media, bytes)?
    };
    let target = call.target();
    let wanted = call.store.decode(&target, decoded, field_validation);
    let mut wanted = wanted.map_err(|why| Status::bad_request(cannot_handle(&target, &why)))?;
    owners::dedup(&mut wanted, Found::InBody);
    Ok(wanted)
}

/// The namespace in the body, if there is one, must be that in the path
/// (k8s.io/apiserver pkg/registry/rest/meta.go EnsureObjectNamespaceMatchesRequestNamespace).
///
/// # Errors
/// 400.
pub fn same_namespace(call: &Call<'_>, object: &Value) -> Result<(), Status> {
    let namespace = meta::namespace(object);
    if call.resource.stored.namespaced && !namespace.is_empty() && namespace != call.namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Status::bad_request(message));
    }
    Ok(())
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
