//! Structural schemas, as CustomResourceDefinitions use them: pruning, defaults and validation of JSON values.
//!
//! Follows k8s.io/apiextensions-apiserver pkg/apiserver/{schema,validation} and k8s.io/kube-openapi pkg/validation. Fields
//! are visited in the order of their names, where Go's order is random.

mod go;
mod lists;
mod parse;
mod prune;
mod structure;
mod validate;

use std::collections::BTreeMap;

use serde_json::Value;

pub use self::go::GoTypes;
use super::validation::FieldError;

/// A schema, parsed once. Knows the keywords of [`Schema::parse`] and refuses others, so that none is silently ignored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    kind: Option<Type>,
    format: Option<String>,
    nullable: bool,
    int_or_string: bool,
    preserve_unknown_fields: bool,
    embedded_resource: bool,
    properties: BTreeMap<String, Schema>,
    additional_properties: Additional,
    required: Vec<String>,
    items: Option<Box<Schema>>,
    default: Option<Value>,
    choices: Vec<Value>,
    limits: Limits,
    list_type: ListType,
    atomic_map: bool,
}

/// A JSON type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `object`.
    Object,
    /// `array`.
    Array,
    /// `string`.
    Text,
    /// `integer`.
    Integer,
    /// `number`.
    Number,
    /// `boolean`.
    Boolean,
}

/// `additionalProperties`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Additional {
    /// Absent, or false: pruning drops unknown fields anyway.
    #[default]
    None,
    /// Anything.
    Any,
    /// Values of one kind.
    Of(Box<Schema>),
}

/// What bounds lengths, sizes and numbers.
#[derive(Clone, Debug, Default, PartialEq)]
struct Limits {
    min_length: Option<usize>,
    max_length: Option<usize>,
    min_items: Option<usize>,
    max_items: Option<usize>,
    unique_items: bool,
    min_properties: Option<usize>,
    max_properties: Option<usize>,
    minimum: Option<f64>,
    exclusive_minimum: bool,
    maximum: Option<f64>,
    exclusive_maximum: bool,
    multiple_of: Option<f64>,
}

/// `x-kubernetes-list-type`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ListType {
    /// One value: the default.
    #[default]
    Atomic,
    /// Every item once.
    Set,
    /// Items are told apart by these fields.
    Map(Vec<String>),
}

impl Schema {
    /// Drops the fields of an object that the schema does not know, then nulls where null is not allowed and no default
    /// stands in. `apiVersion`, `kind` and `metadata` stay. Returns what was dropped, sorted, for example
    /// `unknown field "spec.owners[0].x"`.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut unknown = prune::prune(self, object);
        prune::drop_nulls(self, object);
        unknown.sort();
        unknown
            .into_iter()
            .map(|path| format!("unknown field \"{path}\""))
            .collect()
    }

    /// Drops optional fields that hold nothing, as Go's types with `omitempty` do.
    pub fn omit_empty(&self, object: &mut Value) {
        prune::omit_empty(self, object);
    }

    /// Fills in the defaults of absent fields.
    pub fn apply_defaults(&self, object: &mut Value) {
        prune::apply_defaults(self, object);
    }

    /// What is wrong with a new object.
    pub fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = validate::validate(self, object, None);
        lists::validate(self, object, "", &mut errors);
        errors
    }

    /// What is wrong with a changed object. A value that did not change may stay as wrong as it is, as Kubernetes' validation
    /// ratcheting has it.
    pub fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = validate::validate(self, new, Some(old));
        self.validate_changed_lists(new, old, &mut errors);
        errors
    }

    /// What is wrong with an object whose status changed. The texts speak of the status as if nothing were around it, as
    /// those of CustomResources do; the fields do not.
    pub fn validate_status_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = match (self.property("status"), new.get("status")) {
            (Some(schema), Some(status)) => {
                validate::validate(schema, status, Some(old.get("status").unwrap_or(&Value::Null)))
            }
            _ => Vec::new(),
        };
        for error in &mut errors {
            error.field = match error.field.as_str() {
                validate::ROOT => "status".to_owned(),
                field => format!("status.{field}"),
            };
        }
        self.validate_changed_lists(new, old, &mut errors);
        errors
    }

    fn validate_changed_lists(&self, new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
        let mut before = Vec::new();
        lists::validate(self, old, "", &mut before);
        if before.is_empty() {
            lists::validate(self, new, "", errors);
        }
    }

    /// The schema of a field that `properties` names.
    pub fn property(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name)
    }
}

#[cfg(test)]
mod tests;
