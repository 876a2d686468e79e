//! OpenAPI v3: one document a group version, and small ones for what lies above them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::meta::{META, reachable};
use super::operation::{Operation, Path, reason};
use super::{paths, schema};
use crate::rest::resource::Registry;
use crate::wire::names::{GroupVersion, group_path};

/// The documents by the part of their path that follows `/openapi/v3/`.
pub(super) fn documents(registry: &Registry) -> BTreeMap<String, Value> {
    let mut documents = BTreeMap::new();
    documents.insert("apis".to_owned(), document(&[paths::root()], Map::new(), &[]));
    documents.insert("version".to_owned(), document(&[paths::version()], Map::new(), &[]));
    for group in &registry.groups {
        let root = group_path(&group.name);
        let root = root.trim_start_matches('/');
        documents.insert(root.to_owned(), document(&[paths::group(group)], Map::new(), &[]));
        for version in group.versions() {
            let mut all = vec![paths::group_version(group, version)];
            let mut own = Map::new();
            for resource in group
                .resources
                .iter()
                .filter(|one| one.group_version.version == version)
            {
                all.extend(paths::resource(resource));
                own.insert(schema::name(resource), schema::object(resource));
                own.insert(schema::list_name(resource), schema::list(resource));
            }
            let served = [GroupVersion::new(&group.name, version)];
            documents.insert(format!("{root}/{version}"), document(&all, own, &served));
        }
    }
    documents
}

fn document(paths: &[Path], own: Map<String, Value>, served: &[GroupVersion]) -> Value {
    let paths: Map<String, Value> = paths.iter().map(|path| (path.path.clone(), path_item(path))).collect();
    let mut schemas = reachable(paths.values().chain(own.values()), served);
    schemas.extend(own);
    json!({
        "openapi": "3.0.0",
        "info": super::info(),
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn path_item(path: &Path) -> Value {
    let mut item = Map::new();
    for operation in &path.operations {
        item.insert(operation.method.to_owned(), self::operation(operation));
    }
    if !path.parameters.is_empty() {
        let kind = path
            .operations
            .iter()
            .find_map(|operation| operation.subject.as_ref())
            .map_or("", |subject| &subject.kind);
        item.insert("parameters".to_owned(), parameters(&path.parameters, kind));
    }
    Value::Object(item)
}

fn operation(operation: &Operation) -> Value {
    let mut responses = Map::new();
    for &code in operation.codes {
        let content = content(operation.produces, &operation.response);
        responses.insert(
            code.to_string(),
            json!({"description": reason(code), "content": content}),
        );
    }
    responses.insert("401".to_owned(), json!({"description": reason(401)}));
    let mut value = json!({
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
        "responses": responses,
    });
    if !operation.parameters.is_empty() {
        value["parameters"] = parameters(&operation.parameters, "");
    }
    if let Some(body) = &operation.body {
        value["requestBody"] = json!({"content": content(operation.consumes, &body.schema)});
        if body.required {
            value["requestBody"]["required"] = json!(true);
        }
    }
    if let Some(subject) = &operation.subject {
        value["x-kubernetes-action"] = json!(subject.action);
        value["x-kubernetes-group-version-kind"] = subject.group_version_kind.clone();
    }
    value
}

fn content(media_types: &[&str], schema: &str) -> Value {
    media_types
        .iter()
        .map(|media_type| ((*media_type).to_owned(), json!({"schema": schema::reference(schema)})))
        .collect()
}

fn parameters(keys: &[&str], kind: &str) -> Value {
    let parameters = keys.iter().filter_map(|key| META.parameters.get(*key));
    let parameters = parameters.map(|parameter| {
        let mut value = json!({
            "name": parameter.name,
            "in": parameter.r#in,
            "description": parameter.description.replace("{kind}", kind),
            "schema": {"type": parameter.r#type, "uniqueItems": true},
        });
        if parameter.required {
            value["required"] = json!(true);
        }
        value
    });
    parameters.collect()
}
