//! Whose a Namespace is, and what it should carry (tenancy.md R11, R12).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::ObjectMeta;

use super::labels::{ADOPT, ORGANIZATION, OWNER_UID, PROJECT, label};
use super::world::Kind;
use crate::controllers::Key;

/// What the Namespace of some name is to an Organization or a Project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// There is none.
    Absent,
    /// It carries another uid or none.
    Foreign,
    /// The same, and an administrator hands it over.
    Offered,
    /// It carries the uid.
    Ours,
}

/// The name of an object's Namespace.
pub fn name(kind: Kind, key: &Key) -> String {
    match kind {
        Kind::Organization => key.name.clone(),
        Kind::Project => format!("{}-{}", key.namespace, key.name),
    }
}

/// Every Project whose Namespace would be called so.
pub fn splits(namespace: &str) -> impl Iterator<Item = Key> + '_ {
    let dashes = namespace.match_indices('-').map(|(at, _)| at);
    let inner = dashes.filter(move |at| (1..namespace.len() - 1).contains(at));
    inner.map(move |at| Key::new(&namespace[..at], &namespace[at + 1..]))
}

/// Whose it is. The label counts; where somebody has removed it, the annotation does.
pub fn claim(namespace: Option<&Namespace>, kind: Kind, key: &Key, uid: &str) -> Claim {
    let Some(namespace) = namespace else {
        return Claim::Absent;
    };
    if owner_uid(namespace) == Some(uid) {
        return Claim::Ours;
    }
    match label(namespace.metadata.annotations.as_ref(), ADOPT) == Some(&order(kind, key)) {
        true => Claim::Offered,
        false => Claim::Foreign,
    }
}

/// What an administrator writes into the annotation [`ADOPT`] to hand a Namespace over.
pub fn order(kind: Kind, key: &Key) -> String {
    match kind {
        Kind::Organization => format!("organization/{}", key.name),
        Kind::Project => format!("project/{}/{}", key.namespace, key.name),
    }
}

/// The uid of the Organization or Project that owns a Namespace.
pub fn owner_uid(namespace: &Namespace) -> Option<&str> {
    let labelled = label(namespace.metadata.labels.as_ref(), OWNER_UID);
    labelled.or_else(|| label(namespace.metadata.annotations.as_ref(), OWNER_UID))
}

/// Whether it is going away.
pub fn is_terminating(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_some()
}

/// The labels that a Namespace should carry; a Project's names the Organization it belongs to, if it belongs to one.
pub fn labels(kind: Kind, key: &Key, uid: &str, organization: Option<&str>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([(OWNER_UID.to_owned(), uid.to_owned())]);
    if let Some(organization) = organization {
        labels.insert(ORGANIZATION.to_owned(), organization.to_owned());
    }
    if kind == Kind::Project {
        labels.insert(PROJECT.to_owned(), key.name.clone());
    }
    labels
}

/// Whether a Namespace carries these labels, and the uid as an annotation too.
pub fn carries(namespace: &Namespace, wanted: &BTreeMap<String, String>) -> bool {
    let labels = namespace.metadata.labels.as_ref();
    let annotated = label(namespace.metadata.annotations.as_ref(), OWNER_UID);
    let mut all = wanted.iter();
    all.all(|(name, value)| label(labels, name) == Some(value))
        && annotated == wanted.get(OWNER_UID).map(String::as_str)
}

/// A Namespace to create.
pub fn new(name: &str, labels: BTreeMap<String, String>) -> Namespace {
    let uid = labels.get(OWNER_UID).cloned().unwrap_or_default();
    Namespace {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels),
            annotations: Some(BTreeMap::from([(OWNER_UID.to_owned(), uid)])),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}
