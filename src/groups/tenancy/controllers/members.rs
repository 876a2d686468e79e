//! Who is a member: the subjects of the RoleBindings that exist (tenancy.md R5).

use std::sync::Arc;

use k8s_openapi::api::rbac::v1::{RoleBinding, Subject as RbacSubject};

use super::labels::is_for_everyone;
use super::status::is_ready;
use super::world::Tenant;
use crate::wire::subject::{RBAC_GROUP, Subject};

/// The members that the RoleBindings of a namespace make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Sorted, each once.
    pub members: Vec<Subject>,
    /// Subjects that nobody can be, as people should hear of them.
    pub skipped: Vec<String>,
}

/// Takes the RoleBindings of a namespace together. Those that a controller wrote for `Everyone` make nobody a member.
pub fn bound(bindings: &[Arc<RoleBinding>], owner_uid: &str) -> Bound {
    let mut bound = Bound::default();
    for binding in bindings {
        if is_for_everyone(binding, owner_uid) {
            continue;
        }
        for subject in binding.subjects.iter().flatten() {
            match member(subject) {
                Some(member) => bound.members.push(member),
                None => {
                    let name = binding.metadata.name.as_deref().unwrap_or_default();
                    let (kind, subject) = (&subject.kind, &subject.name);
                    bound
                        .skipped
                        .push(format!("{kind} {subject:?} of RoleBinding {name:?}"));
                }
            }
        }
    }
    sort(&mut bound.members);
    bound
}

/// The members of an Organization: its own, and those of its ready Projects.
pub fn with_projects(own: &[Subject], projects: &[Arc<Tenant>]) -> Vec<Subject> {
    let statuses = projects.iter().filter_map(|project| project.status.as_deref());
    let inherited = statuses
        .filter(|status| is_ready(status))
        .flat_map(|status| &status.members);
    let mut all: Vec<Subject> = own.iter().chain(inherited).cloned().collect();
    sort(&mut all);
    all
}

/// A subject as it may stand in a status: as kube-apiserver returns it; `None` for one that matches nobody.
fn member(subject: &RbacSubject) -> Option<Subject> {
    let group = subject.api_group.clone().unwrap_or_default();
    let namespace = subject.namespace.clone().unwrap_or_default();
    let fits = match subject.kind.as_str() {
        "User" | "Group" => group == RBAC_GROUP && namespace.is_empty(),
        "ServiceAccount" => group.is_empty() && !namespace.is_empty(),
        _ => false,
    };
    (fits && !subject.name.is_empty()).then(|| Subject {
        api_group: group,
        kind: subject.kind.clone(),
        name: subject.name.clone(),
        namespace,
    })
}

/// In the order of their string forms, in which the kind comes first. Duplicates go.
fn sort(subjects: &mut Vec<Subject>) {
    fn fields(subject: &Subject) -> [&str; 4] {
        [&subject.kind, &subject.api_group, &subject.name, &subject.namespace]
    }
    subjects.sort_unstable_by(|a, b| fields(a).cmp(&fields(b)));
    subjects.dedup();
}

#[cfg(test)]
mod tests;
