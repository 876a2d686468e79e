//! The 403 that a denial turns into, in Kubernetes' own words.
//!
//! k8s.io/apiserver pkg/endpoints/handlers/responsewriters/errors.go ForbiddenStatusError,
//! k8s.io/apimachinery pkg/api/errors/errors.go NewForbidden.

use super::{Attributes, ResourceAttributes};
use crate::wire::{
    names::GroupResource,
    quote::go_quote,
    status::{Details, Status},
    user::UserInfo,
};

impl Attributes {
    /// The 403 for `user`; `reason` is appended unless it is empty.
    pub fn forbidden(&self, user: &UserInfo, reason: &str) -> Status {
        let user = go_quote(&user.name);
        let suffix = if reason.is_empty() {
            String::new()
        } else {
            format!(": {reason}")
        };
        match self {
            Self::Path { path, verb } => {
                let what = harmless(&format!("User {user} cannot {verb} path {}", go_quote(path)));
                let message = format!("forbidden: {what}{suffix}");
                Status::new(403, "Forbidden", message).with_details(Details::default())
            }
            Self::Resource(resource) => {
                let what = harmless(&format!("User {user} cannot {}", action(resource)));
                let subject = GroupResource {
                    group: resource.group.clone(),
                    resource: resource.resource.clone(),
                };
                let named = if resource.name.is_empty() {
                    String::new()
                } else {
                    format!(" {}", go_quote(&resource.name))
                };
                let message = format!("{subject}{named} is forbidden: {what}{suffix}");
                Status::new(403, "Forbidden", message).with_details(Details {
                    name: resource.name.clone(),
                    group: resource.group.clone(),
                    kind: resource.resource.clone(),
                    ..Details::default()
                })
            }
        }
    }
}

/// `list resource "flunders/status" in API group "g" in the namespace "ns"`.
fn action(attributes: &ResourceAttributes) -> String {
    let resource = if attributes.subresource.is_empty() {
        attributes.resource.clone()
    } else {
        format!("{}/{}", attributes.resource, attributes.subresource)
    };
    let scope = if attributes.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {}", go_quote(&attributes.namespace))
    };
    format!(
        "{} resource {} in API group {} {scope}",
        attributes.verb,
        go_quote(&resource),
        go_quote(&attributes.group)
    )
}

/// Nothing that could be taken for HTML.
fn harmless(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
