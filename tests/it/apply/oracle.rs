//! Random writes by several managers, to our server and to CustomResources of the same schemas on kube-apiserver: equal
//! answers, equal objects, equal records of who owns what.
//!
//! Objects are created, replaced, patched in every way, applied and deleted, as a whole and through `/status`, with
//! preconditions, in dry runs, with the record of owners reset or given, and after client-side applies.
//!
//! `BULWARD_APPLY_SEQUENCES` says how many sequences are run, `BULWARD_APPLY_SEED` which.

use std::collections::BTreeMap;
use std::sync::Arc;

use bulward::groups;
use bulward::rest::resource::{Access, Conventions, Edge, Group, Kind, Registry, Resource, Strategy};
use bulward::wire::names::GroupVersion;
use http::{Method, Request};
use http_body_util::BodyExt;
use kube::client::Body;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};

use crate::harness::in_process::{InProcess, Settings, memory};
use crate::harness::{ControlPlane, STARTUP, eventually};

const GROUP: &str = "apply.example.com";
const SEQUENCES: u64 = 40;
const SEED: u64 = 4000;
/// How many updaters write in turn in a parade: more than are remembered.
const PARADE: usize = 16;
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

struct Plain;

impl Strategy for Plain {}

/// What the real API knows of structure, in one kind.
fn toy_schema() -> Value {
    json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "n": {"type": "integer"},
            "s": {"type": "string"},
            "size": {"type": "string", "default": "small"},
            "nested": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"},
                "mode": {"type": "string", "default": "auto"}}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "atomicMap": {"type": "object", "additionalProperties": {"type": "string"},
                "x-kubernetes-map-type": "atomic"},
            "list": {"type": "array", "items": {"type": "string"}},
            "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "ports": {"type": "array", "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {"type": "object", "required": ["port"], "properties": {
                    "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"},
                    "name": {"type": "string"},
                    "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "target": {"x-kubernetes-int-or-string": true},
        }},
        "status": {"type": "object", "properties": {"phase": {"type": "string"},
            "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                "items": {"type": "object", "required": ["type"], "properties": {
                    "type": {"type": "string"}, "status": {"type": "string"}}}}}},
    }})
}

fn kind(kind: &str, schema: Value) -> Kind {
    Kind {
        kind: kind.to_owned(),
        singular: kind.to_lowercase(),
        plural: format!("{}s", kind.to_lowercase()),
        description: "A kind to compare with a CustomResource.".to_owned(),
        namespaced: false,
        schema,
        strategy: Arc::new(Plain),
        selectable_fields: Vec::new(),
        columns: Vec::new(),
        edge: Edge::Unrestricted,
        conventions: Conventions::CustomResource,
    }
}

fn kinds() -> Vec<Kind> {
    let own = groups::registry(&groups::Options::default()).kinds();
    let organization = own.iter().find(|kind| kind.kind == "Organization").unwrap();
    vec![
        kind("Toy", toy_schema()),
        kind("Organization", organization.schema.clone()),
    ]
}

fn registry() -> Registry {
    let resources = kinds().into_iter().map(|kind| {
        Arc::new(Resource {
            group_version: GroupVersion::new(GROUP, "v1"),
            stored: Arc::new(kind),
            short_names: Vec::new(),
            categories: Vec::new(),
            access: Access::Unfiltered,
            status_subresource: true,
            version: None,
            deprecation: None,
        })
    });
    Registry {
        groups: vec![Group {
            name: GROUP.to_owned(),
            priority: 1_000,
            resources: resources.collect(),
            reviews: Vec::new(),
        }],
    }
}

fn definition(kind: &Kind) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{GROUP}", kind.plural)},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {"kind": kind.kind, "plural": kind.plural, "singular": kind.singular},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": kind.schema}}],
        },
    })
}

/// Stands in the metadata of a body for what the current object has there.
const KNOWN: &str = "$known";

/// One write, the same for both servers but for what only they know.
#[derive(Clone, Debug)]
struct Step {
    method: Method,
    media: &'static str,
    status: bool,
    query: String,
    body: Value,
}

async fn ask(client: &kube::Client, step: &Step, plural: &str, name: &str, current: Option<&Value>) -> (u16, Value) {
    let subresource = if step.status { "/status" } else { "" };
    let path = match step.method {
        Method::POST => format!("/apis/{GROUP}/v1/{plural}?{}", step.query),
        _ => format!("/apis/{GROUP}/v1/{plural}/{name}{subresource}?{}", step.query),
    };
    let mut body = step.body.clone();
    let known = |key: &str| current.map_or(json!("1"), |current| current["metadata"][key].clone());
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        for (key, value) in metadata.iter_mut().filter(|(_, value)| **value == KNOWN) {
            *value = known(key);
        }
    }
    let body = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    let request = Request::builder().method(step.method.clone()).uri(path);
    let request = request
        .header("content-type", step.media)
        .body(Body::from(body))
        .unwrap();
    let (head, body) = client.send(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let value = serde_json::from_slice(&body);
    (
        head.status.as_u16(),
        value.unwrap_or_else(|_| json!(String::from_utf8_lossy(&body))),
    )
}

/// The answer without what differs between any two servers.
fn normal(mut answer: Value) -> Value {
    if !answer.is_object() {
        return answer;
    }
    if let Some(metadata) = answer.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in ["uid", "resourceVersion", "creationTimestamp"] {
            metadata.remove(key);
        }
        if let Some(time) = metadata.get_mut("deletionTimestamp") {
            *time = json!("T");
        }
        let entries = metadata.get_mut("managedFields").and_then(Value::as_array_mut);
        if let Some(entries) = entries {
            for entry in entries.iter_mut().filter(|entry| entry.get("time").is_some()) {
                entry["time"] = json!("T");
            }
            // the order depends on the second in which things happened
            entries.sort_by_key(ToString::to_string);
        }
    }
    if let Some(causes) = answer.pointer_mut("/details/causes").and_then(Value::as_array_mut) {
        // random in Go; and what is wrong with a change of metadata is found twice, by the library and by the strategy
        causes.sort_by_key(ToString::to_string);
        causes.dedup();
    }
    if let Some(details) = answer.get_mut("details").and_then(Value::as_object_mut) {
        details.remove("uid");
    }
    // where the object is stored, and which uid it has
    if let Some(text) = answer["message"].as_str().filter(|text| text.contains("StorageError"))
        && let (Some(from), Some(to)) = (text.find(" Key: "), text.find(", ResourceVersion: "))
    {
        let end = text.find("UID in object meta: ").unwrap_or(text.len());
        answer["message"] = json!(format!("{}{}", &text[..from], &text[to..end]));
    }
    // The one difference in words: a status that is null itself is nameless to kube-apiserver.
    let text = answer
        .to_string()
        .replace("null\\\":  in body", "null\\\": status in body");
    serde_json::from_str(&text).unwrap()
}

struct Generator(StdRng);

impl Generator {
    fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.0.random_range(0..from.len())]
    }

    fn texts(&mut self) -> Vec<&'static str> {
        let mut all = vec!["p", "q", "r", "t"];
        all.retain(|_| self.chance(45));
        if self.chance(50) {
            all.reverse();
        }
        all
    }

    fn text_map(&mut self) -> Value {
        let keys = self.texts();
        let pairs = keys
            .into_iter()
            .map(|key| (key.to_owned(), json!(self.pick(&["1", "2"]))));
        Value::Object(pairs.collect())
    }

    fn ports(&mut self) -> Value {
        let mut ports = Vec::new();
        for port in [80, 443] {
            for protocol in [None, Some("UDP")] {
                if self.chance(35) {
                    let mut item = json!({"port": port});
                    if let Some(protocol) = protocol {
                        item["protocol"] = json!(protocol);
                    }
                    if self.chance(60) {
                        item["name"] = json!(self.pick(&["x", "y"]));
                    }
                    if self.chance(30) {
                        item["tags"] = json!(self.texts());
                    }
                    ports.push(item);
                }
            }
        }
        if self.chance(50) {
            ports.reverse();
        }
        json!(ports)
    }

    fn toy_spec(&mut self) -> Value {
        let mut spec = Map::new();
        for name in [
            "n",
            "s",
            "size",
            "nested",
            "labels",
            "atomicMap",
            "list",
            "set",
            "ports",
            "free",
            "target",
        ] {
            if !self.chance(35) {
                continue;
            }
            let value = match name {
                "n" => json!(self.0.random_range(0..3)),
                "s" | "size" => json!(self.pick(&["x", "y", "z"])),
                "nested" => {
                    let mut nested = Map::new();
                    for key in ["a", "b", "mode"] {
                        if self.chance(50) {
                            nested.insert(key.to_owned(), json!(self.pick(&["1", "2"])));
                        }
                    }
                    Value::Object(nested)
                }
                "labels" | "atomicMap" => self.text_map(),
                "list" | "set" => json!(self.texts()),
                "ports" => self.ports(),
                "free" => json!({"k": {"deep": self.pick(&["1", "2"])}, "l": self.texts()}),
                _ if self.chance(50) => json!(self.pick(&["http", "https"])),
                _ => json!(self.0.random_range(80..82)),
            };
            spec.insert(name.to_owned(), value);
        }
        Value::Object(spec)
    }

    fn organization_spec(&mut self) -> Value {
        let mut owners = vec![json!({"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"})];
        if self.chance(50) {
            owners.push(json!({"kind": "ServiceAccount", "name": "robot", "namespace": "default"}));
        }
        let mut spec = json!({"owners": owners});
        if self.chance(50) {
            spec["metadata"] = json!({"displayName": self.pick(&["A", "B"]), "description": self.pick(&["a", "b"])});
        }
        spec
    }

    fn status(&mut self) -> Value {
        let mut status = json!({});
        if self.chance(60) {
            status["phase"] = json!(self.pick(&["Ready", "NotReady"]));
        }
        if self.chance(60) {
            let conditions = ["Ready", "Synced"]
                .into_iter()
                .filter(|_| self.chance(60))
                .collect::<Vec<_>>();
            let conditions = conditions.into_iter().map(|kind| {
                let status = self.pick(&["True", "False"]);
                json!({"type": kind, "status": status})
            });
            status["conditions"] = json!(conditions.collect::<Vec<_>>());
        }
        status
    }

    fn body(&mut self, kind: &Kind, name: &str, status: bool) -> Value {
        let mut body = json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind.kind, "metadata": {"name": name}});
        if !status || self.chance(30) {
            body["spec"] = if kind.kind == "Toy" {
                self.toy_spec()
            } else {
                self.organization_spec()
            };
        }
        if status || self.chance(15) {
            body["status"] = self.status();
        }
        if self.chance(30) {
            body["metadata"]["labels"] = self.text_map();
        }
        if self.chance(15) {
            body["metadata"]["annotations"] = self.text_map();
        }
        if self.chance(15) {
            let finalizers: Vec<String> = self.texts().iter().map(|text| format!("example.com/{text}")).collect();
            body["metadata"]["finalizers"] = json!(finalizers);
        }
        if self.chance(15) {
            let references = self.texts().into_iter().map(|text| {
                // a kind that the garbage collector cannot look up, or it would delete the object
                json!({"apiVersion": "nowhere.example.com/v1", "kind": "Ghost", "name": text, "uid": format!("uid-{text}"),
                    "controller": false})
            });
            body["metadata"]["ownerReferences"] = json!(references.collect::<Vec<_>>());
        }
        body
    }

    /// What many write in turn: updates alone, each by another manager. Their names are in the order of their writes, so
    /// that it does not matter in which second one comes.
    fn parade_step(&mut self, kind: &Kind, name: &str, exists: bool, at: usize) -> Step {
        let mut step = self.write(kind, name, exists, false);
        step.query = format!("fieldManager=u{at:02}");
        step
    }

    fn step(&mut self, kind: &Kind, name: &str, exists: bool) -> Step {
        let manager = self.pick(&["a", "b", "c", "kubectl"]);
        let mut query = format!("fieldManager={manager}");
        if self.chance(8) {
            query += "&dryRun=All";
        }
        let mut step = if exists && self.chance(8) {
            Step {
                method: Method::DELETE,
                media: "application/json",
                status: false,
                query: String::new(),
                body: Value::Null,
            }
        } else if self.chance(60) {
            let status = exists && self.chance(20);
            query += &format!("&force={}", self.chance(40));
            let mut body = self.body(kind, name, status);
            if self.chance(10) {
                self.precondition(&mut body);
            }
            Step {
                method: Method::PATCH,
                media: "application/apply-patch+yaml",
                status,
                query: String::new(),
                body,
            }
        } else {
            let status = exists && self.chance(20);
            self.write(kind, name, exists, status)
        };
        step.query = query;
        step
    }

    /// A uid or resourceVersion that is right, or is not.
    fn precondition(&mut self, body: &mut Value) {
        let key = self.pick(&["uid", "resourceVersion"]);
        let wrong = if key == "uid" { "zzz" } else { "1" };
        body["metadata"][key] = if self.chance(60) { json!(KNOWN) } else { json!(wrong) };
    }

    /// Everything but applies and deletions.
    fn write(&mut self, kind: &Kind, name: &str, exists: bool, status: bool) -> Step {
        let mut body = self.body(kind, name, status);
        if !status && self.chance(12) {
            let applied = self.body(kind, name, false);
            body["metadata"]["annotations"] = json!({LAST_APPLIED: applied.to_string()});
        }
        let step = |method, media, body| Step {
            method,
            media,
            status,
            query: String::new(),
            body,
        };
        match self.0.random_range(0..4) {
            _ if !exists => step(Method::POST, "application/json", body),
            0 | 1 => {
                body["metadata"]["resourceVersion"] = json!(KNOWN);
                if self.chance(15) {
                    body["metadata"]["managedFields"] = self.pick_reset();
                }
                if self.chance(8) {
                    self.precondition(&mut body);
                }
                step(Method::PUT, "application/json", body)
            }
            2 => {
                for name in ["apiVersion", "kind"] {
                    body.as_object_mut().unwrap().remove(name);
                }
                body["metadata"].as_object_mut().unwrap().remove("name");
                if kind.kind == "Toy" && self.chance(40) {
                    let field = self.pick(&["n", "nested", "labels", "set", "ports", "free"]);
                    body["spec"][field] = Value::Null;
                }
                if self.chance(10) {
                    body["metadata"]["managedFields"] = self.pick_reset();
                }
                if self.chance(10) {
                    self.precondition(&mut body);
                }
                step(Method::PATCH, "application/merge-patch+json", body)
            }
            _ => step(Method::PATCH, "application/json-patch+json", self.json_patch(&body)),
        }
    }

    /// Takes some of a body's parts over one by one.
    fn json_patch(&mut self, body: &Value) -> Value {
        let mut operations = Vec::new();
        for part in [
            "/metadata/labels",
            "/metadata/finalizers",
            "/spec",
            "/spec/n",
            "/spec/labels",
            "/spec/ports",
            "/status",
        ] {
            let path = json!(part);
            match body.pointer(part) {
                Some(value) if self.chance(70) => operations.push(json!({"op": "add", "path": path, "value": value})),
                None if self.chance(7) => operations.push(json!({"op": "remove", "path": path})),
                _ => {}
            }
        }
        if self.chance(10) {
            operations.push(json!({"op": "add", "path": "/metadata/managedFields", "value": [{}]}));
        }
        if self.chance(10) {
            operations.push(json!({"op": "test", "path": "/metadata/name", "value": body["metadata"]["name"]}));
        }
        json!(operations)
    }

    fn pick_reset(&mut self) -> Value {
        match self.0.random_range(0..4) {
            0 => json!([]),
            1 => json!([{}]),
            2 => json!([{"manager": "x", "operation": "Update", "apiVersion": "v1"}]),
            _ => json!([{"manager": "given", "operation": "Apply", "apiVersion": format!("{GROUP}/v1"),
                "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:s": {}, "f:labels": {".": {}, "f:p": {}}}}}]),
        }
    }
}

#[tokio::test]
async fn random_writes_leave_what_kube_apiserver_leaves() {
    let plane = ControlPlane::shared().await;
    let definitions: Vec<Value> = kinds().iter().map(definition).collect();
    plane.apply(&definitions).await;
    let theirs = plane.client("admin").await;
    let opened = memory().await;
    let server = InProcess::serving(opened.storage.clone(), Settings::default(), registry()).await;
    let ours = server.admin().kube();

    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let sequences = number("BULWARD_APPLY_SEQUENCES").unwrap_or(SEQUENCES);
    let seed = number("BULWARD_APPLY_SEED").unwrap_or(SEED);
    let kinds = kinds();
    for kind in &kinds {
        let list = Step {
            method: Method::GET,
            media: "application/json",
            status: false,
            query: String::new(),
            body: Value::Null,
        };
        eventually("the definitions are served", STARTUP, async || {
            match ask(&theirs, &list, &kind.plural, "", None).await {
                (404, _) => Err("not yet"),
                _ => Ok(()),
            }
        })
        .await;
    }

    let mut wrong = Vec::new();
    let mut writes = 0;
    let mut codes: BTreeMap<String, u32> = BTreeMap::new();
    for sequence in 0..sequences {
        let mut random = Generator(StdRng::seed_from_u64(seed + sequence));
        let kind = if random.chance(75) { &kinds[0] } else { &kinds[1] };
        let name = format!("s{}", seed + sequence);
        let (mut mine, mut yours): (Option<Value>, Option<Value>) = (None, None);
        let mut history = Vec::new();
        let parade = random.chance(6);
        let steps = if parade { PARADE } else { random.0.random_range(2..10) };
        for at in 0..steps {
            let exists = yours.is_some();
            let step = if parade {
                random.parade_step(kind, &name, exists, at)
            } else {
                random.step(kind, &name, exists)
            };
            let (their_code, their_body) = ask(&theirs, &step, &kind.plural, &name, yours.as_ref()).await;
            let (our_code, our_body) = ask(&ours, &step, &kind.plural, &name, mine.as_ref()).await;
            writes += 1;
            history.push(format!(
                "{} {} {} {} -> {their_code}",
                step.method, step.media, step.query, step.body
            ));
            // what the answer says, and what is there now
            let now = Step {
                method: Method::GET,
                media: "application/json",
                status: false,
                query: String::new(),
                body: Value::Null,
            };
            let (their_now, our_now) = (
                ask(&theirs, &now, &kind.plural, &name, None).await,
                ask(&ours, &now, &kind.plural, &name, None).await,
            );
            let found = |code: u16, body: &Value, (now, object): &(u16, Value)| {
                json!([code, normal(body.clone()), now, normal(object.clone())])
            };
            let (left, right) = (
                found(our_code, &our_body, &our_now),
                found(their_code, &their_body, &their_now),
            );
            if left != right {
                let steps = history.join("\n    ");
                wrong.push(format!(
                    "seed {}:\n    {steps}\n  ours   {left}\n  theirs {right}",
                    seed + sequence
                ));
                break;
            }
            *codes
                .entry(format!("{} {} {their_code}", step.method, step.media))
                .or_default() += 1;
            let object = |(code, object): (u16, Value)| (code == 200).then_some(object);
            (mine, yours) = (object(our_now), object(their_now));
        }
    }
    println!("{codes:#?}");
    println!("{sequences} sequences with {writes} writes from seed {seed}");
    assert!(
        wrong.is_empty(),
        "{} of {sequences} sequences differ from seed {seed}:\n{}",
        wrong.len(),
        wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n")
    );
}
