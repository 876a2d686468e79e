//! What the server itself decides about an object's metadata.
//!
//! Ported from k8s.io/apiserver pkg/registry/rest (meta.go, create.go, update.go, delete.go); the rule on finalizers under
//! `bulward.io` is ours (visibility rule V15).

use serde_json::{Map, Value, json};

/// The finalizer with which the garbage collector orphans dependents.
pub const ORPHAN: &str = "orphan";
/// The finalizer with which the garbage collector deletes dependents first.
pub const FOREGROUND: &str = "foregroundDeletion";

/// Fields that only the server sets.
const SYSTEM: [&str; 6] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "selfLink",
    "uid",
];

/// The object's metadata; an absent one is made.
pub fn of(object: &mut Value) -> &mut Map<String, Value> {
    let metadata = &mut object["metadata"];
    if !metadata.is_object() {
        *metadata = json!({});
    }
    metadata.as_object_mut().expect("it was just made an object")
}

/// A string in the object's metadata; empty when absent.
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// The finalizers.
pub fn finalizers(object: &Value) -> Vec<&str> {
    let list = object["metadata"]["finalizers"].as_array().into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

/// Replaces the finalizers; an empty list is left out.
pub fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    if finalizers.is_empty() {
        of(object).remove("finalizers");
    } else {
        of(object).insert("finalizers".to_owned(), json!(finalizers));
    }
}

/// Whether the object is being deleted.
pub fn deleting(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// Forgets what a client says about system fields, and gives a new object its identity.
pub fn born(object: &mut Value, uid: &str, now: &str) {
    let metadata = of(object);
    for field in SYSTEM {
        metadata.remove(field);
    }
    metadata.insert("uid".to_owned(), json!(uid));
    metadata.insert("creationTimestamp".to_owned(), json!(now));
    metadata.insert("generation".to_owned(), json!(1));
}

/// Carries system fields over from the stored object; a given uid is kept, so that it can be compared.
pub fn carry_over(new: &mut Value, old: &Value) {
    for field in SYSTEM {
        if field == "uid" && !text(new, "uid").is_empty() {
            continue;
        }
        match old["metadata"].get(field) {
            Some(value) => of(new).insert(field.to_owned(), value.clone()),
            None => of(new).remove(field),
        };
    }
}

/// Counts the generation up.
pub fn next_generation(object: &mut Value) {
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    of(object).insert("generation".to_owned(), json!(generation + 1));
}

/// Keeps finalizers under `bulward.io` as they are stored, whatever the write says (V15).
pub fn keep_own_finalizers(new: &mut Value, old: Option<&Value>) {
    let stored: Vec<&str> = old.map(finalizers).unwrap_or_default();
    let wanted = finalizers(new);
    let mut kept: Vec<String> = wanted
        .iter()
        .filter(|one| !is_own(one) || stored.contains(one))
        .map(ToString::to_string)
        .collect();
    for one in stored.into_iter().filter(|one| is_own(one)) {
        if !kept.iter().any(|kept| kept == one) {
            kept.push(one.to_owned());
        }
    }
    if kept.len() != wanted.len() || kept.iter().zip(&wanted).any(|(one, other)| one != other) {
        set_finalizers(new, &kept);
    }
}

fn is_own(finalizer: &str) -> bool {
    let domain = finalizer.split('/').next().unwrap_or_default();
    domain == "bulward.io" || domain.ends_with(".bulward.io")
}

/// The finalizers of an object that is being deleted under a propagation policy
/// (k8s.io/apiserver pkg/registry/generic/registry/store.go deletionFinalizersForGarbageCollection).
pub fn deletion_finalizers(object: &Value, policy: Option<&str>, orphan_dependents: Option<bool>) -> Vec<String> {
    let present = finalizers(object);
    let orphan = match (orphan_dependents, policy) {
        (Some(orphan), _) => orphan,
        (None, Some(policy)) => policy == "Orphan",
        (None, None) => present.contains(&ORPHAN),
    };
    let foreground = match (orphan_dependents, policy) {
        (Some(_), _) => false,
        (None, Some(policy)) => policy == "Foreground",
        (None, None) => present.contains(&FOREGROUND),
    };
    let others = present.into_iter().filter(|one| !matches!(*one, ORPHAN | FOREGROUND));
    let mut finalizers: Vec<String> = others.map(str::to_owned).collect();
    if orphan {
        finalizers.push(ORPHAN.to_owned());
    }
    if foreground {
        finalizers.push(FOREGROUND.to_owned());
    }
    finalizers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_finalizers_stay_as_stored() {
        let old = json!({"metadata": {"finalizers": ["organization.bulward.io/controller", "a.io/x"]}});
        for (wanted, kept) in [
            (json!([]), json!(["organization.bulward.io/controller"])),
            (json!(["bulward.io/mine", "b.io/y"]), json!(["b.io/y", "organization.bulward.io/controller"])),
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
        assert_eq!(policy(Some("Background")), ["a.io/x"]);
        assert_eq!(policy(Some("Foreground")), ["a.io/x", "foregroundDeletion"]);
        assert_eq!(policy(Some("Orphan")), ["a.io/x", "orphan"]);
        assert_eq!(deletion_finalizers(&object, None, Some(false)), ["a.io/x"]);
    }
}
