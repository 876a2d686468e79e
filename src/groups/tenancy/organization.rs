//! Organization: cluster-scoped, gets the namespace of its name.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::columns;
use super::facts::facts;
use super::reserved::Reserved;
use super::rules::Rules;
use crate::rest::resource::{Conventions, Edge, Kind, schema_of};
use crate::wire::subject::Subject;

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// Subjects of the RoleBindings in the namespace, and for an Organization those of its ready Projects: they see the object.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub members: Vec<Subject>,
    /// Members of an Organization by RoleBindings of its own namespace, without those of its Projects: they may create
    /// Projects. Left out when it would equal members.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Subject>", extend("x-kubernetes-list-type" = "atomic"))]
    pub own_members: Option<Vec<Subject>>,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NamespaceReference {
    /// The namespace's name.
    pub name: String,
}

/// One observation of the state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
        strategy: Arc::new(Rules { reserved, guard: None }),
        selectable_fields: vec!["status.phase".to_owned()],
        columns: columns::organization(),
        edge: Edge::Members {
            facts,
            through: Some("projects".to_owned()),
            parent: None,
        },
        conventions: Conventions::CustomResource,
    }
}
