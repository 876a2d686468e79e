//! PATCH: JSON Patch and JSON merge patch (k8s.io/apiserver pkg/endpoints/handlers/patch.go).
//!
//! Strategic merge patch is for Kubernetes' own kinds alone; for others it is answered 415, as for every resource without Go
//! types, and kubectl then sends a merge patch.

use http::{HeaderMap, Response, StatusCode};
use serde_json::Value;

use super::update::same_place;
use super::{Call, apply, encode, input, typed};
use crate::http::body::Body;
use crate::http::respond;
use crate::http::upload::Upload;
use crate::rest::owners::{self, Found};
use crate::rest::store::WriteOptions;
use crate::rest::store::update::Way;
use crate::wire::body::{self, Decoded};
use crate::wire::negotiate::PatchType;
use crate::wire::options::{FieldValidation, PatchOptions, Sent};
use crate::wire::patch::{self, JsonPatch, OPERATIONS, strategic};
use crate::wire::schema::Schema;
use crate::wire::status::{Details, Status};
use crate::wire::validation::FieldError;

/// A decoded patch.
enum Change {
    Json(JsonPatch),
    Merge(Value),
    Strategic(Value),
}

/// Changes an object.
pub async fn patch(call: &Call<'_>, headers: &HeaderMap, upload: &Upload) -> Result<Response<Body>, Status> {
    let content_type = headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let conventions = call.resource.stored.conventions;
    let kind = PatchType::of(content_type, call.resource.has_protobuf())
        .map_err(|refusal| conventions.unsupported_patch(refusal))?;
    let bytes = input::read_counted(call, "patch", upload).await?;
    if kind == PatchType::Apply {
        return apply::apply(call, &bytes).await;
    }
    let options = PatchOptions::decode(call.query, false)?;
    call.caller.notes.submit_other(|| serde_json::from_slice(&bytes).ok());
    let strict = options.field_validation != FieldValidation::Ignore;
    // Whether the object is there at all is said before what is wrong with the patch.
    let decoded = Change::decode(kind, &bytes, strict);
    let write = WriteOptions {
        dry_run: options.dry_run,
        field_manager: input::field_manager(options.field_manager, headers),
        patched: true,
        refusal: call.refusal().await?,
        sent: Sent::with_write(call.query),
    };
    let target = call.target();
    let modify = |current: &Value| {
        let mut object = call.resource.complete(current.clone());
        let (change, odd) = decoded.as_ref().map_err(Clone::clone)?;
        change.apply(&mut object, call.store.schema(&target))?;
        let text = object.clone();
        let unreadable = |why: String| Status::unreadable_patch(&text, &why);
        if conventions.kind_is_required() {
            check(call, &object)?;
        } else {
            if !object.is_object() {
                body::identify(&object).map_err(unreadable)?;
            }
            typed::identify(call, &mut object).map_err(unreadable)?;
        }
        let body = Decoded {
            duplicates: odd.clone(),
            value: object,
        };
        let wanted = call.store.decode(&target, body, options.field_validation);
        let mut wanted = wanted.map_err(unreadable)?;
        owners::dedup(&mut wanted, Found::AfterAdmission);
        same_place(call, &wanted.object)?;
        Ok(wanted)
    };
    let written = call
        .store
        .update(&target, "patch", call.part, &write, Way::Edited(&modify))
        .await?;
    let snapshot = call.store.cache().any().map_err(crate::rest::store::stale)?;
    let mut response = encode::one(call, StatusCode::OK, &call.shown(&written, &snapshot))?;
    respond::add_warnings(response.headers_mut(), &written.warnings);
    Ok(response)
}

/// What a patch leaves must be the object that it was made of.
fn check(call: &Call<'_>, object: &Value) -> Result<(), Status> {
    body::identify(object).map_err(|why| Status::unreadable_patch(object, &why))?;
    if object["metadata"].is_object() || object["metadata"].is_null() {
        same_place(call, object)?;
    }
    let (group, given) = (
        &call.resource.group_version.to_string(),
        crate::wire::meta::api_version(object),
    );
    let kind = crate::wire::meta::kind(object);
    let wrong = |field: &str, given: &str, wanted: &str| {
        let error = FieldError::invalid(field, given, &format!("must be {wanted}"));
        let mut group_kind = call.resource.group_kind();
        group_kind.kind = kind.to_owned();
        if field == "apiVersion" {
            group_kind.group = given
                .split_once('/')
                .map(|(group, _)| group)
                .unwrap_or_default()
                .to_owned();
        }
        Err(Status::invalid(&group_kind, call.name, &[error]))
    };
    if given != group {
        return wrong("apiVersion", given, group);
    }
    if kind != call.resource.stored.kind {
        return wrong("kind", kind, &call.resource.stored.kind);
    }
    Ok(())
}

impl Change {
    /// Decodes a patch, with what its fields give twice or do not know.
    fn decode(kind: PatchType, bytes: &[u8], strict: bool) -> Result<(Self, Vec<String>), Status> {
        if matches!(kind, PatchType::Merge | PatchType::Strategic) {
            let (patch, duplicates) = patch::decode_merge(bytes, strict).map_err(Status::bad_request)?;
            let change = match kind {
                PatchType::Strategic => Self::Strategic(patch),
                _ => Self::Merge(patch),
            };
            return Ok((change, duplicates));
        }
        let (patch, odd) = patch::decode_json(bytes, strict).map_err(Status::bad_request)?;
        if patch.len() > OPERATIONS {
            let text = format!(
                "Request entity too large: The allowed maximum operations in a JSON patch is {OPERATIONS}, got {}",
                patch.len()
            );
            return Err(Status::new(413, "RequestEntityTooLarge", text));
        }
        Ok((Self::Json(patch), odd))
    }

    fn apply(&self, object: &mut Value, schema: &Schema) -> Result<(), Status> {
        match self {
            Self::Json(patch) => patch.apply(object).map_err(|error| {
                tracing::debug!(%error, "JSON patch does not apply");
                let text = "the server rejected our request due to an error in our request";
                Status::new(422, "Invalid", text).with_details(Details::default())
            }),
            Self::Merge(patch) => {
                patch::merge(object, patch);
                Ok(())
            }
            Self::Strategic(patch) => strategic::apply(object, patch, schema).map_err(Status::bad_request),
        }
    }
}
