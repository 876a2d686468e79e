//! PUT of an object or of its status (k8s.io/apiserver pkg/endpoints/handlers/update.go).

use http::{HeaderMap, Response, StatusCode};

use super::{Call, encode, input};
use crate::http::body::Body;
use crate::http::respond;
use crate::http::upload::Upload;
use crate::rest::store::WriteOptions;
use crate::rest::store::update::Way;
use crate::wire::meta;
use crate::wire::options::{Sent, UpdateOptions};
use crate::wire::status::Status;

/// Replaces an object.
pub async fn update(call: &Call<'_>, headers: &HeaderMap, upload: &Upload) -> Result<Response<Body>, Status> {
    let media = input::media_type(call, headers)?;
    let bytes = input::read_counted(call, "update", upload).await?;
    let options = UpdateOptions::decode(call.query)?;
    let wanted = input::object(call, media, &bytes, options.field_validation)?;
    call.caller.notes.submit(&wanted.object);
    same_place(call, &wanted.object).map_err(|status| status.with_warnings(&wanted.warnings))?;
    let write = WriteOptions {
        dry_run: options.dry_run,
        field_manager: input::field_manager(options.field_manager, headers),
        patched: false,
        refusal: call.refusal().await?,
        sent: Sent::with_write(call.query),
    };
    let modify = |_: &serde_json::Value| Ok(wanted.clone());
    let target = call.target();
    let written = call
        .store
        .update(&target, "update", call.part, &write, Way::Edited(&modify))
        .await?;
    let snapshot = call.store.cache().any().map_err(crate::rest::store::stale)?;
    let mut response = encode::one(call, StatusCode::OK, &call.shown(&written, &snapshot))?;
    respond::add_warnings(response.headers_mut(), &written.warnings);
    Ok(response)
}

/// The body must be about the object in the path.
pub fn same_place(call: &Call<'_>, object: &serde_json::Value) -> Result<(), Status> {
    input::same_namespace(call, object)?;
    let name = meta::name(object);
    if name.is_empty() {
        let text = format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            call.name
        );
        return Err(Status::bad_request(text));
    }
    if name != call.name {
        let text = format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name
        );
        return Err(Status::bad_request(text));
    }
    Ok(())
}
