//! PATCH with a configuration: server-side apply (k8s.io/apiserver pkg/endpoints/handlers/patch.go applyPatcher).

use http::{Response, StatusCode};
use serde_json::Value;

use super::input::same_namespace;
use super::update::same_place;
use super::{Call, encode};
use crate::http::body::Body;
use crate::http::respond;
use crate::rest::field_manager::Configuration;
use crate::rest::store::WriteOptions;
use crate::wire::body;
use crate::wire::json;
use crate::wire::meta;
use crate::wire::options::{FieldValidation, PatchOptions, Sent};
use crate::wire::status::Status;

/// Applies a configuration, creating the object if need be.
pub async fn apply(call: &Call<'_>, bytes: &[u8]) -> Result<Response<Body>, Status> {
    let options = PatchOptions::decode(call.query, true)?;
    let undecodable = |why: String| Status::bad_request(format!("error decoding YAML: {why}"));
    let decoded =
        body::decode_yaml(bytes).map_err(|why| undecodable(format!("error converting YAML to JSON: {why}")))?;
    let mut config = decoded.value;
    call.caller.notes.submit_other(|| Some(config.clone()));
    check(call, &config)?;
    let warnings = match options.field_validation {
        FieldValidation::Strict if !decoded.duplicates.is_empty() => {
            let lines: String = decoded.duplicates.iter().map(|line| format!("\n  {line}")).collect();
            let opening = "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:";
            return Err(Status::bad_request(format!("{opening}{lines}")));
        }
        FieldValidation::Warn => decoded.duplicates,
        _ => Vec::new(),
    };
    if let Some(metadata) = config.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    let write = WriteOptions {
        dry_run: options.dry_run,
        field_manager: options.field_manager,
        patched: true,
        refusal: call.refusal().await?,
        sent: Sent::with_write(call.query),
    };
    let config = Configuration {
        object: &config,
        force: options.force,
    };
    let target = call.target();
    let may_create = call.permission.to("create");
    let (mut written, created) = call.store.apply(&target, call.part, &write, config, may_create).await?;
    written.warnings.splice(0..0, warnings);
    let snapshot = call.store.cache().any().map_err(crate::rest::store::stale)?;
    let code = if created { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = encode::one(call, code, &call.shown(&written, &snapshot))?;
    respond::add_warnings(response.headers_mut(), &written.warnings);
    Ok(response)
}

/// What can be said of a configuration without looking at the object.
fn check(call: &Call<'_>, config: &Value) -> Result<(), Status> {
    if !config.is_object() && !config.is_null() {
        let given = json::kind(config);
        return Err(Status::bad_request(format!(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {given} into Go value of \
             type map[string]interface {{}}"
        )));
    }
    let (api_version, kind) = (meta::api_version(config), meta::kind(config));
    if api_version != call.resource.group_version.to_string() || kind != call.resource.stored.kind {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        return Err(Status::bad_request(format!(
            "invalid object type: {group}/{version}, Kind={kind}"
        )));
    }
    if meta::metadata(config).get("managedFields").is_some_and(Value::is_array) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    // An object that is there keeps its name, unless the configuration takes it away.
    match meta::metadata(config).get("name") {
        None | Some(Value::Null) => same_namespace(call, config),
        Some(_) => same_place(call, config),
    }
}
