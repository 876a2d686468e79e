//! What makes Roles and RoleBindings: templates for many Organizations or Projects, and the roles that owners write.
//! Group `bulward.io`; RBAC alone guards it.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::organization::{Condition, DisplayMetadata};
use super::rbac::{self, Cut, Rule};
use super::selector::ProjectSelector;
use super::{columns, subjects};
use crate::rest::resource::{Column, Conventions, Edge, Kind, Strategy, schema_of};
use crate::wire::subject::Subject;
use crate::wire::validation::FieldError;
use crate::wire::validation::names::{NameRule, name_is_path_segment};
use crate::wire::validation::selector::label_selector;

/// An OrganizationRoleTemplate without its metadata.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OrganizationRoleTemplate {
    /// What the role grants, where, and to whom.
    pub spec: OrganizationRoleTemplateSpec,
    /// Where the role was made. Written by the controllers.
    #[serde(default)]
    pub status: TemplateStatus,
}

/// What an OrganizationRoleTemplate should make.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationRoleTemplateSpec {
    /// Names for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DisplayMetadata")]
    pub metadata: Option<DisplayMetadata>,
    /// Where the role is made: in the namespaces of Organizations, of Projects, or of both.
    #[schemars(length(min = 1), extend("x-kubernetes-list-type" = "set"))]
    pub scopes: Vec<Level>,
    /// Whom the role is bound to: Owners of the Organization, or Everyone who belongs to the Organization or the Project. Without
    /// it the role is made and bound to nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub bind_to: Vec<BindTo>,
    /// The Projects in whose namespaces the role is made, by their labels; all of them without it. Only with the scope Project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ProjectSelector")]
    pub project_selector: Option<ProjectSelector>,
    /// What the role grants. All templates that apply together are what an Organization may do at most.
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "atomic"))]
    pub rules: Vec<Rule>,
}

/// A ProjectRoleTemplate without its metadata.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProjectRoleTemplate {
    /// What the role grants, in which Projects, and to whom.
    pub spec: ProjectRoleTemplateSpec,
    /// Where the role was made. Written by the controllers.
    #[serde(default)]
    pub status: TemplateStatus,
}

/// What a ProjectRoleTemplate should make.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectRoleTemplateSpec {
    /// Names for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DisplayMetadata")]
    pub metadata: Option<DisplayMetadata>,
    /// Whom the role is bound to: Owners of the Project, or Everyone who owns it or is a member.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub bind_to: Vec<BindTo>,
    /// The Projects in whose namespaces the role is made, by their labels. The empty selector selects all Projects of this
    /// namespace; without any, none is selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ProjectSelector")]
    pub project_selector: Option<ProjectSelector>,
    /// What the role grants, as far as the Organization may do it.
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "atomic"))]
    pub rules: Vec<Rule>,
}

/// An OrganizationRole without its metadata.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OrganizationRole {
    /// What the role grants, and to whom.
    pub spec: OrganizationRoleSpec,
    /// What is granted. Written by the controllers.
    #[serde(default)]
    pub status: RoleStatus,
}

/// What an OrganizationRole should grant in the namespace of its Organization.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct OrganizationRoleSpec {
    /// Whom the role is bound to.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub subjects: Vec<Subject>,
    /// What the role grants, as far as the Organization may do it.
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "atomic"))]
    pub rules: Vec<Rule>,
}

/// A ProjectRole without its metadata.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProjectRole {
    /// What the role grants, in which Projects, and to whom.
    pub spec: ProjectRoleSpec,
    /// What is granted. Written by the controllers.
    #[serde(default)]
    pub status: RoleStatus,
}

/// What a ProjectRole should grant in the namespaces of Projects.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectRoleSpec {
    /// Whom the role is bound to.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub subjects: Vec<Subject>,
    /// The Projects in whose namespaces the role is made, by their labels. The empty selector selects all Projects of this
    /// namespace; without any, none is selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ProjectSelector")]
    pub project_selector: Option<ProjectSelector>,
    /// What the role grants, as far as the Organization may do it.
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "atomic"))]
    pub rules: Vec<Rule>,
}

/// Where something is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// In the namespaces of Organizations.
    Organization,
    /// In the namespaces of Projects.
    Project,
}

/// To whom a template binds its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BindTo {
    /// Owners of the Organization, or, for a ProjectRoleTemplate, of the Project.
    Owners,
    /// Owners and members.
    Everyone,
}

/// One of some words, in a schema as Kubernetes knows it: without a part for each word.
macro_rules! words {
    ($name:ident: $($word:literal),*) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "enum": [$($word),*]})
            }
        }
    };
}

words!(Level: "Organization", "Project");
words!(BindTo: "Everyone", "Owners");

/// What the controllers made of a template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateStatus {
    /// The latest observations; type Ready is the one to wait for.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Summary of the conditions for display: Ready, NotReady, Unknown or Terminating.
    #[schemars(extend("enum" = ["Ready", "NotReady", "Unknown", "Terminating"]))]
    pub phase: String,
    /// The metadata.generation that the controllers last acted upon.
    pub observed_generation: i64,
    /// Organizations and Projects in whose namespaces the role is in place.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub targets: Vec<TargetReference>,
}

/// What the controllers made of an OrganizationRole or a ProjectRole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RoleStatus {
    /// The latest observations; type Ready is the one to wait for.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Summary of the conditions for display: Ready, NotReady, Unknown or Terminating.
    #[schemars(extend("enum" = ["Ready", "NotReady", "Unknown", "Terminating"]))]
    pub phase: String,
    /// The metadata.generation that the controllers last acted upon.
    pub observed_generation: i64,
    /// Organizations and Projects in whose namespaces the role is in place.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub targets: Vec<TargetReference>,
    /// What the role grants in every one of its targets.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub effective_rules: Vec<Rule>,
    /// What the role asks for and does not grant, at least not in every one of its targets.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub cut: Vec<Cut>,
}

/// An Organization or a Project in whose namespace a role was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetReference {
    /// API group of the target.
    pub api_group: String,
    /// Organization or Project, whatever was found.
    #[schemars(extend("enum" = ["Organization", "Project"]))]
    pub kind: String,
    /// Name of the target.
    pub name: String,
    /// Namespace that a Project lies in; empty for an Organization.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The metadata.generation of this object that is in place there.
    pub observed_generation: i64,
}

/// What happens to a maker on its way into the store.
struct Rules;

impl Strategy for Rules {
    /// Their names become those of Roles.
    fn name_rule(&self) -> NameRule {
        name_is_path_segment
    }

    fn default(&self, object: &mut Value) {
        if let Some(list) = object.pointer_mut("/spec/subjects") {
            subjects::default(list);
        }
    }

    fn normalize(&self, object: &mut Value) {
        self.default(object);
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        let spec = &object["spec"];
        let mut errors = rbac::validate("spec.rules", &spec["rules"]);
        errors.extend(subjects::validate("spec.subjects", &spec["subjects"]));
        errors.extend(label_selector(&spec["projectSelector"], "spec.projectSelector"));
        let scopes = spec["scopes"].as_array();
        if spec.get("projectSelector").is_some() && scopes.is_some_and(|all| !all.contains(&"Project".into())) {
            let detail = "only what has the scope Project selects Projects";
            errors.push(FieldError::forbidden("spec.projectSelector", detail));
        }
        errors
    }
}

/// The descriptor of OrganizationRoleTemplates.
pub fn organization_role_template() -> Kind {
    let description = "OrganizationRoleTemplate makes a Role, and binds it, in the namespaces of Organizations and their \
                       Projects. All of them together are what an Organization may do at most.";
    Kind {
        namespaced: false,
        ..kind::<OrganizationRoleTemplate>("OrganizationRoleTemplate", description, columns::templates(true))
    }
}

/// The descriptor of ProjectRoleTemplates.
pub fn project_role_template() -> Kind {
    let description = "ProjectRoleTemplate makes a Role, and binds it, in the namespaces of the Projects that it selects, \
                       as far as their Organization may do it.";
    kind::<ProjectRoleTemplate>("ProjectRoleTemplate", description, columns::templates(false))
}

/// The descriptor of OrganizationRoles.
pub fn organization_role() -> Kind {
    let description = "OrganizationRole grants its subjects something in the namespace of its Organization, as far as the \
                       Organization may do it.";
    kind::<OrganizationRole>("OrganizationRole", description, columns::roles())
}

/// The descriptor of ProjectRoles.
pub fn project_role() -> Kind {
    let description = "ProjectRole grants its subjects something in the namespaces of the Projects that it selects, as far \
                       as their Organization may do it.";
    kind::<ProjectRole>("ProjectRole", description, columns::roles())
}

fn kind<T: JsonSchema>(name: &str, description: &str, columns: Vec<Column>) -> Kind {
    let singular = name.to_lowercase();
    Kind {
        kind: name.to_owned(),
        plural: format!("{singular}s"),
        singular,
        description: description.to_owned(),
        namespaced: true,
        schema: schema_of::<T>(),
        strategy: Arc::new(Rules),
        selectable_fields: Vec::new(),
        columns,
        edge: Edge::Unrestricted,
        conventions: Conventions::CustomResource,
    }
}
