//! What an object goes through before it is stored: unknown fields, defaults, validation, in this order.

use serde_json::Value;

use super::update::Part;
use super::{Store, WriteOptions};
use crate::rest::caller::Target;
use crate::wire::meta;
use crate::wire::options::FieldValidation;
use crate::wire::status::Status;
use crate::wire::validation::{FieldError, metadata as rules};

impl Store {
    /// Makes a new object ready to be stored.
    pub(super) fn prepare_create(&self, target: &Target<'_>, object: &mut Value, options: &WriteOptions) -> Result<Vec<String>, Status> {
        let stored = self.stored(target.kind);
        let warnings = self.tidy(target, object, options)?;
        let mut errors = rules::validate_create(object, stored.kind.namespaced);
        errors.extend(stored.schema.validate(object));
        if errors.is_empty() {
            errors.extend(stored.kind.strategy.validate_create(object));
            errors.extend(stored.kind.strategy.validate(object));
        }
        refuse(target, meta::name(object), &errors)?;
        Ok(warnings)
    }

    /// Makes a changed object ready to be stored; only the part that is written is validated, so that an old error
    /// elsewhere in the object blocks nobody.
    pub(super) fn prepare_update(
        &self,
        target: &Target<'_>,
        part: Part,
        new: &mut Value,
        old: &Value,
        options: &WriteOptions,
    ) -> Result<Vec<String>, Status> {
        let stored = self.stored(target.kind);
        let warnings = self.tidy(target, new, options)?;
        let strategy = &stored.kind.strategy;
        let mut errors = rules::validate_update(new, old, stored.kind.namespaced);
        errors.extend(stored.schema.validate(&only(part, new)));
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

    /// Removes unknown fields and fills defaults; answers the warnings about the former.
    fn tidy(&self, target: &Target<'_>, object: &mut Value, options: &WriteOptions) -> Result<Vec<String>, Status> {
        let stored = self.stored(target.kind);
        let unknown = stored.schema.prune(object);
        stored.schema.apply_defaults(object);
        stored.kind.strategy.default(object);
        match options.field_validation {
            FieldValidation::Ignore => Ok(Vec::new()),
            FieldValidation::Warn => Ok(unknown),
            FieldValidation::Strict if unknown.is_empty() => Ok(Vec::new()),
            FieldValidation::Strict => {
                let kind = &stored.kind.kind;
                let version = &target.resource.group_version.version;
                Err(Status::bad_request(format!(
                    "{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {}",
                    unknown.join(", ")
                )))
            }
        }
    }
}

/// The object without the half that this write cannot change.
fn only(part: Part, object: &Value) -> Value {
    let mut object = object.clone();
    if let (Part::Main, Some(members)) = (part, object.as_object_mut()) {
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
