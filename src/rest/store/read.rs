//! One object, or all that a caller sees, from a snapshot that is new enough.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Store, not_found, stale};
use crate::rest::caller::Target;
use crate::storage::Revision;
use crate::visibility::{Audience, Key, Role};
use crate::watchcache::cache::Stale;
use crate::watchcache::log::State;
use crate::watchcache::{Object, Snapshot};
use crate::wire::options::ListOptions;
use crate::wire::status::Status;

/// How new a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As new as the newest commit anywhere.
    Latest,
    /// Whatever there is.
    Any,
    /// At least this revision.
    NotOlderThan(Revision),
}

impl From<Option<Revision>> for Freshness {
    /// The meaning of `resourceVersion` without `resourceVersionMatch`.
    fn from(revision: Option<Revision>) -> Self {
        match revision {
            None => Self::Latest,
            Some(0) => Self::Any,
            Some(revision) => Self::NotOlderThan(revision),
        }
    }
}

impl Store {
    /// A snapshot that is new enough.
    ///
    /// # Errors
    /// 429 while the cache is loaded, 503 without storage, 504 when it does not get there in time.
    pub async fn snapshot(&self, freshness: Freshness) -> Result<Arc<Snapshot>, Status> {
        let snapshot = match freshness {
            Freshness::Latest => self.cache.fresh().await.map_err(|error| match error {
                // Nobody asked for a revision: do not speak of one.
                Stale::Behind { .. } => Status::timeout("the newest revision was not reached in time"),
                error => stale(error),
            }),
            Freshness::Any => self.cache.any().map_err(stale),
            Freshness::NotOlderThan(revision) => self.cache.at_least(revision).await.map_err(stale),
        };
        snapshot.inspect_err(|status| tracing::debug!(internal = status.internal, "no snapshot: {status}"))
    }

    /// One object, if it exists for the caller.
    ///
    /// # Errors
    /// As [`Store::snapshot`], or 404.
    pub async fn get(&self, target: &Target<'_>, freshness: Freshness) -> Result<(Arc<Object>, Arc<Snapshot>), Status> {
        let snapshot = self.snapshot(freshness).await?;
        let object = snapshot.get(target.kind, &target.key()).cloned();
        self.tell_grounds(target, object.as_ref(), &snapshot);
        let visible = object.filter(|object| self.sees(target, object, &snapshot));
        visible
            .map(|object| (object, snapshot))
            .ok_or_else(|| not_found(target))
    }

    /// As [`Store::find`], for a list.
    pub fn select(&self, target: &Target<'_>, options: &ListOptions, snapshot: &Snapshot) -> Vec<Arc<Object>> {
        let seen = self.seen(target.kind);
        let (objects, fetched) = self.walk(target, options, snapshot);
        seen.lists.add(1);
        seen.fetched.add(fetched);
        seen.returned.add(objects.len());
        if target.filtered() && target.namespace.is_empty() && options.field_selector.exact_name().is_none() {
            seen.hidden.add(snapshot.count(target.kind).saturating_sub(fetched));
        }
        objects
    }

    /// Everything in `target`'s place that exists for the caller and matches, in key order.
    pub fn find(&self, target: &Target<'_>, options: &ListOptions, snapshot: &Snapshot) -> Vec<Arc<Object>> {
        self.walk(target, options, snapshot).0
    }

    /// The same, and how many objects were looked at.
    fn walk(&self, target: &Target<'_>, options: &ListOptions, snapshot: &Snapshot) -> (Vec<Arc<Object>>, usize) {
        // A single name needs no list.
        if let Some(name) = options.field_selector.exact_name()
            && (!target.resource.stored.namespaced || !target.namespace.is_empty())
        {
            let object = snapshot.get(target.kind, &target.key_of(name)).cloned();
            let visible = object.filter(|object| self.sees(target, object, snapshot));
            let fetched = usize::from(visible.is_some());
            let found = visible.filter(|object| self.matches(target, options, object));
            return (found.into_iter().collect(), fetched);
        }
        let namespace = Some(target.namespace).filter(|namespace| !namespace.is_empty());
        let mut objects = if target.filtered() {
            snapshot.list_visible(target.kind, &target.caller.subjects, namespace)
        } else {
            snapshot.list(target.kind, namespace)
        };
        let fetched = objects.len();
        if !options.label_selector.is_empty() || !options.field_selector.is_empty() {
            objects.retain(|object| self.matches(target, options, object));
        }
        (objects, fetched)
    }

    /// As [`Store::select`], at an older revision.
    ///
    /// # Errors
    /// 410 when the history is gone, or when the caller has lost sight of anything since (visibility rule V1).
    pub fn select_at(
        &self,
        target: &Target<'_>,
        options: &ListOptions,
        snapshot: &Snapshot,
        revision: Revision,
    ) -> Result<Vec<Arc<Object>>, Status> {
        let expired = || Status::expired("The resourceVersion for the provided list is too old.");
        let subjects = &target.caller.subjects;
        let visible = |state: &&State| !target.filtered() || state.audience.contains(subjects);
        let mut then = BTreeMap::new();
        for entry in snapshot.log().since(revision).ok_or_else(expired)? {
            for change in entry.changes.iter().filter(|change| change.kind == target.kind) {
                let before = change.before.as_ref().filter(visible);
                if before.is_some() && change.after.is_some() && change.after.as_ref().filter(visible).is_none() {
                    return Err(expired());
                }
                then.entry(change.key.clone()).or_insert(before);
            }
        }
        let now = self.select(target, options, snapshot).into_iter();
        let mut objects: BTreeMap<Key, Arc<Object>> = now.map(|object| (object.key.clone(), object)).collect();
        for (key, state) in then {
            objects.remove(&key);
            if let Some(state) = state.filter(|state| self.matches(target, options, &state.object)) {
                objects.insert(key, state.object.clone());
            }
        }
        Ok(objects.into_values().collect())
    }

    /// Who saw the objects at `at` that have changed since: a list of the past tells the roles of then.
    pub fn audiences_at<'a>(
        &self,
        target: &Target<'_>,
        snapshot: &'a Snapshot,
        at: Revision,
    ) -> HashMap<&'a str, &'a Audience> {
        let mut then = HashMap::new();
        for entry in snapshot.log().since(at).into_iter().flatten() {
            for change in entry.changes.iter().filter(|change| change.kind == target.kind) {
                if let Some(before) = &change.before {
                    then.entry(&*change.key).or_insert(&before.audience);
                }
            }
        }
        then
    }

    /// Whether an object is in the target's place and matches the selectors; says nothing of visibility.
    pub fn matches(&self, target: &Target<'_>, options: &ListOptions, object: &Object) -> bool {
        let spec = self.spec(target.kind);
        (target.namespace.is_empty() || target.namespace == object.namespace())
            && options.label_selector.matches(|key| object.label(key))
            && options.field_selector.matches(|field| object.field(spec, field))
    }

    /// The caller's own role; `None` in unfiltered views.
    pub fn role(&self, target: &Target<'_>, object: &Object, snapshot: &Snapshot) -> Option<Role> {
        if !target.filtered() {
            return None;
        }
        // The answer to a write may be ahead of the cache.
        snapshot.audience(target.kind, object).role(&target.caller.subjects)
    }
}
