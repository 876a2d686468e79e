//! Who sees what, by brute force and word for word (the specification's terms); nothing is shared with the server's index.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::{History, Key, Kind, Version, Who};

/// The store at one revision.
pub(crate) struct Model {
    objects: BTreeMap<Key, Arc<Version>>,
    /// For each caller and subject, whether the one is the other.
    matching: Vec<Vec<bool>>,
    everything: Vec<bool>,
}

impl Model {
    /// An empty store, and who is meant by which subject.
    pub(crate) fn new(history: &History) -> Self {
        let row = |who: &Who| history.subjects.iter().map(|subject| is(who, subject)).collect();
        Self {
            objects: BTreeMap::new(),
            matching: history.who.iter().map(row).collect(),
            everything: history.who.iter().map(|who| who.everything).collect(),
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Version>> {
        self.objects.get(key)
    }

    pub(crate) fn put(&mut self, key: &Key, version: Option<Arc<Version>>) {
        match version {
            Some(version) => self.objects.insert(key.clone(), version),
            None => self.objects.remove(key),
        };
    }

    /// Objects of a kind, in the order of keys.
    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Arc<Version>> {
        self.objects.values().filter(move |version| version.key.kind == kind)
    }

    pub(crate) fn owns(&self, who: usize, version: &Version) -> bool {
        version
            .owners
            .iter()
            .any(|subject| self.matching[who][*subject as usize])
    }

    /// caller ∈ members(o) = owners(o) ∪ `status.members`.
    fn named(&self, who: usize, version: &Version) -> bool {
        self.owns(who, version)
            || version
                .members
                .iter()
                .any(|subject| self.matching[who][*subject as usize])
    }

    /// The Projects in the namespace of an Organization of which the caller is a member.
    fn through<'a>(&'a self, who: usize, version: &'a Version) -> impl Iterator<Item = &'a Arc<Version>> {
        let claims = version.key.kind == Kind::Organizations && !version.claim.is_empty();
        let projects = self.of_kind(Kind::Projects).filter(move |_| claims);
        projects.filter(move |project| project.key.split().0 == &*version.claim && self.named(who, project))
    }

    /// visible(caller, o), everything read at this revision; an unfiltered view shows all.
    pub(crate) fn visible(&self, who: usize, version: &Version) -> bool {
        self.everything[who] || self.named(who, version) || self.through(who, version).next().is_some()
    }

    /// The ROLE cell; the unfiltered view has none.
    pub(crate) fn role(&self, who: usize, version: &Version) -> Option<String> {
        if self.everything[who] {
            return None;
        }
        if self.owns(who, version) {
            return Some("owner".to_owned());
        }
        if self.named(who, version) {
            return Some("member".to_owned());
        }
        let mut through = self.through(who, version);
        through
            .next()
            .map(|project| format!("via project {}", project.key.split().1))
    }

    /// The objects whose visibility a change of `key` may change: itself, and for a Project the Organizations that claim
    /// its namespace.
    pub(crate) fn affected(&self, key: &Key) -> Vec<Key> {
        let mut affected = vec![key.clone()];
        if key.kind == Kind::Projects {
            let (namespace, _) = key.split();
            let organizations = self.of_kind(Kind::Organizations);
            let claiming = organizations.filter(|version| *version.claim == *namespace);
            affected.extend(claiming.map(|version| version.key.clone()));
        }
        affected
    }
}

/// As RBAC matches a subject and a caller.
pub(super) fn is(who: &Who, subject: &str) -> bool {
    let Some((kind, name)) = subject.split_once('/') else {
        return false;
    };
    match kind {
        "User" => who.name == name,
        "Group" => who.groups.iter().any(|group| group == name),
        "ServiceAccount" => name
            .split_once('/')
            .is_some_and(|(namespace, name)| who.name == format!("system:serviceaccount:{namespace}:{name}")),
        _ => false,
    }
}
