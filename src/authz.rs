//! May they: always-allowed paths, `system:masters`, and for everybody else SubjectAccessReview, or the rules of RBAC where no
//! cluster can be asked.

use async_trait::async_trait;
use serde_json::Value;

use crate::wire::selector::{FieldSelector, LabelSelector};
use crate::wire::user::UserInfo;

mod forbidden;
mod local;
mod masters;
mod paths;
pub mod rbac;
mod subject_access;
mod union;

pub use local::Local;
pub use masters::Masters;
pub use paths::{AlwaysAllowPaths, PathError};
pub use subject_access::{AccessOptions, ClusterAccessReviewer, SubjectAccessReviewAuthorizer, SubjectAccessReviewer};
pub use union::Union;

/// What is to be decided (k8s.io/apiserver pkg/authorization/authorizer Attributes).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attributes {
    /// A request for a resource.
    Resource(ResourceAttributes),
    /// Any other request.
    Path {
        /// The request's path.
        path: String,
        /// The HTTP method in lower case.
        verb: String,
    },
}

/// A request for a resource; all strings as RBAC names them, empty where they do not apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ResourceAttributes {
    /// get, list, watch, create, update, patch, delete, deletecollection, …
    pub verb: String,
    /// The API group.
    pub group: String,
    /// The API version.
    pub version: String,
    /// The plural resource name.
    pub resource: String,
    /// For example `status`.
    pub subresource: String,
    /// The namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// Which objects, by their fields; of a list, a watch or a deletion of a collection.
    pub field_selector: FieldSelector,
    /// Which objects, by their labels.
    pub label_selector: LabelSelector,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Allow {
        /// For the audit log.
        reason: String,
    },
    /// 403 with this reason, which may be empty.
    Deny {
        /// Appended to the message.
        reason: String,
    },
}

/// Decides whether a caller may do something.
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// Decides. An error means that no decision could be had; the request ends with 500.
    async fn authorize(&self, user: &UserInfo, attributes: &Attributes) -> Result<Decision, String>;

    /// What a caller may do in a namespace, as far as it can be told without a question
    /// (k8s.io/apiserver pkg/authorization/authorizer RuleResolver).
    async fn rules(&self, _user: &UserInfo, _namespace: &str) -> Rules {
        Rules::default()
    }
}

/// What a caller may do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Entries of `status.resourceRules` in a SelfSubjectRulesReview.
    pub resources: Vec<Value>,
    /// Entries of `status.nonResourceRules`.
    pub paths: Vec<Value>,
    /// Whether there is more that could not be found out.
    pub incomplete: bool,
    /// Why.
    pub error: String,
}

// === impl Decision ===

impl Decision {
    /// Go on, for no reason worth telling.
    pub fn allow() -> Self {
        Self::Allow { reason: String::new() }
    }

    /// 403, for no reason worth telling.
    pub fn deny() -> Self {
        Self::Deny { reason: String::new() }
    }
}
