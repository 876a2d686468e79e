//! What query strings (and the bodies of deletions) ask for.
//!
//! Follows k8s.io/apimachinery pkg/apis/meta/{v1,internalversion} conversion, defaults and validation.

mod delete;
mod list;
mod query;
mod sent;
mod write;

pub use delete::{DeleteOptions, Preconditions, Propagation};
pub use list::{GetOptions, ListOptions, VersionMatch, parse_resource_version};
pub use query::Query;
pub use sent::Sent;
pub use write::{
    CreateOptions, FIELD_MANAGER_LIMIT, FieldValidation, PatchOptions, UpdateOptions, manager_from_user_agent,
    validate_field_manager,
};

use super::names::GroupKind;
use super::status::Status;
use super::validation::FieldError;

/// 422 for options of `kind` if there are errors.
fn refuse(kind: &str, errors: &[FieldError]) -> Result<(), Status> {
    if errors.is_empty() {
        return Ok(());
    }
    let kind = GroupKind {
        group: "meta.k8s.io".to_owned(),
        kind: kind.to_owned(),
    };
    Err(Status::invalid(&kind, "", errors))
}

#[cfg(test)]
mod tests;
