//! What `kubectl explain` prints: a sentence for every field.

use serde_json::Value;

use super::{documents, get, json, registry};
use crate::harness::{Bulward, eventually};

/// Walks every property below `schema`, references included, and calls `visit` with its path and schema.
fn fields<'a>(document: &'a Value, schema: &'a Value, path: &str, visit: &mut impl FnMut(&str, &'a Value)) {
    let target = schema["$ref"].as_str().map(|target| &target[1..]);
    if let Some(target) = target {
        let schema = document
            .pointer(target)
            .unwrap_or_else(|| panic!("{path}: {target} leads nowhere"));
        return fields(document, schema, path, visit);
    }
    for part in ["allOf", "anyOf", "oneOf"]
        .iter()
        .filter_map(|key| schema[*key].as_array())
        .flatten()
    {
        fields(document, part, path, visit);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        visit(&path, property);
        fields(document, property, &path, visit);
    }
    for below in ["items", "additionalProperties"] {
        if schema[below].is_object() {
            fields(document, &schema[below], path, visit);
        }
    }
}

/// Why a description is of no use to whoever reads it.
fn fault(name: &str, description: Option<&str>) -> Option<&'static str> {
    let Some(text) = description.map(str::trim) else {
        return Some("there is none");
    };
    let plain = |text: &str| text.trim_end_matches('.').replace([' ', '-', '_'], "").to_lowercase();
    match text {
        "" => Some("it is empty"),
        _ if plain(text) == name.to_lowercase() => Some("it is the field's name"),
        _ if !text.ends_with('.') => Some("it does not end with a full stop"),
        _ if !text.starts_with(|first: char| first.is_uppercase()) => Some("it does not begin with a capital letter"),
        _ if text.split_whitespace().count() < 3 => Some("it is not a sentence"),
        _ if text.contains("  ") || text.contains('\n') => Some("it is broken into lines"),
        _ => None,
    }
}

#[test]
fn a_description_is_a_sentence() {
    for (text, sound) in [
        (None, false),
        (Some(""), false),
        (Some("The owners"), false),
        (Some("Display name."), false),
        (Some("displayName"), false),
        (Some("who owns the Organization."), false),
        (Some("Who owns\n the Organization."), false),
        (Some("Who owns the Organization."), true),
    ] {
        assert_eq!(fault("displayName", text).is_none(), sound, "{text:?}");
    }
}

#[test]
fn every_field_of_our_kinds_is_explained() {
    let documents = documents(&registry::tenancy());
    let mut faults = Vec::new();
    let mut seen = 0;
    for group in ["apiserver.bulward.io", "bulward.io", "storage.bulward.io"] {
        let document = json(&get(&documents, &format!("/openapi/v3/apis/{group}/v1alpha1"), None));
        let schemas = document["components"]["schemas"].as_object().expect("schemas");
        for (name, schema) in schemas.iter().filter(|(name, _)| name.starts_with("io.bulward.")) {
            let kind = name.rsplit('.').next().unwrap_or_default();
            let mut check = |path: &str, schema: &Value| {
                seen += 1;
                let last = path.rsplit('.').next().unwrap_or_default();
                // What all Kubernetes servers say alike stands in shared definitions, or is worded like there.
                let shared = ["apiVersion", "kind", "metadata", "items"].contains(&last)
                    && path.matches('.').count() == 1
                    || path
                        .strip_prefix(kind)
                        .is_some_and(|rest| rest.starts_with(".metadata."))
                    // The kind itself, which is walked on its own.
                    || path.contains("List.items.");
                let description = schema["description"].as_str();
                let found = if shared {
                    description
                        .is_none_or(|text| text.trim().is_empty())
                        .then_some("there is none")
                } else {
                    fault(last, description)
                };
                faults.extend(found.map(|why| format!("{path}: {why}: {description:?}")));
            };
            fields(&document, schema, kind, &mut check);
            faults.extend(
                fault(kind, schema["description"].as_str())
                    .filter(|_| !kind.ends_with("List"))
                    .map(|why| format!("{kind}: {why}")),
            );
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 100, "only {seen} fields were walked");
}

/// `kubectl explain` prints the same sentences, for one field and for all of them.
#[tokio::test]
async fn kubectl_explain_prints_them() {
    let (plane, _server) = Bulward::shared().await;
    let documents = documents(&registry::tenancy());
    for (group, resource, kind) in [
        ("apiserver.bulward.io", "organizations", "Organization"),
        ("storage.bulward.io", "projects", "Project"),
    ] {
        let document = json(&get(&documents, &format!("/openapi/v3/apis/{group}/v1alpha1"), None));
        let reversed: Vec<&str> = group.rsplit('.').collect();
        let schema = &document["components"]["schemas"][format!("{}.v1alpha1.{kind}", reversed.join("."))];
        let mut paths = Vec::new();
        fields(&document, schema, "", &mut |path, schema| {
            // Inside managedFields kubectl has no more to say.
            if schema["description"].is_string() {
                paths.push((
                    path.trim_start_matches('.').to_owned(),
                    schema["description"].as_str().unwrap_or_default(),
                ));
            }
        });
        assert!(
            paths.iter().any(|(path, _)| path == "status.conditions.message"),
            "{paths:?}"
        );
        for kubectl in plane.all_kubectls("alice") {
            let whole = format!("{resource}.{group}");
            let explain = async || {
                let got = kubectl.run(["explain", &whole, "--recursive"]).await;
                if got.status.success() { Ok(got.stdout) } else { Err(got) }
            };
            let tree = eventually("explain", 5 * super::SOON, explain).await;
            assert!(
                one_line(&tree).contains(&one_line(schema["description"].as_str().expect("a description"))),
                "{tree}"
            );
            for (path, _) in &paths {
                let name = path.rsplit('.').next().expect("a name");
                let depth = 2 * (path.matches('.').count() + 1);
                let found = tree.lines().any(|line| {
                    line.len() - line.trim_start().len() == depth && line.split_whitespace().next() == Some(name)
                });
                assert!(found, "{path} is not in:\n{tree}");
            }
        }
        let kubectl = plane.kubectl("alice");
        for wanted in [
            "spec",
            "spec.owners",
            "spec.owners.kind",
            "status.conditions.message",
            "status.observedGeneration",
        ] {
            let (path, description) = paths
                .iter()
                .find(|(path, _)| path == wanted)
                .expect("the field is there");
            let field = format!("{resource}.{path}");
            let version = format!("--api-version={group}/v1alpha1");
            // By v3, and by v2, which kube-apiserver merges into its own in its own time.
            for output in ["plaintext", "plaintext-openapiv2"] {
                let output = format!("--output={output}");
                let explain = async || {
                    let got = kubectl.run(["explain", &field, &version, &output]).await;
                    if got.status.success() { Ok(got.stdout) } else { Err(got) }
                };
                let text = eventually("explain", 5 * super::SOON, explain).await;
                assert!(
                    one_line(&text).contains(&one_line(description)),
                    "{path} {output}: {description:?} is not in:\n{text}"
                );
            }
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
