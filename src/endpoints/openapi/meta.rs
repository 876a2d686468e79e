//! What all Kubernetes servers describe alike: `meta.json` holds the schemas of `meta/v1` and the request parameters as kube-apiserver 1.36 publishes
//! them (Apache-2.0). The aggregator merges definitions of one name only when they are equal, so not a word of them may differ.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::wire::names::GroupVersion;

/// What a reference in an OpenAPI v3 document starts with.
pub(super) const REFERENCE: &str = "#/components/schemas/";
const NAMESPACE: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// The contents of `meta.json`.
#[derive(Deserialize)]
pub(super) struct Meta {
    /// OpenAPI v3 schemas by name.
    pub(super) schemas: BTreeMap<String, Value>,
    /// Parameters by the name under which the operations here list them.
    pub(super) parameters: BTreeMap<String, Parameter>,
}

/// A query or path parameter.
#[derive(Deserialize)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) r#in: String,
    pub(super) r#type: String,
    /// `{kind}` stands for the kind.
    pub(super) description: String,
    #[serde(default)]
    pub(super) required: bool,
    /// The name under which OpenAPI v2 documents of Go servers share it.
    pub(super) shared: Option<String>,
}

/// The parsed contents of `meta.json`.
pub(super) static META: LazyLock<Meta> =
    LazyLock::new(|| serde_json::from_str(include_str!("meta.json")).expect("the file is part of this program"));

/// The name of a `meta/v1` definition.
pub(super) fn name(kind: &str) -> String {
    format!("{NAMESPACE}{kind}")
}

/// The shared schemas that `roots` reach, with the kinds that every group has listed for `groups`.
pub(super) fn reachable<'a>(roots: impl IntoIterator<Item = &'a Value>, groups: &[GroupVersion]) -> Map<String, Value> {
    let mut names = BTreeSet::new();
    let mut found = Map::new();
    roots.into_iter().for_each(|root| references(root, &mut names));
    while let Some(name) = names.pop_first() {
        if found.contains_key(&name) {
            continue;
        }
        let Some(schema) = META.schemas.get(&name) else {
            continue;
        };
        let mut schema = schema.clone();
        references(&schema, &mut names);
        if let Some(kind) = ["DeleteOptions", "WatchEvent"]
            .into_iter()
            .find(|kind| name == self::name(kind))
        {
            let core = GroupVersion::new("", "v1");
            let served = std::iter::once(&core)
                .chain(groups)
                .map(|one| group_version_kind(one, kind));
            schema["x-kubernetes-group-version-kind"] = served.collect();
        }
        found.insert(name, schema);
    }
    found
}

/// Collects the names of the definitions that `value` refers to.
pub(super) fn references(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(target) if key == "$ref" => {
                        names.extend(target.strip_prefix(REFERENCE).map(str::to_owned));
                    }
                    _ => references(value, names),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        _ => {}
    }
}

/// The value of `x-kubernetes-group-version-kind` at an operation, or one entry of it at a schema.
pub(super) fn group_version_kind(group_version: &GroupVersion, kind: &str) -> Value {
    json!({"group": group_version.group, "version": group_version.version, "kind": kind})
}
