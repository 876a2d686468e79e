//! Labels and annotations by which controllers know what is theirs: the one place in which they are written down.
//!
//! A label proves nothing by itself, since whoever may write an object may label it. A Namespace belongs to the Organization
//! or Project whose uid it carries: a namespace can only be labelled by administrators and by us, and an Organization that
//! was made anew under an old name has another uid. What a controller makes in a namespace carries, besides its maker, the
//! uid of the object that owns the namespace: a copy in another namespace is its user's own.

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::RoleBinding;

/// On a Namespace: the Organization it belongs to, or that its Project belongs to.
pub const ORGANIZATION: &str = "bulward.io/organization";
/// On a Namespace: the Project it belongs to.
pub const PROJECT: &str = "bulward.io/project";
/// On a Namespace, as label and as annotation: the uid of the Organization or Project it belongs to. The annotation is what
/// is left when somebody removes the label. On what a controller made inside a namespace: the uid of the object that owns
/// the namespace.
pub const OWNER_UID: &str = "bulward.io/owner-uid";
/// An annotation by which an administrator hands over a Namespace: `organization/<name>` or `project/<namespace>/<name>`.
pub const ADOPT: &str = "bulward.io/adopt";

/// On what a controller made inside a namespace: the kind of its maker in lower case, such as `organizationroletemplate`.
pub const MANAGED_BY: &str = "bulward.io/managed-by";
/// On the same: the maker's uid.
pub const MAKER_UID: &str = "bulward.io/maker-uid";
/// An annotation on the same: the maker's name, for people (a template's name may hold what a label may not).
pub const MAKER: &str = "bulward.io/maker";
/// On a RoleBinding that a controller wrote for `Everyone`: `true`. It makes nobody a member, or a membership could never be
/// revoked. It counts together with [`MANAGED_BY`] and the [`OWNER_UID`] of the namespace's owner alone.
pub const EVERYONE: &str = "bulward.io/everyone";
/// On a Role of a user's: nothing is cut off from it, whatever its value is.
pub const EXEMPT: &str = "bulward.io/exempt";

/// Finalizer of Organizations.
pub const ORGANIZATION_FINALIZER: &str = "organization.bulward.io/controller";
/// Finalizer of Projects.
pub const PROJECT_FINALIZER: &str = "project.bulward.io/controller";

/// A label's value.
pub fn label<'a>(labels: Option<&'a BTreeMap<String, String>>, name: &str) -> Option<&'a str> {
    labels?.get(name).map(String::as_str)
}

/// Whether a controller wrote this binding for `Everyone` of the Organization or Project of this uid, so that its subjects
/// are no members by it.
pub fn is_for_everyone(binding: &RoleBinding, owner_uid: &str) -> bool {
    let labels = binding.metadata.labels.as_ref();
    label(labels, EVERYONE) == Some("true")
        && label(labels, MANAGED_BY).is_some()
        && label(labels, OWNER_UID) == Some(owner_uid)
}
