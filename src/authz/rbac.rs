//! RBAC: what roles and their bindings allow, for a server that holds them itself.
//!
//! Ported from k8s.io/kubernetes plugin/pkg/auth/authorizer/rbac and pkg/registry/rbac/validation. Pure: whoever holds the
//! objects keeps a [`Policy`] up to date with [`Policy::put`].

mod binding;
mod policy;
mod rule;
#[cfg(test)]
mod tests;

pub use crate::wire::rbac::Rule;
pub use binding::{Binding, RoleRef};
pub use policy::{Part, Policy};
