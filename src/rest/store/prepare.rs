//! What an object goes through before it is stored: types, unknown fields, defaults, validation, in this order.

use serde_json::Value;

use super::update::Part;
use super::{Store, Wanted, WriteOptions};
use crate::rest::caller::Target;
use crate::wire::body::Decoded;
use crate::wire::meta;
use crate::wire::options::FieldValidation;
use crate::wire::schema::GoTypes;
use crate::wire::status::Status;
use crate::wire::validation::FieldError;
use crate::wire::validation::meta::{finalizer_warnings, object_meta, object_meta_update};
use crate::wire::validation::names::name_is_path_segment;

impl Store {
    /// Whether a new object may be stored; answers warnings.
    pub(super) fn validate_new(&self, target: &Target<'_>, object: &Value) -> Result<Vec<String>, Status> {
        let strategy = target.resource.strategy();
        let conventions = target.resource.stored.conventions;
        let of_metadata = || object_meta(object, target.resource.stored.namespaced, strategy.name_rule());
        let mut errors = Vec::new();
        if !conventions.checks_new_metadata_last() {
            errors = of_metadata();
        }
        errors.extend(self.schema(target).validate(object));
        if errors.is_empty() {
            errors.extend(strategy.validate_create(object));
            errors.extend(strategy.validate(object));
        }
        if errors.is_empty() && conventions.checks_new_metadata_last() {
            errors = of_metadata();
        }
        refuse(target, meta::name(object), &errors)?;
        match conventions.warns_of_finalizers() {
            true => Ok(finalizer_warnings(object, None)),
            false => Ok(Vec::new()),
        }
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
        let split = self.stored(target.kind).split;
        let strategy = target.resource.strategy();
        let mut warnings = Vec::new();
        if part != Part::Status && target.resource.stored.conventions.warns_of_finalizers() {
            warnings.extend(finalizer_warnings(new, Some(old)));
        }
        let mut errors = object_meta(new, target.resource.stored.namespaced, name_is_path_segment);
        let of_change = object_meta_update(new, old);
        if target.resource.stored.conventions.checks_metadata_twice() {
            errors.extend(of_change.iter().cloned());
        }
        errors.extend(of_change);
        let schema = self.schema(target);
        errors.extend(match part {
            Part::Main | Part::Finalize if !split => schema.validate_update(new, old),
            Part::Main | Part::Finalize => schema.validate_update(&without_status(new), &without_status(old)),
            Part::Status => schema.validate_status_update(new, old),
        });
        if errors.is_empty() {
            errors.extend(match part {
                Part::Main | Part::Finalize => {
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

    /// Whether the caller may write what is guarded, if it differs.
    pub(super) fn allowed(
        &self,
        target: &Target<'_>,
        options: &WriteOptions,
        new: &Value,
        old: &Value,
    ) -> Result<(), Status> {
        match (&options.refusal, target.resource.strategy().guard()) {
            (Some(refusal), Some(guard)) if (guard.differs)(new, old) => Err(refusal.clone()),
            _ => Ok(()),
        }
    }

    /// What a client wants stored, in the version of its request: of the right types, without unknown fields, and with
    /// its defaults.
    ///
    /// # Errors
    /// Why it is no such object.
    pub fn decode(
        &self,
        target: &Target<'_>,
        body: Decoded,
        field_validation: FieldValidation,
    ) -> Result<Wanted, String> {
        let schema = self.schema(target);
        let mut object = body.value;
        let mut unknown = body.duplicates;
        if let Some(types) = go_types(target) {
            types.check(schema, &object)?;
        }
        unknown.extend(meta::coerce(&mut object, go_types(target).map(|types| types.kind))?);
        unknown.extend(schema.prune(&mut object));
        self.default(target, &mut object);
        let warnings = match field_validation {
            FieldValidation::Ignore => Vec::new(),
            FieldValidation::Warn => unknown,
            FieldValidation::Strict if unknown.is_empty() => Vec::new(),
            FieldValidation::Strict => return Err(format!("strict decoding error: {}", told(unknown))),
        };
        Ok(Wanted { object, warnings })
    }
}

/// The Go types of a kind that has some.
fn go_types<'a>(target: &Target<'a>) -> Option<GoTypes<'a>> {
    let kind = &target.resource.stored;
    kind.conventions.has_go_types().then_some(GoTypes {
        kind: &kind.kind,
        version: &target.resource.group_version.version,
    })
}

impl Store {
    /// Fills the defaults of the result of an apply. Nulls stay, for validation to refuse: what an apply leaves without its
    /// last field is null, and so it is with CustomResources.
    pub(super) fn tidy_applied(&self, target: &Target<'_>, object: &mut Value) -> Result<(), Status> {
        meta::coerce(object, go_types(target).map(|types| types.kind))
            .map_err(|error| Status::bad_request(cannot_handle(target, &error)))?;
        self.default(target, object);
        Ok(())
    }

    fn default(&self, target: &Target<'_>, object: &mut Value) {
        let schema = self.schema(target);
        if target.resource.stored.conventions.omits_empty() {
            schema.omit_empty(object);
        }
        schema.apply_defaults(object);
        target.resource.strategy().default(object);
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
pub fn cannot_handle(target: &Target<'_>, problem: &str) -> String {
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
