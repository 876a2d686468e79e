//! PATCH: JSON Patch and JSON merge patch (k8s.io/apiserver pkg/endpoints/handlers/patch.go).
//!
//! Strategic merge patch is answered 415, as for every resource without Go types; kubectl then sends a merge patch.

use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::Value;

use super::update::{part, same_place};
use super::{Call, apply, encode, input};
use crate::http::body::Body;
use crate::http::pipeline::Permission;
use crate::http::respond;
use crate::rest::store::WriteOptions;
use crate::rest::store::update::Wanted;
use crate::wire::body::{self, Decoded};
use crate::wire::negotiate::PatchType;
use crate::wire::options::PatchOptions;
use crate::wire::status::{Details, Status};
use crate::wire::validation::FieldError;

/// The most operations in one JSON Patch.
const OPERATIONS: usize = 10_000;

/// A decoded patch.
enum Change {
    Json(json_patch::Patch),
    Merge(Decoded),
}

/// Changes an object.
pub async fn patch(
    call: &Call<'_>,
    headers: &HeaderMap,
    incoming: Incoming,
    permission: &Permission,
) -> Result<Response<Body>, Status> {
    let content_type = headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = PatchType::of(content_type)?;
    let bytes = input::read(incoming).await?;
    if kind == PatchType::Apply {
        return apply::apply(call, &bytes, permission).await;
    }
    let options = PatchOptions::decode(call.query, false)?;
    let change = Change::decode(kind, &bytes)?;
    let write = WriteOptions {
        dry_run: options.dry_run,
        field_validation: options.field_validation,
        duplicates: change.duplicates(),
        field_manager: input::field_manager(options.field_manager, headers),
    };
    let modify = |current: &Value| {
        let mut object = call.resource.complete(current.clone());
        let (api_version, kind) = (object["apiVersion"].clone(), object["kind"].clone());
        change.apply(&mut object)?;
        let wrong = |field: &str, wanted: &Value| {
            let detail = format!("must be {}", wanted.as_str().unwrap_or_default());
            let error = FieldError::invalid(field, object[field].as_str().unwrap_or_default(), &detail);
            Err(Status::invalid(&call.resource.group_kind(), call.name, &[error]))
        };
        if object["apiVersion"] != api_version {
            return wrong("apiVersion", &api_version);
        }
        if object["kind"] != kind {
            return wrong("kind", &kind);
        }
        same_place(call, &object)?;
        Ok(object)
    };
    let target = call.target();
    let written = call
        .store
        .update(&target, "patch", part(call), &write, Wanted::Edited(&modify))
        .await?;
    let snapshot = call.store.cache().any().map_err(crate::rest::store::stale)?;
    let mut response = encode::one(call, StatusCode::OK, &call.shown(&written, &snapshot))?;
    respond::add_warnings(response.headers_mut(), &written.warnings);
    Ok(response)
}

impl Change {
    fn decode(kind: PatchType, bytes: &[u8]) -> Result<Self, Status> {
        let undecodable = |error: String| Status::bad_request(format!("error decoding patch: {error}"));
        let decode = || body::decode_json(bytes).map_err(undecodable);
        match kind {
            PatchType::Json => {
                let patch = json_patch::Patch::deserialize(decode()?.value);
                let patch = patch.map_err(|error| undecodable(error.to_string()))?;
                if patch.len() > OPERATIONS {
                    let text = format!(
                        "The allowed maximum operations in a JSON patch is {OPERATIONS}, got {}",
                        patch.len()
                    );
                    return Err(Status::new(413, "RequestEntityTooLarge", text));
                }
                Ok(Self::Json(patch))
            }
            PatchType::Merge | PatchType::Apply => Ok(Self::Merge(decode()?)),
        }
    }

    /// What the patch gave twice, as sentences.
    fn duplicates(&self) -> Vec<String> {
        match self {
            Self::Json(_) => Vec::new(),
            Self::Merge(patch) => patch.duplicates.clone(),
        }
    }

    fn apply(&self, object: &mut Value) -> Result<(), Status> {
        match self {
            Self::Json(patch) => json_patch::patch(object, patch).map_err(|error| {
                tracing::debug!(%error, "JSON patch does not apply");
                let text = "the server rejected our request due to an error in our request";
                Status::new(422, "Invalid", text).with_details(Details::default())
            })?,
            Self::Merge(patch) => json_patch::merge(object, &patch.value),
        }
        if object.is_object() && object["metadata"].is_object() {
            return Ok(());
        }
        Err(Status::bad_request("the patch leaves no object with metadata"))
    }
}
