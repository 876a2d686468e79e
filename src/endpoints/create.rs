//! POST to a collection (k8s.io/apiserver pkg/endpoints/handlers/create.go).

use http::{HeaderMap, Response, StatusCode};

use super::{Call, encode, input};
use crate::http::body::Body;
use crate::http::respond;
use crate::http::upload::Upload;
use crate::rest::store::WriteOptions;
use crate::wire::options::{CreateOptions, Sent};
use crate::wire::status::Status;

/// Stores a new object.
pub async fn create(call: &Call<'_>, headers: &HeaderMap, upload: &Upload) -> Result<Response<Body>, Status> {
    let media = input::media_type(call, headers)?;
    let bytes = input::read_counted(call, "create", upload).await?;
    let options = CreateOptions::decode(call.query)?;
    let wanted = input::object(call, media, &bytes, options.field_validation)?;
    call.caller.notes.submit(&wanted.object);
    input::same_namespace(call, &wanted.object)?;
    let write = WriteOptions {
        dry_run: options.dry_run,
        field_manager: input::field_manager(options.field_manager, headers),
        patched: false,
        refusal: call.refusal().await?,
        sent: Sent::with_write(call.query),
    };
    let target = call.target();
    let written = call.store.create(&target, wanted, &write).await?;
    let snapshot = call.store.cache().any().map_err(crate::rest::store::stale)?;
    let mut response = encode::one(call, StatusCode::CREATED, &call.shown(&written, &snapshot))?;
    respond::add_warnings(response.headers_mut(), &written.warnings);
    Ok(response)
}
