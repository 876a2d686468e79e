//! Project: lives in an Organization's namespace, gets the namespace `<namespace>-<name>`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::columns;
use super::facts::facts;
use super::organization::Status;
use super::reserved::Reserved;
use super::rules::Rules;
use crate::rest::resource::{Conventions, Edge, Guard, Kind, schema_of};
use crate::wire::subject::Subject;

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

/// The descriptor of Projects; `guard` says what not everybody may write.
pub fn kind(reserved: Arc<Reserved>, guard: Option<Guard>) -> Kind {
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
        strategy: Arc::new(Rules { reserved, guard }),
        selectable_fields: vec!["status.phase".to_owned()],
        columns: columns::project(),
        edge: Edge::Members {
            facts,
            through: None,
            parent: Some("organizations".to_owned()),
        },
        conventions: Conventions::CustomResource,
    }
}
