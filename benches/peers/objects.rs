//! The objects of both servers: equally long as they are served, and one in a thousand of them `ten`'s.

use bytes::Bytes;
use serde_json::{Value, json};

/// Who makes everything and owns it; in a group that needs no review.
pub(crate) const OWNER: (&str, &str) = ("owner", "system:masters");
/// Who sees ten objects; allowed by RBAC, so that reviews are made, and kept, as for anybody.
pub(crate) const TEN: (&str, &str) = ("ten", "team-ten");
/// A name as long as that, for the objects that `ten` does not see.
const OTHER: &str = "few";

/// The name of an object; all are equally long.
pub(crate) fn name(number: usize) -> String {
    format!("peer-{number:07}")
}

/// Whether `ten` sees the object: ten of all.
fn is_tens(number: usize, objects: usize) -> bool {
    number.is_multiple_of(objects.div_ceil(10))
}

fn second(number: usize, objects: usize) -> &'static str {
    if is_tens(number, objects) { TEN.0 } else { OTHER }
}

fn metadata(name: &str, padding: usize) -> Value {
    json!({
        "name": name,
        "labels": {"app.kubernetes.io/part-of": "peers"},
        "annotations": {"example.com/padding": "x".repeat(padding)},
    })
}

/// An Organization with two owners.
pub(crate) fn organization(number: usize, objects: usize, padding: usize) -> Bytes {
    let owner = |name: &str| json!({"kind": "User", "name": name});
    let object = json!({
        "apiVersion": "apiserver.bulward.io/v1alpha1",
        "kind": "Organization",
        "metadata": metadata(&name(number), padding),
        "spec": {
            "metadata": {"displayName": name(number), "description": "An object of the benchmark."},
            "owners": [owner(OWNER.0), owner(second(number, objects))],
        },
    });
    Bytes::from(object.to_string())
}

/// A flunder, with a label for those whom an Organization names as its second owner.
pub(crate) fn flunder(number: usize, objects: usize, padding: usize) -> Bytes {
    let mut object = json!({
        "apiVersion": "wardle.example.com/v1alpha1",
        "kind": "Flunder",
        "metadata": metadata(&name(number), padding),
        "spec": {"reference": "another", "referenceType": "Flunder"},
    });
    object["metadata"]["labels"]["owner"] = json!(second(number, objects));
    Bytes::from(object.to_string())
}
