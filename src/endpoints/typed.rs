//! Bodies for kinds with Go types: what an object does not say of itself, the path says
//! (k8s.io/apimachinery pkg/runtime/serializer/json gvkWithDefaults, k8s.io/apiserver pkg/endpoints/handlers/rest.go).

use serde_json::{Value, json};

use super::Call;
use crate::wire::body::{self, Decoded, MediaType};
use crate::wire::meta;
use crate::wire::status::Status;

/// Where Go made its registry of types; errors name the place.
const SCHEME: &str = "pkg/runtime/scheme.go:111";

/// The body as an object of the kind in the path.
///
/// # Errors
/// 400.
pub fn object(call: &Call<'_>, media: MediaType, bytes: &[u8]) -> Result<Decoded, Status> {
    let expected = &call.resource.stored.kind;
    let mut decoded = body::decode_some(media, bytes, expected)?;
    if decoded.value.is_null() {
        decoded.value = json!({});
    }
    if let Err(why) = identify(call, &mut decoded.value) {
        let version = meta::api_version(&decoded.value);
        let version = version.rsplit('/').next().unwrap_or_default();
        let kind = meta::kind(&decoded.value);
        return Err(Status::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {expected}: {why}"
        )));
    }
    let (given, wanted) = (
        meta::api_version(&decoded.value),
        call.resource.group_version.to_string(),
    );
    if given != wanted {
        return Err(Status::bad_request(format!(
            "the API version in the data ({given}) does not match the expected API version ({wanted})"
        )));
    }
    Ok(decoded)
}

/// Fills in what an object does not say of itself, and makes sure that it is of the kind in the path, in any version
/// that is served.
///
/// # Errors
/// What else it is.
pub fn identify(call: &Call<'_>, object: &mut Value) -> Result<(), String> {
    let expected = &call.resource.stored.kind;
    if meta::api_version(object).is_empty() {
        object["apiVersion"] = call.resource.group_version.to_string().into();
    }
    if meta::kind(object).is_empty() {
        object["kind"] = expected.clone().into();
    }
    let (version, kind) = (meta::api_version(object), meta::kind(object));
    if !call.store.serves(version, kind) {
        let version = version.strip_prefix('/').unwrap_or(version);
        return Err(format!(
            "no kind {kind:?} is registered for version {version:?} in scheme {SCHEME:?}"
        ));
    }
    if kind != expected {
        let package = version.rsplit('/').next().unwrap_or_default();
        let group = version.split('.').next().unwrap_or_default();
        return Err(format!(
            "converting ({package}.{kind}) to ({group}.{expected}): unknown conversion"
        ));
    }
    Ok(())
}
