//! Project: lives in an Organization's namespace, gets the namespace `<namespace>-<name>`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::facts;
use super::organization::{Status, default_subjects, refuse_reserved, validate_members};
use super::reserved::Reserved;
use super::{columns, subjects};
use crate::rest::resource::{Edge, Kind, Strategy, schema_of};
use crate::wire::subject::Subject;
use crate::wire::validation::FieldError;
use crate::wire::validation::names::{NameRule, name_is_dns_label};

/// The longest name of a namespace.
const LONGEST: usize = 63;

/// A Project without its metadata.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Project {
    /// What the Project should be: who owns it.
    pub spec: ProjectSpec,
    /// What the controllers found: the namespace, the members, whether it is ready. Read-only for users.
    #[serde(default)]
    pub status: Status,
}

/// What a Project should be.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProjectSpec {
    /// Subjects that own the Project: they may change and delete it. At least one; whoever creates a Project must be
    /// among them.
    #[schemars(length(min = 1), extend("x-kubernetes-list-type" = "atomic"))]
    pub owners: Vec<Subject>,
}

struct Rules {
    reserved: Arc<Reserved>,
}

/// The descriptor of Projects.
pub fn kind(reserved: Arc<Reserved>) -> Kind {
    Kind {
        kind: "Project".to_owned(),
        singular: "project".to_owned(),
        plural: "projects".to_owned(),
        description:
            "Project is a part of an Organization: it lives in the Organization's namespace, owns a namespace \
                      <organization namespace>-<name>, and is seen only by its owners and members."
                .to_owned(),
        namespaced: true,
        schema: schema_of::<Project>(),
        strategy: Arc::new(Rules { reserved }),
        selectable_fields: vec!["status.phase".to_owned()],
        columns: columns::project(),
        edge: Edge::Members {
            facts,
            through: None,
            parent: Some("organizations".to_owned()),
        },
    }
}

impl Strategy for Rules {
    fn name_rule(&self) -> NameRule {
        name_is_dns_label
    }

    fn default(&self, object: &mut Value) {
        default_subjects(object);
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        subjects::validate("spec.owners", &object["spec"]["owners"])
    }

    fn validate_status(&self, object: &Value) -> Vec<FieldError> {
        validate_members(object)
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let mut errors = Vec::new();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let own = format!("{namespace}-{name}");
        if own.len() > LONGEST {
            let detail = format!("the Project's namespace would be {own:?}, which is longer than {LONGEST} characters");
            errors.push(FieldError::invalid("metadata.name", name, &detail));
        }
        errors.extend(refuse_reserved(&self.reserved, name, &own));
        errors
    }
}
