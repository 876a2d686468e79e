//! What the server itself decides about an object's metadata.
//!
//! Ported from k8s.io/apiserver pkg/registry/rest (meta.go, create.go, update.go, delete.go); the rule on finalizers under
//! `bulward.io` is ours (visibility rule V15).

use std::collections::HashSet;

use serde_json::Value;

use super::conventions::Conventions;
use super::strategy::Strategy;
use crate::wire::meta::{self, FINALIZER_FOREGROUND, FINALIZER_ORPHAN};
use crate::wire::options::Propagation;

/// Fields that only the server sets.
const SYSTEM: [&str; 6] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "selfLink",
    "uid",
];

/// Whether the object is being deleted.
pub fn deleting(object: &Value) -> bool {
    meta::deletion_timestamp(object).is_some()
}

/// Forgets what a client says about system fields, and gives a new object its identity.
pub fn born(object: &mut Value, conventions: Conventions) {
    meta::wipe_system_fields(object);
    meta::fill_system_fields(object);
    if conventions.counts_generation() {
        meta::set(object, "generation", 1);
    }
}

/// Carries system fields over from the stored object. What a client may not change and says all the same is kept, so that
/// validation can refuse it: another uid, the deletion of an object that lives, another grace period.
pub fn carry_over(new: &mut Value, old: &Value) {
    for field in SYSTEM {
        let (given, stored) = (meta::metadata(new).get(field), meta::metadata(old).get(field));
        let given = given.is_some_and(|value| !value.is_null());
        let kept = match field {
            "uid" => !meta::uid(new).is_empty(),
            "deletionTimestamp" => given && stored.is_none(),
            "deletionGracePeriodSeconds" => given,
            _ => false,
        };
        if !kept {
            let value = stored.cloned().unwrap_or_default();
            meta::set(new, field, value);
        }
    }
}

/// Whether an object waits for finalizers in its spec.
pub fn held_by_spec(strategy: &dyn Strategy, object: &Value) -> bool {
    let finalizers = object.pointer("/spec/finalizers").and_then(Value::as_array);
    strategy.has_spec_finalizers() && finalizers.is_some_and(|finalizers| !finalizers.is_empty())
}

/// Counts the generation up.
pub fn next_generation(object: &mut Value) {
    let generation = meta::generation(object);
    meta::set(object, "generation", generation.saturating_add(1));
}

/// Keeps finalizers under `bulward.io` as they are stored, whatever the write says (V15).
pub fn keep_own_finalizers(new: &mut Value, old: Option<&Value>) {
    let stored: Vec<&str> = old.map(meta::finalizers).unwrap_or_default();
    let known: HashSet<&str> = stored.iter().copied().collect();
    let wanted = meta::finalizers(new);
    let mut kept: Vec<String> = wanted
        .iter()
        .filter(|one| !is_own(one) || known.contains(*one))
        .map(ToString::to_string)
        .collect();
    let mut present: HashSet<&str> = wanted.iter().copied().collect();
    for one in stored.into_iter().filter(|one| is_own(one)) {
        if present.insert(one) {
            kept.push(one.to_owned());
        }
    }
    if kept.len() != wanted.len() || kept.iter().zip(&wanted).any(|(one, other)| one != other) {
        meta::set(new, "finalizers", kept);
    }
}

fn is_own(finalizer: &str) -> bool {
    let domain = finalizer.split('/').next().unwrap_or_default();
    domain == "bulward.io" || domain.ends_with(".bulward.io")
}

/// The finalizers of an object that is being deleted under a propagation policy
/// (k8s.io/apiserver pkg/registry/generic/registry/store.go deletionFinalizersForGarbageCollection).
pub fn deletion_finalizers(
    object: &Value,
    policy: Option<Propagation>,
    orphan_dependents: Option<bool>,
) -> Vec<String> {
    let present = meta::finalizers(object);
    let orphan = match (orphan_dependents, policy) {
        (Some(orphan), _) => orphan,
        (None, Some(policy)) => policy == Propagation::Orphan,
        (None, None) => present.contains(&FINALIZER_ORPHAN),
    };
    let foreground = match (orphan_dependents, policy) {
        (Some(_), _) => false,
        (None, Some(policy)) => policy == Propagation::Foreground,
        (None, None) => present.contains(&FINALIZER_FOREGROUND),
    };
    let others = present
        .iter()
        .filter(|one| !matches!(**one, FINALIZER_ORPHAN | FINALIZER_FOREGROUND));
    let mut finalizers: Vec<String> = others.map(ToString::to_string).collect();
    if orphan {
        finalizers.push(FINALIZER_ORPHAN.to_owned());
    }
    if foreground {
        finalizers.push(FINALIZER_FOREGROUND.to_owned());
    }
    // the same ones stay in their order
    let wanted: HashSet<&str> = finalizers.iter().map(String::as_str).collect();
    if finalizers.len() == present.len() && present.iter().all(|one| wanted.contains(one)) {
        return present.into_iter().map(str::to_owned).collect();
    }
    finalizers
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn own_finalizers_stay_as_stored() {
        let old = json!({"metadata": {"finalizers": ["organization.bulward.io/controller", "a.io/x"]}});
        for (wanted, kept) in [
            (json!([]), json!(["organization.bulward.io/controller"])),
            (
                json!(["bulward.io/mine", "b.io/y"]),
                json!(["b.io/y", "organization.bulward.io/controller"]),
            ),
            (
                json!(["organization.bulward.io/controller", "a.io/x"]),
                json!(["organization.bulward.io/controller", "a.io/x"]),
            ),
            (
                json!(["notbulward.io/x"]),
                json!(["notbulward.io/x", "organization.bulward.io/controller"]),
            ),
        ] {
            let mut new = json!({"metadata": {"finalizers": wanted}});
            keep_own_finalizers(&mut new, Some(&old));
            assert_eq!(new["metadata"]["finalizers"], kept);
        }
        let mut new = json!({"metadata": {"finalizers": ["bulward.io/mine"]}});
        keep_own_finalizers(&mut new, None);
        assert_eq!(new["metadata"].get("finalizers"), None);
    }

    #[test]
    fn propagation_policies() {
        let object = json!({"metadata": {"finalizers": ["a.io/x", "orphan"]}});
        let policy = |policy| deletion_finalizers(&object, policy, None);
        assert_eq!(policy(None), ["a.io/x", "orphan"]);
        assert_eq!(policy(Some(Propagation::Background)), ["a.io/x"]);
        assert_eq!(policy(Some(Propagation::Foreground)), ["a.io/x", "foregroundDeletion"]);
        assert_eq!(policy(Some(Propagation::Orphan)), ["a.io/x", "orphan"]);
        assert_eq!(deletion_finalizers(&object, None, Some(false)), ["a.io/x"]);
        let first = json!({"metadata": {"finalizers": ["orphan", "a.io/x"]}});
        assert_eq!(deletion_finalizers(&first, None, Some(true)), ["orphan", "a.io/x"]);
    }
}
