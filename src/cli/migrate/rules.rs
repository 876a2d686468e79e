//! The server's own rules for new objects, asked beforehand: what is planned is what will be accepted.

use std::sync::Arc;

use serde_json::Value;

use crate::groups::{self, tenancy::STORAGE};
use crate::rest::resource::Resource;
use crate::wire::meta;
use crate::wire::schema::Schema;
use crate::wire::validation::{aggregate, meta::object_meta};

/// The rules for Organizations and Projects.
pub(super) struct Rules(Vec<(Arc<Resource>, Schema)>);

impl Rules {
    /// The rules of a server with these `--reserved-names`.
    ///
    /// # Errors
    /// When a kind's schema cannot be read, which would be a defect of ours.
    pub(super) fn new(reserved_names: Vec<String>) -> Result<Self, String> {
        let registry = groups::registry(&groups::Options {
            reserved_names,
            ..groups::Options::default()
        });
        let stored = registry
            .resources()
            .filter(|resource| resource.group_version.group == STORAGE);
        let read = stored.map(|resource| Ok((resource.clone(), Schema::parse(resource.schema())?)));
        read.collect::<Result<_, String>>().map(Self)
    }

    /// Why the server will refuse a new object, in its words.
    pub(super) fn refusal(&self, object: &Value) -> Option<String> {
        let kind = meta::kind(object);
        let (resource, schema) = self.0.iter().find(|(resource, _)| resource.stored.kind == kind)?;
        let strategy = resource.strategy();
        let mut errors = object_meta(object, resource.stored.namespaced, strategy.name_rule());
        errors.extend(schema.validate(object));
        if errors.is_empty() {
            errors.extend(strategy.validate_create(object));
            errors.extend(strategy.validate(object));
        }
        let told = || format!("{kind} {}: {}", meta::name(object), aggregate(&errors));
        (!errors.is_empty()).then(told)
    }
}
