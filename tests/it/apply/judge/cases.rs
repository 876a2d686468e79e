//! What structured-merge-diff's own tests test, and what else Kubernetes does around it, in our words (`cases/*.yaml`).
//!
//! A case is a list of steps: `apply`, `force` and `update` name a manager and give parts of an object, `at: status` goes
//! through `/status`; `live` puts an object there that nobody tracked, `kind` changes the schema. No answer is written
//! down: after every step the judge and we are asked what came out, and what each part of the way makes of it.

use bulward::wire::body::decode_yaml;
use serde_json::{Map, Value, json};

use super::ours::{KIND, VERSION};
use super::{Questions, live, object, report};

const FILES: [&str; 4] = [
    include_str!("cases/leaves.yaml"),
    include_str!("cases/lists.yaml"),
    include_str!("cases/managers.yaml"),
    include_str!("cases/schemas.yaml"),
];
/// So many cases are there; fewer would be read from a file that was cut.
const AT_LEAST: usize = 150;

fn yaml(text: &str) -> Map<String, Value> {
    let decoded = decode_yaml(text.as_bytes()).expect("YAML");
    assert!(decoded.duplicates.is_empty(), "{:?}", decoded.duplicates);
    serde_json::from_value(decoded.value).expect("a map")
}

/// The object that a step gives.
fn given(step: &Value) -> Value {
    let mut body = object(&step["spec"]);
    if step["spec"].is_null() {
        body.as_object_mut().unwrap().remove("spec");
    }
    for (key, value) in step["metadata"].as_object().into_iter().flatten() {
        body["metadata"][key] = value.clone();
    }
    for (key, value) in step["top"].as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    if !step["status"].is_null() {
        body["status"] = step["status"].clone();
    }
    if !step["applied"].is_null() {
        let applied = object(&step["applied"]).to_string();
        body["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": applied});
    }
    body
}

fn run(questions: &mut Questions, name: &str, steps: &Value) {
    let mut kind = "thing".to_owned();
    let mut current = json!({"apiVersion": VERSION, "kind": KIND});
    for step in steps.as_array().unwrap() {
        if let Some(other) = step["kind"].as_str() {
            other.clone_into(&mut kind);
            continue;
        }
        if !step["live"].is_null() {
            current = given(&step["live"]);
            current["metadata"]["uid"] = json!("1");
            continue;
        }
        let mut body = given(step);
        let find = |key: &str| step[key].as_str();
        let (manager, op) = match (find("apply").or(find("force")), find("update")) {
            (Some(manager), None) => (manager, "apply"),
            (None, Some(manager)) => (manager, "update"),
            _ => panic!("{name}: {step} is no step"),
        };
        if op == "update"
            && let Some(uid) = current["metadata"].get("uid")
        {
            body["metadata"]["uid"] = uid.clone();
        }
        let mut ask = |question: Value| questions.ask(name, question);
        let before = current.clone();
        let answer = ask(
            json!({"op": op, "type": kind, "live": before, "object": body, "manager": manager,
            "force": !step["force"].is_null(), "status": step["at"] == "status"}),
        );
        ask(json!({"op": "validate", "type": kind, "object": body}));
        ask(json!({"op": "merge", "type": kind, "live": before, "object": body}));
        let fields = ask(json!({"op": "fields", "type": kind, "object": body}));
        if let Some(set) = fields.get("set") {
            ask(json!({"op": "remove", "type": kind, "object": before, "set": set}));
        }
        if answer.get("object").is_some() {
            current = live(&answer, false);
            ask(json!({"op": "compare", "type": kind, "live": before, "object": current}));
        }
        let entries = current["metadata"]["managedFields"].as_array().into_iter().flatten();
        for entry in entries {
            let set = &entry["fieldsV1"];
            ask(json!({"op": "reconcile", "type": kind, "object": current, "set": set}));
            ask(json!({"op": "named", "type": kind, "object": current, "set": set}));
            ask(json!({"op": "sets", "set": set, "right": fields.get("set").unwrap_or(&json!({}))}));
        }
    }
}

#[tokio::test]
async fn every_case_is_decided_as_kubernetes_decides_it() {
    let mut questions = Questions::default();
    for (name, schema) in yaml(include_str!("cases/kinds.yaml")) {
        questions.ask(&name, json!({"op": "type", "type": name, "schema": schema}));
    }
    let cases: Vec<(String, Value)> = FILES.into_iter().flat_map(yaml).collect();
    for (name, steps) in &cases {
        run(&mut questions, name, steps);
    }
    let (count, asked) = (cases.len(), questions.asked.len());
    println!("{count} cases, {asked} questions");
    assert!(count >= AT_LEAST, "{count} cases");
    report(&questions.differences("merge-cases").await, asked);
}
