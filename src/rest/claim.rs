//! Claims on namespaces: a key of its own for each, written in the same transaction as the object that claims, so that
//! two objects can never claim the same namespace, on whatever replica they are written.

use bytes::Bytes;
use serde_json::json;

use super::caller::Target;
use crate::storage::{Change, Expect, Op, Revision};
use crate::watchcache::Object;
use crate::wire::json;

/// First part of the keys of claims.
const PREFIX: &str = "claims/namespaces/";

/// The transaction's part that moves the claim of an object from `old` to `new` namespace.
pub fn ops(target: &Target<'_>, uid: &str, old: Option<&str>, new: Option<&str>) -> Vec<Op> {
    if old == new {
        return Vec::new();
    }
    let release = old.map(|namespace| Op {
        key: key(namespace),
        expect: Expect::Any,
        change: Change::Delete,
    });
    let take = new.map(|namespace| Op {
        key: key(namespace),
        expect: Expect::Absent,
        change: Change::Put(value(target, uid)),
    });
    release.into_iter().chain(take).collect()
}

/// The part that releases a deleted object's claim.
pub fn release(target: &Target<'_>, object: &Object) -> Vec<Op> {
    ops(target, &object.uid, object.facts.namespace.as_deref(), None)
}

/// Demands that the claim on a namespace is as it was seen: written at `seen`, or absent.
pub fn guard(namespace: &str, seen: Option<Revision>) -> Op {
    Op {
        key: key(namespace),
        expect: seen.map_or(Expect::Absent, Expect::At),
        change: Change::Keep,
    }
}

/// The key of the claim on a namespace.
pub fn key(namespace: &str) -> String {
    format!("{PREFIX}{namespace}")
}

/// The namespace whose claim is kept under `key`.
pub fn namespace(key: &str) -> Option<&str> {
    key.strip_prefix(PREFIX)
}

/// Who claims, for people who look into the store.
fn value(target: &Target<'_>, uid: &str) -> Bytes {
    let plural = &target.resource.stored.plural;
    json::to_vec(&json!({"resource": plural, "key": target.key().as_ref(), "uid": uid})).into()
}
