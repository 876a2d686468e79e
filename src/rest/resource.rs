//! Descriptors: everything that the server derives discovery, OpenAPI, tables, manifests and storage keys from.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub use super::conventions::Conventions;
pub use super::review::Review;
pub use super::strategy::{Guard, Strategy};
pub use super::version::{Conversion, Version};
use crate::visibility::Facts;
use crate::wire::names::{GroupKind, GroupResource, GroupVersion};
use crate::wire::protobuf;

/// A kind as it is stored. Several [`Resource`]s may serve it.
pub struct Kind {
    /// `Organization`.
    pub kind: String,
    /// `organization`.
    pub singular: String,
    /// `organizations`; also the first part of the storage key.
    pub plural: String,
    /// One sentence for `kubectl explain`.
    pub description: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// OpenAPI v3 structural schema of the whole object without `apiVersion`, `kind` and `metadata`:
    /// `{"type":"object","properties":{"spec":…,"status":…},"required":["spec"]}`.
    pub schema: Value,
    /// What happens to an object on its way in.
    pub strategy: Arc<dyn Strategy>,
    /// Fields beside `metadata.name` and `metadata.namespace` that a field selector may name, as dotted paths to strings.
    pub selectable_fields: Vec<String>,
    /// The columns of `kubectl get`, NAME first.
    pub columns: Vec<Column>,
    /// Who sees an object of this kind in a filtered view.
    pub edge: Edge,
    /// Which of Kubernetes' own servers it answers like.
    pub conventions: Conventions,
}

/// Where the visibility of a kind comes from.
#[derive(Clone)]
pub enum Edge {
    /// RBAC alone decides.
    Unrestricted,
    /// The object's owners and members see it.
    Members {
        /// Reads owners, members and the claimed namespace from a stored object.
        facts: fn(&Value) -> Facts,
        /// Plural of the kind whose members in the claimed namespace see this object, too.
        through: Option<String>,
        /// Plural of the kind whose claim on a namespace restricts creation of this kind there to its owners and own members.
        parent: Option<String>,
    },
}

/// A column of `kubectl get`.
pub struct Column {
    /// The head, for example `Display Name`.
    pub name: String,
    /// OpenAPI type: string, integer, number, boolean or date.
    pub kind: &'static str,
    /// OpenAPI format; `name` marks the object's name.
    pub format: &'static str,
    /// What the column says.
    pub description: String,
    /// 0 for the default view, greater for `-o wide`.
    pub priority: i32,
    /// How a cell is made.
    pub cell: Cell,
}

/// How a table cell is made.
#[derive(Clone, Copy)]
pub enum Cell {
    /// From the stored object alone; shared by all callers.
    Object(fn(&Value) -> Value),
    /// `metadata.name`.
    Name,
    /// Time since `metadata.creationTimestamp`, as kubectl prints ages.
    Age,
    /// The caller's own role; the column is left out of unfiltered views.
    Role,
}

/// Whether a view shows every object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Callers see what they own or belong to.
    Filtered,
    /// RBAC alone guards it.
    Unfiltered,
}

/// A stored kind as one API group and version serves it.
pub struct Resource {
    /// For example `apiserver.bulward.io/v1alpha1`.
    pub group_version: GroupVersion,
    /// What is stored.
    pub stored: Arc<Kind>,
    /// For `kubectl get <short name>`.
    pub short_names: Vec<String>,
    /// For `kubectl get <category>`.
    pub categories: Vec<String>,
    /// Who sees what here.
    pub access: Access,
    /// Whether `/status` is served.
    pub status_subresource: bool,
    /// What differs here from the stored form; `None` where objects are served as they are stored.
    pub version: Option<Version>,
    /// What `Warning` headers say to those who use this version.
    pub deprecation: Option<String>,
}

/// An API group: what one folder under `groups/` contributes.
pub struct Group {
    /// For example `apiserver.bulward.io`.
    pub name: String,
    /// `groupPriorityMinimum` of its APIServices: which group wins when two serve the same resource name.
    pub priority: i32,
    /// Its resources, all versions; the most preferred version first.
    pub resources: Vec<Arc<Resource>>,
    /// Questions that it answers, of versions that stand behind those of the resources.
    pub reviews: Vec<Review>,
}

/// All groups that this server serves, in the order of their priority.
#[derive(Default)]
pub struct Registry {
    /// The groups.
    pub groups: Vec<Group>,
}

/// The verbs of a resource, as discovery lists them.
pub const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
/// The verbs of `/status`.
pub const STATUS_VERBS: [&str; 3] = ["get", "patch", "update"];
/// The verbs of `/finalize`.
pub const FINALIZE_VERBS: [&str; 1] = ["update"];

impl Registry {
    /// The resource at `/apis/<group>/<version>/…/<plural>`, or at `/api/<version>/…/<plural>` of the legacy group.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        let group = self.groups.iter().find(|candidate| candidate.name == group)?;
        let mut resources = group.resources.iter();
        resources.find(|one| one.group_version.version == version && one.stored.plural == plural)
    }

    /// The question at that place.
    pub fn review(&self, group: &str, version: &str, plural: &str) -> Option<&Review> {
        let group = self.groups.iter().find(|candidate| candidate.name == group)?;
        let mut reviews = group.reviews.iter();
        reviews.find(|one| one.group_version.version == version && one.plural == plural)
    }

    /// The stored kinds, each once, in the order in which they are first served.
    pub fn kinds(&self) -> Vec<Arc<Kind>> {
        let mut kinds: Vec<Arc<Kind>> = Vec::new();
        for resource in self.resources() {
            if !kinds.iter().any(|kind| Arc::ptr_eq(kind, &resource.stored)) {
                kinds.push(resource.stored.clone());
            }
        }
        kinds
    }

    /// Every resource of every group.
    pub fn resources(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.groups.iter().flat_map(|group| &group.resources)
    }
}

impl Group {
    /// Whether it is the one without a name, which is served under `/api`.
    pub fn is_legacy(&self) -> bool {
        self.name.is_empty()
    }

    /// The versions in order of preference.
    pub fn versions(&self) -> Vec<&str> {
        let mut versions: Vec<&str> = Vec::new();
        let resources = self.resources.iter().map(|resource| &resource.group_version);
        let reviews = self.reviews.iter().map(|review| &review.group_version);
        for GroupVersion { version, .. } in resources.chain(reviews) {
            if !versions.contains(&version.as_str()) {
                versions.push(version);
            }
        }
        versions
    }
}

impl Resource {
    /// The schema of the objects as they are served here.
    pub fn schema(&self) -> &Value {
        let version = self.version.as_ref();
        version.map_or(&self.stored.schema, |version| &version.schema)
    }

    /// What happens to an object that is written here.
    pub fn strategy(&self) -> &dyn Strategy {
        let version = self.version.as_ref();
        version.map_or(&*self.stored.strategy, |version| &*version.strategy)
    }

    /// The subresources with their verbs, by name.
    pub fn subresources(&self) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
        let finalize = self.strategy().has_spec_finalizers();
        let finalize = finalize.then_some(("finalize", FINALIZE_VERBS.as_slice()));
        let status = self.status_subresource.then_some(("status", STATUS_VERBS.as_slice()));
        finalize.into_iter().chain(status)
    }

    /// Turns a stored object into one of this version.
    pub fn serve(&self, object: &mut Value) {
        if let Some(version) = &self.version {
            version.conversion.to_served(object);
        }
    }

    /// Turns an object of this version into a stored one.
    pub fn store(&self, object: &mut Value) {
        if let Some(version) = &self.version {
            version.conversion.to_stored(object);
        }
    }

    /// An object of this version with its `apiVersion` and `kind`.
    pub fn complete(&self, mut object: Value) -> Value {
        object["apiVersion"] = self.group_version.to_string().into();
        object["kind"] = self.stored.kind.clone().into();
        object
    }

    /// Whether these are the namespaces that other objects live in.
    pub fn is_namespace(&self) -> bool {
        self.group_version.group.is_empty() && self.stored.kind == "Namespace"
    }

    /// Whether objects can be read and written as protobuf.
    pub fn has_protobuf(&self) -> bool {
        protobuf::has_form(&self.group_version.to_string(), &self.stored.kind)
    }

    /// `organizations.apiserver.bulward.io`.
    pub fn group_resource(&self) -> GroupResource {
        GroupResource {
            group: self.group_version.group.clone(),
            resource: self.stored.plural.clone(),
        }
    }

    /// `Organization.apiserver.bulward.io`.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind {
            group: self.group_version.group.clone(),
            kind: self.stored.kind.clone(),
        }
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.group_version, self.stored.plural)
    }
}

/// The structural schema of a Rust type: everything inlined, nothing but OpenAPI v3.
pub fn schema_of<T: schemars::JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    schema
}

/// Removes what JSON Schema knows and Kubernetes' structural schemas do not: titles, and defaults that only mirror
/// Rust's `Default`. The lines of a doc comment become one: where they end says nothing.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let is_schema = members.get("type").is_some_and(Value::is_string);
            if is_schema {
                members.remove("title");
                members.remove("default");
            }
            if let Some(Value::String(description)) = members.get_mut("description") {
                let paragraphs = description.split("\n\n").map(|lines| lines.replace('\n', " "));
                *description = paragraphs.collect::<Vec<_>>().join("\n\n");
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
