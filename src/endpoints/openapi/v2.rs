//! OpenAPI v2: one document for the whole server, which the aggregator merges into that of kube-apiserver.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::meta::{self, META, Parameter, reachable};
use super::operation::{Operation, Path, reason};
use super::{paths, schema};
use crate::rest::resource::Registry;
use crate::wire::names::GroupVersion;

/// Bodies that Go servers share among their operations, with the names that they have there.
const SHARED_BODIES: [(&str, &str); 2] = [("DeleteOptions", "body-2Y1dVQaQ"), ("Patch", "body-78PwaGsr")];

/// The document.
pub(super) fn document(registry: &Registry) -> Value {
    let mut all = vec![paths::root(), paths::version()];
    let mut served: Vec<GroupVersion> = Vec::new();
    for group in &registry.groups {
        all.push(paths::group(group));
        for version in group.versions() {
            all.push(paths::group_version(group, version));
            served.push(GroupVersion::new(&group.name, version));
        }
    }
    served.sort_unstable_by(|a, b| (&a.group, &a.version).cmp(&(&b.group, &b.version)));
    let mut own = Map::new();
    for resource in registry.resources() {
        all.extend(paths::resource(resource));
        own.insert(schema::name(resource), schema::object(resource));
        own.insert(schema::list_name(resource), schema::list(resource));
    }

    let operations = || all.iter().flat_map(|path| &path.operations);
    let used = operations().flat_map(|one| one.body.iter().map(|body| &body.schema).chain([&one.response]));
    let used: Vec<Value> = used.map(|name| schema::reference(name)).collect();
    let mut definitions = reachable(used.iter().chain(own.values()), &served);
    definitions.extend(own);
    let definitions: Map<String, Value> = definitions
        .iter()
        .map(|(name, schema)| (name.clone(), schema::to_v2(schema)))
        .collect();

    let mut shared = BTreeMap::new();
    let paths: Map<String, Value> = all
        .iter()
        .map(|path| (path.path.clone(), path_item(path, &mut shared)))
        .collect();
    json!({
        "swagger": "2.0",
        "info": super::info(),
        "paths": paths,
        "definitions": definitions,
        "parameters": shared,
        "securityDefinitions": {
            "BearerToken": {"description": "Bearer Token authentication", "type": "apiKey", "name": "authorization", "in": "header"},
        },
        "security": [{"BearerToken": []}],
    })
}

fn path_item(path: &Path, shared: &mut BTreeMap<String, Value>) -> Value {
    let mut item = Map::new();
    for operation in &path.operations {
        item.insert(operation.method.to_owned(), self::operation(operation, shared));
    }
    if !path.parameters.is_empty() {
        let kind = path
            .operations
            .iter()
            .find_map(|operation| operation.subject.as_ref())
            .map_or("", |subject| &subject.kind);
        item.insert(
            "parameters".to_owned(),
            parameters(&path.parameters, kind, shared).into(),
        );
    }
    Value::Object(item)
}

fn operation(operation: &Operation, shared: &mut BTreeMap<String, Value>) -> Value {
    let mut responses = Map::new();
    for &code in operation.codes {
        let schema = definition(&operation.response);
        responses.insert(code.to_string(), json!({"description": reason(code), "schema": schema}));
    }
    responses.insert("401".to_owned(), json!({"description": reason(401)}));

    let mut all = Vec::new();
    if let Some(body) = &operation.body {
        let mut parameter = json!({"name": "body", "in": "body", "schema": definition(&body.schema)});
        if body.required {
            parameter["required"] = json!(true);
        }
        let known = SHARED_BODIES.iter().find(|(kind, _)| body.schema == meta::name(kind));
        all.push(match known {
            Some((_, name)) => share(name, parameter, shared),
            None => parameter,
        });
    }
    all.extend(parameters(&operation.parameters, "", shared));

    let mut value = json!({
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
        "schemes": ["https"],
        "consumes": operation.consumes,
        "produces": operation.produces,
        "responses": responses,
    });
    if !all.is_empty() {
        value["parameters"] = all.into();
    }
    if let Some(subject) = &operation.subject {
        value["x-kubernetes-action"] = json!(subject.action);
        value["x-kubernetes-group-version-kind"] = subject.group_version_kind.clone();
    }
    value
}

fn definition(name: &str) -> Value {
    schema::to_v2(&schema::reference(name))
}

/// Parameters that Go servers share are shared under the same names, so that the merged document holds them once.
fn parameters(keys: &[&str], kind: &str, shared: &mut BTreeMap<String, Value>) -> Vec<Value> {
    let parameters = keys.iter().filter_map(|key| META.parameters.get(*key));
    let parameters = parameters.map(|parameter| match &parameter.shared {
        Some(name) => share(name, described(parameter, kind), shared),
        None => described(parameter, kind),
    });
    parameters.collect()
}

fn share(name: &str, parameter: Value, shared: &mut BTreeMap<String, Value>) -> Value {
    shared.entry(name.to_owned()).or_insert(parameter);
    json!({"$ref": format!("#/parameters/{name}")})
}

fn described(parameter: &Parameter, kind: &str) -> Value {
    let mut value = json!({
        "name": parameter.name,
        "in": parameter.r#in,
        "type": parameter.r#type,
        "description": parameter.description.replace("{kind}", kind),
        "uniqueItems": true,
    });
    if parameter.required {
        value["required"] = json!(true);
    }
    value
}
