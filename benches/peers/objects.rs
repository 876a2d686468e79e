//! The objects of both servers: equally long as they are served, and one in a thousand of them `ten`'s.

use bytes::Bytes;
use serde_json::{Value, json};

/// Who makes everything and owns it; in a group that needs no review.
pub(crate) const OWNER: (&str, &str) = ("owner", "system:masters");
/// Who sees ten objects; allowed by RBAC, so that reviews are made, and kept, as for anybody.
pub(crate) const TEN: (&str, &str) = ("ten", "team-ten");
/// Who is granted objects while watching.
pub(crate) const GUEST: &str = "guest";
/// A name as long as that, for the objects that `ten` does not see.
const OTHER: &str = "few";

/// The group of the CustomResources.
pub(crate) const CUSTOM_GROUP: &str = "apiserver.example.io";

/// The name of an object; all are equally long.
pub(crate) fn name(number: usize) -> String {
    format!("peer-{number:07}")
}

/// Whether `ten` sees the object: ten of all.
pub(crate) fn is_tens(number: usize, objects: usize) -> bool {
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
    let name = name(number);
    shared_organization(&name, &name, &[second(number, objects).to_owned()], padding)
}

/// An Organization with these owners beside [`OWNER`].
pub(crate) fn shared_organization(name: &str, display_name: &str, others: &[String], padding: usize) -> Bytes {
    let owner = |name: &str| json!({"kind": "User", "name": name});
    let others = others.iter().map(|name| owner(name));
    let owners: Vec<Value> = std::iter::once(owner(OWNER.0)).chain(others).collect();
    let object = json!({
        "apiVersion": "apiserver.bulward.io/v1alpha1",
        "kind": "Organization",
        "metadata": metadata(name, padding),
        "spec": {
            "metadata": {"displayName": display_name, "description": "An object of the benchmark."},
            "owners": owners,
        },
    });
    Bytes::from(object.to_string())
}

/// What is merged into an Organization so that `user` sees it, too.
pub(crate) fn ownership(user: &str) -> String {
    let owner = |name: &str| json!({"kind": "User", "name": name});
    json!({"spec": {"owners": [owner(OWNER.0), owner(user)]}}).to_string()
}

/// What is merged into an object so that a selector of `user`'s objects finds it.
pub(crate) fn label(user: &str) -> String {
    json!({"metadata": {"labels": {"owner": user}}}).to_string()
}

/// The same Organization as a CustomResource, labelled as flunders are.
pub(crate) fn custom(number: usize, objects: usize, padding: usize) -> Bytes {
    let organization = organization(number, objects, padding);
    let mut object: Value = serde_json::from_slice(&organization).expect("JSON");
    object["apiVersion"] = json!(format!("{CUSTOM_GROUP}/v1alpha1"));
    object["metadata"]["labels"]["owner"] = json!(second(number, objects));
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
