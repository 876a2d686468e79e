//! The rules for `metadata` (k8s.io/apimachinery pkg/api/validation/objectmeta.go).

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::FieldError;
use super::names::{NameRule, label_value, name_is_dns_label, qualified_name};
use crate::wire::meta::{self, FINALIZER_FOREGROUND, FINALIZER_ORPHAN, OwnerReference};
use crate::wire::options::validate_field_manager;
use crate::wire::quote::go_quote;
use crate::wire::status::Status;

/// The limit of the annotations' keys and values together, in bytes.
pub const ANNOTATIONS_LIMIT: usize = 256 * 1024;
/// How many second controllers are reported: each shows all references, so that all of them would be as many as the square.
const CONTROLLERS_REPORTED: usize = 10;
/// The longest name of a subresource in `managedFields`, in bytes.
const SUBRESOURCE_LIMIT: usize = 256;

/// What is wrong with the metadata of an object, on create and on update.
///
/// On update Kubernetes applies this with [`super::names::path_segment`] as the rule, then [`object_meta_update`], then the
/// kind's own rules. On create a CustomResource applies it with [`super::names::name_is_dns_subdomain`].
pub fn object_meta(object: &Value, namespaced: bool, rule: NameRule) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (name, generate_name) = (meta::name(object), meta::generate_name(object));
    if !generate_name.is_empty() {
        invalid(
            &mut errors,
            "metadata.generateName",
            generate_name,
            rule(generate_name, true),
        );
    }
    if name.is_empty() {
        errors.push(FieldError::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else {
        invalid(&mut errors, "metadata.name", name, rule(name, false));
    }
    let namespace = meta::namespace(object);
    match (namespaced, namespace.is_empty()) {
        (true, true) => errors.push(FieldError::required("metadata.namespace", "")),
        (true, false) => {
            let wrong = name_is_dns_label(namespace, false);
            invalid(&mut errors, "metadata.namespace", namespace, wrong);
        }
        (false, false) => errors.push(FieldError::forbidden("metadata.namespace", "not allowed on this type")),
        (false, true) => {}
    }
    if meta::generation(object) < 0 {
        let detail = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(
            "metadata.generation",
            meta::generation(object),
            detail,
        ));
    }
    labels(object, &mut errors);
    annotations(object, &mut errors);
    owner_references(object, &mut errors);
    finalizers(object, &mut errors);
    managed_fields(object, &mut errors);
    errors
}

/// What is wrong with the change from `old` to `new` metadata.
pub fn object_meta_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if meta::deletion_timestamp(old).is_some() {
        let known: HashSet<&str> = meta::finalizers(old).into_iter().collect();
        let extra: BTreeSet<&str> = meta::finalizers(new)
            .into_iter()
            .filter(|one| !known.contains(one))
            .collect();
        if !extra.is_empty() {
            let quoted: Vec<String> = extra.into_iter().map(go_quote).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                quoted.join(", ")
            );
            errors.push(FieldError::forbidden("metadata.finalizers", &detail));
        }
    }
    if meta::resource_version(new).is_empty() {
        let detail = "must be specified for an update";
        errors.push(FieldError::invalid("metadata.resourceVersion", "", detail));
    }
    if meta::generation(new) < meta::generation(old) {
        let detail = "must not be decremented";
        errors.push(FieldError::invalid(
            "metadata.generation",
            meta::generation(new),
            detail,
        ));
    }
    for key in ["name", "namespace", "uid"] {
        immutable(&mut errors, key, meta::text(new, key), meta::text(old, key));
    }
    for key in ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let of = |object| meta::metadata(object).get(key).unwrap_or(&Value::Null);
        immutable(&mut errors, key, of(new), of(old));
    }
    labels(new, &mut errors);
    annotations(new, &mut errors);
    owner_references(new, &mut errors);
    managed_fields(new, &mut errors);
    errors
}

/// Fills in the namespace of the request, or refuses another one (k8s.io/apiserver pkg/registry/rest/meta.go). `requested`
/// is empty for kinds without namespaces.
///
/// # Errors
/// 400 when the object names another namespace.
pub fn ensure_namespace(object: &mut Value, requested: &str) -> Result<(), Status> {
    let own = meta::namespace(object);
    if !own.is_empty() && !requested.is_empty() && own != requested {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Status::bad_request(message));
    }
    if own != requested {
        meta::set(object, "namespace", requested);
    }
    Ok(())
}

/// Warnings for finalizers that `old` did not have
/// (k8s.io/apiextensions-apiserver pkg/registry/customresource/validator.go).
pub fn finalizer_warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let known: HashSet<&str> = old.map(meta::finalizers).unwrap_or_default().into_iter().collect();
    let added: BTreeSet<&str> = meta::finalizers(new)
        .into_iter()
        .filter(|one| !known.contains(one))
        .collect();
    let mut warnings = Vec::new();
    for finalizer in added {
        let quoted = go_quote(finalizer);
        for wrong in qualified_name(finalizer) {
            warnings.push(format!("metadata.finalizers: {quoted}: {wrong}"));
        }
        if finalizer.contains('/') || matches!(finalizer, FINALIZER_ORPHAN | FINALIZER_FOREGROUND | "kubernetes") {
            continue;
        }
        let path = if finalizer.contains('.') {
            " including a path (/)"
        } else {
            ""
        };
        warnings.push(format!(
            "metadata.finalizers: {quoted}: prefer a domain-qualified finalizer name{path} to avoid accidental conflicts \
             with other finalizer writers"
        ));
    }
    warnings
}

fn invalid(errors: &mut Vec<FieldError>, path: &str, value: &str, wrong: Vec<String>) {
    errors.extend(wrong.iter().map(|detail| FieldError::invalid(path, value, detail)));
}

fn immutable<T: super::BadValue + PartialEq + ?Sized>(errors: &mut Vec<FieldError>, key: &str, new: &T, old: &T) {
    if new != old {
        errors.push(FieldError::invalid(
            format!("metadata.{key}"),
            new,
            "field is immutable",
        ));
    }
}

fn labels(object: &Value, errors: &mut Vec<FieldError>) {
    for (key, value) in meta::labels(object) {
        invalid(errors, "metadata.labels", key, qualified_name(key));
        invalid(errors, "metadata.labels", value, label_value(value));
    }
}

fn annotations(object: &Value, errors: &mut Vec<FieldError>) {
    let mut size = 0;
    for (key, value) in meta::annotations(object) {
        // case does not matter here, in the prefix either
        invalid(errors, "metadata.annotations", key, qualified_name(&key.to_lowercase()));
        size += key.len() + value.len();
    }
    if size > ANNOTATIONS_LIMIT {
        errors.push(FieldError::too_long("metadata.annotations", ANNOTATIONS_LIMIT));
    }
}

fn owner_references(object: &Value, errors: &mut Vec<FieldError>) {
    let path = "metadata.ownerReferences";
    let references = meta::owner_references(object);
    let mut controller: Option<String> = None;
    let mut reported = 0;
    for reference in &references {
        let version = match reference.api_version.split('/').collect::<Vec<_>>().as_slice() {
            [version] | [_, version] => version,
            _ => "",
        };
        if version.is_empty() {
            let field = format!("{path}.apiVersion");
            errors.push(FieldError::invalid(
                field,
                reference.api_version,
                "version must not be empty",
            ));
        }
        for (key, value) in [
            ("kind", reference.kind),
            ("name", reference.name),
            ("uid", reference.uid),
        ] {
            if value.is_empty() {
                errors.push(FieldError::invalid(format!("{path}.{key}"), value, "must not be empty"));
            }
        }
        if matches!(reference.api_version, "v1" | "/v1") && reference.kind == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::shown(path, &show(reference), detail));
        }
        if reference.controller {
            let own = format!("{}/{}", reference.kind, reference.name);
            if let Some(first) = &controller {
                reported += 1;
                if reported > CONTROLLERS_REPORTED {
                    continue;
                }
                let all: Vec<String> = references.iter().map(show).collect();
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {own}"
                );
                errors.push(FieldError::shown(path, &format!("[{}]", all.join(",")), &detail));
            } else {
                controller = Some(own);
            }
        }
    }
}

/// As Go marshals the struct, in the order of its fields.
fn show(reference: &OwnerReference<'_>) -> String {
    let text = |value: &str| String::from_utf8_lossy(&crate::wire::json::to_vec(value)).into_owned();
    let mut out = format!(
        r#"{{"apiVersion":{},"kind":{},"name":{},"uid":{}"#,
        text(reference.api_version),
        text(reference.kind),
        text(reference.name),
        text(reference.uid)
    );
    if reference.controller {
        out.push_str(r#","controller":true"#);
    }
    if reference.block_owner_deletion {
        out.push_str(r#","blockOwnerDeletion":true"#);
    }
    out.push('}');
    out
}

fn finalizers(object: &Value, errors: &mut Vec<FieldError>) {
    let path = "metadata.finalizers";
    let finalizers = meta::finalizers(object);
    for finalizer in &finalizers {
        invalid(errors, path, finalizer, qualified_name(finalizer));
    }
    if finalizers.contains(&FINALIZER_ORPHAN) && finalizers.contains(&FINALIZER_FOREGROUND) {
        let detail = format!("finalizer {FINALIZER_ORPHAN} and {FINALIZER_FOREGROUND} cannot be both set");
        let all: Vec<String> = finalizers.iter().map(|one| (*one).to_owned()).collect();
        errors.push(FieldError::invalid(path, all, &detail));
    }
}

fn managed_fields(object: &Value, errors: &mut Vec<FieldError>) {
    let entries = meta::metadata(object).get("managedFields").and_then(Value::as_array);
    for (at, entry) in entries.into_iter().flatten().enumerate() {
        let path = format!("metadata.managedFields[{at}]");
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        if !matches!(text("operation"), "Apply" | "Update") {
            let detail = "must be `Apply` or `Update`";
            errors.push(FieldError::invalid(
                format!("{path}.operation"),
                text("operation"),
                detail,
            ));
        }
        if !matches!(text("fieldsType"), "" | "FieldsV1") {
            let detail = "must be `FieldsV1`";
            errors.push(FieldError::invalid(
                format!("{path}.fieldsType"),
                text("fieldsType"),
                detail,
            ));
        }
        validate_field_manager(&format!("{path}.manager"), text("manager"), errors);
        if text("subresource").len() > SUBRESOURCE_LIMIT {
            errors.push(FieldError::too_long(format!("{path}.subresource"), SUBRESOURCE_LIMIT));
        }
    }
}

#[cfg(test)]
mod tests;
