//! `authorizer`: what the caller, or a service account, may do (k8s.io/apiserver pkg/cel/library/authz.go).
//!
//! An evaluation runs on a thread of its own, so that it may wait for the answer; the time that it has counts.

use std::fmt;
use std::sync::Arc;

use kube::core::cel::cel::Value;
use kube::core::cel::cel::objects::Opaque;
use tokio::runtime::Handle;

use super::budget::Budget;
use super::error::Failure;
use super::value::string;
use crate::authz::{Attributes, Authorizer as Decides, Decision, ResourceAttributes};
use crate::wire::selector::{FieldSelector, LabelSelector};
use crate::wire::user::UserInfo;
use crate::wire::validation::names::{dns1123_label, dns1123_subdomain};

/// Who is asked, for whom, about what.
#[derive(Clone)]
pub struct Authorizer {
    decides: Arc<dyn Decides>,
    user: Arc<UserInfo>,
    /// What the request itself is about: `authorizer.requestResource`.
    request: ResourceAttributes,
    runtime: Handle,
}

/// What the functions pass along.
#[derive(Clone)]
pub(super) enum Check {
    Caller(Authorizer),
    Group(Authorizer, String),
    Resource(Authorizer, ResourceAttributes),
    Path(Authorizer, String),
    Decision(Result<Decision, String>),
}

impl Authorizer {
    /// Asks `decides` about `user`. Needs a runtime around.
    pub fn new(decides: Arc<dyn Decides>, user: Arc<UserInfo>, request: ResourceAttributes) -> Self {
        Self {
            decides,
            user,
            request,
            runtime: Handle::current(),
        }
    }

    /// The value of a name of an expression.
    pub(super) fn named(&self, name: &str) -> Option<Value> {
        let check = match name {
            "authorizer" => Check::Caller(self.clone()),
            // `authorizer.requestResource` is one name to the Go server; see `lower`.
            REQUEST_RESOURCE => Check::Resource(self.clone(), self.request.clone()),
            _ => return None,
        };
        Some(Value::Opaque(Arc::new(check)))
    }

    fn ask(&self, attributes: &Attributes, budget: &mut Budget) -> Result<Check, Failure> {
        let left = budget.time_left()?;
        budget.spend(350_000)?;
        let asked = async { tokio::time::timeout(left, self.decides.authorize(&self.user, attributes)).await };
        match self.runtime.block_on(asked) {
            Ok(decision) => Ok(Check::Decision(decision)),
            Err(_) => Err(Failure::OutOfTime),
        }
    }
}

/// The name of `authorizer.requestResource` in a tree.
pub(super) const REQUEST_RESOURCE: &str = "authorizer.requestResource";

/// What can be asked of it.
pub(super) const METHODS: [&str; 14] = [
    "allowed",
    "check",
    "error",
    "errored",
    "fieldSelector",
    "group",
    "labelSelector",
    "name",
    "namespace",
    "path",
    "reason",
    "resource",
    "serviceAccount",
    "subresource",
];

/// What a value of an expression is of all this, if it is.
pub(super) fn of(value: &Value) -> Option<Check> {
    match value {
        Value::Opaque(opaque) => opaque.downcast_ref::<Check>().cloned(),
        _ => None,
    }
}

impl Check {
    pub(super) fn call(self, name: &str, arguments: &[Value], budget: &mut Budget) -> Result<Value, Failure> {
        let texts: Option<Vec<&str>> = arguments
            .iter()
            .map(|value| match value {
                Value::String(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let next = match (self, name, texts.as_deref()) {
            (Self::Caller(of), "group", Some([group])) => Self::Group(of, (*group).to_owned()),
            (Self::Caller(of), "path", Some([path])) => {
                if path.trim().is_empty() {
                    return Err(Failure::new("path must not be empty"));
                }
                Self::Path(of, (*path).to_owned())
            }
            (Self::Caller(of), "serviceAccount", Some([namespace, name])) => {
                Self::Caller(service_account(of, namespace, name)?)
            }
            (Self::Group(of, group), "resource", Some([resource])) => {
                if resource.trim().is_empty() {
                    return Err(Failure::new("resource must not be empty"));
                }
                Self::Resource(
                    of,
                    ResourceAttributes {
                        group,
                        resource: (*resource).to_owned(),
                        version: "*".to_owned(),
                        ..ResourceAttributes::default()
                    },
                )
            }
            (Self::Resource(of, mut about), _, Some([text])) if name != "check" => {
                match name {
                    "subresource" => about.subresource = (*text).to_owned(),
                    "namespace" => about.namespace = (*text).to_owned(),
                    "name" => about.name = (*text).to_owned(),
                    // One that cannot be read is left out: the question is then about more, never about less.
                    "fieldSelector" => about.field_selector = FieldSelector::parse(text).unwrap_or_default(),
                    "labelSelector" => about.label_selector = LabelSelector::parse(text).unwrap_or_default(),
                    _ => return Err(Failure::overload()),
                }
                Self::Resource(of, about)
            }
            (Self::Resource(of, mut about), "check", Some([verb])) => {
                about.verb = (*verb).to_owned();
                of.ask(&Attributes::Resource(about), budget)?
            }
            (Self::Path(of, path), "check", Some([verb])) => {
                let verb = (*verb).to_owned();
                of.ask(&Attributes::Path { path, verb }, budget)?
            }
            (Self::Decision(decision), _, Some([])) => return said(&decision, name),
            _ => return Err(Failure::overload()),
        };
        Ok(Value::Opaque(Arc::new(next)))
    }
}

fn said(decision: &Result<Decision, String>, name: &str) -> Result<Value, Failure> {
    Ok(match name {
        "allowed" => Value::Bool(matches!(decision, Ok(Decision::Allow { .. }))),
        "errored" => Value::Bool(decision.is_err()),
        "error" => string(decision.as_ref().err().cloned().unwrap_or_default()),
        "reason" => match decision {
            Ok(Decision::Allow { reason } | Decision::Deny { reason }) => string(reason.clone()),
            Err(_) => string(""),
        },
        _ => return Err(Failure::overload()),
    })
}

/// k8s.io/apiserver pkg/authentication/serviceaccount UserInfo
fn service_account(mut of: Authorizer, namespace: &str, name: &str) -> Result<Authorizer, Failure> {
    if !dns1123_subdomain(name).is_empty() {
        return Err(Failure::new("Invalid service account name"));
    }
    if !dns1123_label(namespace).is_empty() {
        return Err(Failure::new("Invalid service account namespace"));
    }
    of.user = Arc::new(UserInfo {
        name: format!("system:serviceaccount:{namespace}:{name}"),
        groups: vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
            "system:authenticated".to_owned(),
        ],
        ..UserInfo::default()
    });
    Ok(of)
}

impl Opaque for Check {
    fn runtime_type_name(&self) -> &str {
        match self {
            Self::Caller(_) => "kubernetes.authorization.Authorizer",
            Self::Group(..) => "kubernetes.authorization.GroupCheck",
            Self::Resource(..) => "kubernetes.authorization.ResourceCheck",
            Self::Path(..) => "kubernetes.authorization.PathCheck",
            Self::Decision(_) => "kubernetes.authorization.Decision",
        }
    }
}

/// Nothing of this is equal to anything.
impl PartialEq for Check {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Eq for Check {}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.runtime_type_name())
    }
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer")
            .field("user", &self.user.name)
            .finish_non_exhaustive()
    }
}
