//! Organization: cluster-scoped, gets the namespace of its name.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::facts;
use super::reserved::Reserved;
use super::{columns, subjects};
use crate::rest::resource::{Edge, Kind, Strategy, schema_of};
use crate::wire::subject::Subject;
use crate::wire::validation::FieldError;
use crate::wire::validation::names::{NameRule, name_is_dns_label};

/// An Organization without its metadata.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Organization {
    /// What the Organization should be: who owns it, and how people call it.
    pub spec: OrganizationSpec,
    /// What the controllers found: the namespace, the members, whether it is ready. Read-only for users.
    #[serde(default)]
    pub status: Status,
}

/// What an Organization should be.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OrganizationSpec {
    /// Names for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DisplayMetadata")]
    pub metadata: Option<DisplayMetadata>,
    /// Subjects that own the Organization: they may change and delete it. At least one; whoever creates an Organization
    /// must be among them.
    #[schemars(length(min = 1), extend("x-kubernetes-list-type" = "atomic"))]
    pub owners: Vec<Subject>,
}

/// Names for people to read.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DisplayMetadata {
    /// The name to show to people, for example in a user interface.
    #[schemars(length(min = 1))]
    pub display_name: String,
    /// One or two sentences on what it is for.
    #[schemars(length(min = 1))]
    pub description: String,
}

/// What the controllers found, for Organizations and Projects alike.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// Subjects of the RoleBindings in the namespace, and for an Organization those of its ready Projects: they see the object.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub members: Vec<Subject>,
    /// Members of an Organization by RoleBindings of its own namespace, without those of its Projects: they may create
    /// Projects. Left out when it would equal members.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub own_members: Vec<Subject>,
    /// The namespace that belongs to the object.
    pub namespace: NamespaceReference,
    /// The latest observations; type Ready is the one to wait for.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Summary of the conditions for display: Ready, NotReady, Unknown or Terminating.
    #[schemars(extend("enum" = ["Ready", "NotReady", "Unknown", "Terminating"]))]
    pub phase: String,
    /// The metadata.generation that the controllers last acted upon.
    pub observed_generation: i64,
}

/// A reference to a namespace.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NamespaceReference {
    /// The namespace's name.
    pub name: String,
}

/// One observation of the state.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is observed, for example Ready.
    pub r#type: String,
    /// True, False or Unknown.
    #[schemars(extend("enum" = ["True", "False", "Unknown"]))]
    pub status: String,
    /// When the status changed last.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// Why, in one word.
    #[serde(default)]
    pub reason: String,
    /// Why, in a sentence.
    #[serde(default)]
    pub message: String,
}

struct Rules {
    reserved: Arc<Reserved>,
}

/// The descriptor of Organizations.
pub fn kind(reserved: Arc<Reserved>) -> Kind {
    Kind {
        kind: "Organization".to_owned(),
        singular: "organization".to_owned(),
        plural: "organizations".to_owned(),
        description:
            "Organization is a tenant: it owns a namespace of its name, holds Projects, and is seen only by its \
                      owners and members."
                .to_owned(),
        namespaced: false,
        schema: schema_of::<Organization>(),
        strategy: Arc::new(Rules { reserved }),
        selectable_fields: vec!["status.phase".to_owned()],
        columns: columns::organization(),
        edge: Edge::Members {
            facts,
            through: Some("projects".to_owned()),
            parent: None,
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
        refuse_reserved(&self.reserved, name, name).into_iter().collect()
    }
}

/// Fills the subjects' API groups in spec and status.
pub(super) fn default_subjects(object: &mut Value) {
    for path in ["/spec/owners", "/status/members", "/status/ownMembers"] {
        if let Some(list) = object.pointer_mut(path) {
            subjects::default(list);
        }
    }
}

/// What is wrong with the subjects in the status.
pub(super) fn validate_members(object: &Value) -> Vec<FieldError> {
    let mut errors = subjects::validate("status.members", &object["status"]["members"]);
    errors.extend(subjects::validate("status.ownMembers", &object["status"]["ownMembers"]));
    errors
}

/// Refuses a name whose namespace is reserved.
pub(super) fn refuse_reserved(reserved: &Reserved, name: &str, namespace: &str) -> Option<FieldError> {
    let pattern = reserved.pattern(namespace)?;
    let detail = format!("the namespace name {namespace:?} is reserved by {pattern:?}, choose another name");
    Some(FieldError::invalid("metadata.name", name, &detail))
}
