//! What a user's own Role said before it was cut down to what the Organization may do. The Role itself does not say it: its
//! writers could change it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::columns;
use super::rbac::Rule;
use crate::rest::resource::{Conventions, Edge, Kind, Strategy, schema_of};
use crate::wire::validation::names::{NameRule, name_is_path_segment};

/// A RoleOriginal without its metadata; it lies in the Role's namespace and has its name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RoleOriginal {
    /// What the Role said, and what stands there instead.
    pub spec: RoleOriginalSpec,
}

/// What a Role said, and what stands there instead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleOriginalSpec {
    /// The metadata.uid of the Role: another Role of the same name is another Role.
    #[serde(rename = "roleUID")]
    #[schemars(length(min = 1))]
    pub role_uid: String,
    /// The rules that the Role had when a user wrote it last.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub rules: Vec<Rule>,
    /// What the controllers wrote instead, the latest last; any other rules in the Role are a user's edit.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub written: Vec<Written>,
}

/// Rules that the controllers wrote into a Role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Written {
    /// The rules that were written.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub rules: Vec<Rule>,
}

struct Named;

impl Strategy for Named {
    /// It is called like a Role.
    fn name_rule(&self) -> NameRule {
        name_is_path_segment
    }
}

/// The descriptor of RoleOriginals.
pub fn kind() -> Kind {
    Kind {
        kind: "RoleOriginal".to_owned(),
        singular: "roleoriginal".to_owned(),
        plural: "roleoriginals".to_owned(),
        description:
            "RoleOriginal keeps what a Role of its name and namespace said before the controllers cut it down to \
                      what the Organization may do at most. For controllers and administrators."
                .to_owned(),
        namespaced: true,
        schema: schema_of::<RoleOriginal>(),
        strategy: Arc::new(Named),
        selectable_fields: Vec::new(),
        columns: columns::plain(),
        edge: Edge::Unrestricted,
        conventions: Conventions::CustomResource,
    }
}
