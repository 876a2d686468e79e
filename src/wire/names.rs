//! Names of kinds and resources, as messages and paths spell them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An API group and version; the legacy group is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupVersion {
    /// For example `apiserver.bulward.io`.
    pub group: String,
    /// For example `v1alpha1`.
    pub version: String,
}

/// A resource of a group: `organizations.apiserver.bulward.io`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupResource {
    /// The API group.
    pub group: String,
    /// The plural name.
    pub resource: String,
}

/// A kind of a group: `Organization.apiserver.bulward.io`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKind {
    /// The API group.
    pub group: String,
    /// The kind.
    pub kind: String,
}

impl GroupVersion {
    /// Names a version of a group.
    pub fn new(group: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
        }
    }

    /// Where it is served: `/apis/<group>/<version>`, or `/api/<version>` for the legacy group.
    pub fn path(&self) -> String {
        format!("{}/{}", group_path(&self.group), self.version)
    }
}

/// Where a group is served: `/apis/<group>`, or `/api` for the legacy group.
pub fn group_path(group: &str) -> String {
    if group.is_empty() {
        "/api".to_owned()
    } else {
        format!("/apis/{group}")
    }
}

impl fmt::Display for GroupVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.version)
        } else {
            write!(f, "{}/{}", self.group, self.version)
        }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        dotted(f, &self.resource, &self.group)
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        dotted(f, &self.kind, &self.group)
    }
}

fn dotted(f: &mut fmt::Formatter<'_>, name: &str, group: &str) -> fmt::Result {
    if group.is_empty() {
        f.write_str(name)
    } else {
        write!(f, "{name}.{group}")
    }
}
