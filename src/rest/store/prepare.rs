//! What an object goes through before it is stored: unknown fields, defaults, validation, in this order.

use serde_json::Value;

use super::update::Part;
use super::{Store, WriteOptions};
use crate::rest::caller::Target;
use crate::wire::meta;
use crate::wire::options::FieldValidation;
use crate::wire::status::Status;
use crate::wire::validation::FieldError;
use crate::wire::validation::meta::{finalizer_warnings, object_meta, object_meta_update};
use crate::wire::validation::names::path_segment;

impl Store {
    /// Whether a new object may be stored; answers warnings.
    pub(super) fn validate_new(&self, target: &Target<'_>, object: &Value) -> Result<Vec<String>, Status> {
        let stored = self.stored(target.kind);
        let warnings = finalizer_warnings(object, None);
        let mut errors = object_meta(object, stored.kind.namespaced, stored.kind.strategy.name_rule());
        errors.extend(stored.schema.validate(object));
        if errors.is_empty() {
            errors.extend(stored.kind.strategy.validate_create(object));
            errors.extend(stored.kind.strategy.validate(object));
        }
        refuse(target, meta::name(object), &errors)?;
        Ok(warnings)
    }

    /// Whether a changed object may be stored; answers warnings. Only the part that is written is validated, so that an
    /// old error elsewhere in the object blocks nobody.
    pub(super) fn validate_change(
        &self,
        target: &Target<'_>,
        part: Part,
        new: &Value,
        old: &Value,
    ) -> Result<Vec<String>, Status> {
        let stored = self.stored(target.kind);
        let mut warnings = Vec::new();
        if part == Part::Main {
            warnings.extend(finalizer_warnings(new, Some(old)));
        }
        let strategy = &stored.kind.strategy;
        let mut errors = object_meta(new, stored.kind.namespaced, |name, _| path_segment(name));
        let of_change = object_meta_update(new, old);
        // once by the registry and once by the validator of CustomResources
        errors.extend(of_change.iter().cloned());
        errors.extend(of_change);
        errors.extend(match part {
            Part::Main => stored
                .schema
                .validate_update(&without_status(new), &without_status(old)),
            Part::Status => stored.schema.validate_status_update(new, old),
        });
        if errors.is_empty() {
            errors.extend(match part {
                Part::Main => {
                    let mut errors = strategy.validate(new);
                    errors.extend(strategy.validate_update(new, old));
                    errors
                }
                Part::Status => strategy.validate_status(new),
            });
        }
        refuse(target, target.name, &errors)?;
        Ok(warnings)
    }

    /// Removes unknown fields and fills defaults; answers the warnings about them and about duplicates.
    pub(super) fn tidy(
        &self,
        target: &Target<'_>,
        object: &mut Value,
        options: &WriteOptions,
    ) -> Result<Vec<String>, Status> {
        let stored = self.stored(target.kind);
        let given = options.patched.then(|| object.clone());
        let refuse = |error: String| match &given {
            Some(given) => Status::unreadable_patch(given, &error),
            None => Status::bad_request(cannot_handle(target, &error)),
        };
        let mut unknown = options.duplicates.clone();
        unknown.extend(meta::coerce(object).map_err(&refuse)?);
        unknown.extend(stored.schema.prune(object));
        stored.schema.apply_defaults(object);
        stored.kind.strategy.default(object);
        match options.field_validation {
            FieldValidation::Ignore => Ok(Vec::new()),
            FieldValidation::Warn => Ok(unknown),
            FieldValidation::Strict if unknown.is_empty() => Ok(Vec::new()),
            FieldValidation::Strict => Err(refuse(format!("strict decoding error: {}", told(unknown)))),
        }
    }
}

impl Store {
    /// Fills the defaults of the result of an apply. Nulls stay, for validation to refuse: what an apply leaves without its
    /// last field is null, and so it is with CustomResources.
    pub(super) fn tidy_applied(&self, target: &Target<'_>, object: &mut Value) -> Result<(), Status> {
        let stored = self.stored(target.kind);
        meta::coerce(object).map_err(|error| Status::bad_request(cannot_handle(target, &error)))?;
        stored.schema.apply_defaults(object);
        stored.kind.strategy.default(object);
        Ok(())
    }
}

/// What a strict decoder says of odd fields; what YAML gave twice is one sentence of its own.
fn told(unknown: Vec<String>) -> String {
    let (mut lines, mut others): (Vec<_>, Vec<_>) = unknown.into_iter().partition(|one| one.starts_with("line "));
    if !lines.is_empty() {
        lines.insert(0, "yaml: unmarshal errors:".to_owned());
        others.insert(0, lines.join("\n  "));
    }
    others.join(", ")
}

/// Kubernetes' own opening for a body that is no object of the kind.
fn cannot_handle(target: &Target<'_>, problem: &str) -> String {
    let kind = &target.resource.stored.kind;
    let version = &target.resource.group_version.version;
    format!("{kind} in version {version:?} cannot be handled as a {kind}: {problem}")
}

/// The object without the half that a write to the rest cannot change.
fn without_status(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(members) = object.as_object_mut() {
        members.remove("status");
    }
    object
}

fn refuse(target: &Target<'_>, name: &str, errors: &[FieldError]) -> Result<(), Status> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(&target.resource.group_kind(), name, errors))
}
