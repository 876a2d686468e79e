//! Random writes through both versions of a Flunder, against `k8s.io/sample-apiserver`.

use http::{Method, Request};
use http_body_util::BodyExt;
use kube::client::Body;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::registry;
use crate::harness::in_process::{InProcess, Settings, memory};
use crate::harness::{ControlPlane, SampleApiserver};

/// `BULWARD_VERSIONS_SEQUENCES` makes it longer.
const SEQUENCES: u64 = 40;
/// The first sequence's seed, the others follow; `BULWARD_VERSIONS_SEED` begins elsewhere.
const SEED: u64 = 1159;
/// sample-apiserver looks whether it exists.
const NAMESPACE: &str = "default";

#[derive(Debug)]
struct Step {
    method: Method,
    media: &'static str,
    version: &'static str,
    query: String,
    body: Value,
}

async fn ask(client: &kube::Client, step: &Step, name: &str, current: Option<&Value>) -> (u16, Value) {
    let version = step.version;
    let place = format!("/apis/wardle.example.com/{version}/namespaces/{NAMESPACE}/flunders");
    let path = match step.method {
        Method::POST => format!("{place}?{}", step.query),
        _ => format!("{place}/{name}?{}", step.query),
    };
    let mut body = step.body.clone();
    if step.method == Method::PUT {
        let version = current.map_or(json!("1"), |current| current["metadata"]["resourceVersion"].clone());
        body["metadata"]["resourceVersion"] = version;
    }
    let request = Request::builder().method(step.method.clone()).uri(path);
    let request = request.header("content-type", step.media);
    let request = request.body(Body::from(body.to_string().into_bytes())).unwrap();
    let (head, body) = client.send(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    (head.status.as_u16(), serde_json::from_str(&text).unwrap_or(json!(text)))
}

/// The answer without what differs between any two servers.
fn normal(mut answer: Value) -> Value {
    if let Some(metadata) = answer.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in ["uid", "resourceVersion", "creationTimestamp"] {
            metadata.remove(key);
        }
        if let Some(entries) = metadata.get_mut("managedFields").and_then(Value::as_array_mut) {
            for entry in entries.iter_mut() {
                entry["time"] = json!("T");
            }
            // the order depends on the second in which things happened
            entries.sort_by_key(ToString::to_string);
        }
    }
    // both are random in Go
    if let Some(causes) = answer.pointer_mut("/details/causes").and_then(Value::as_array_mut) {
        causes.sort_by_key(ToString::to_string);
    }
    if answer["reason"] == "Conflict" {
        let text = answer["message"].as_str().unwrap_or_default().to_owned();
        let mut words: Vec<&str> = text.split(['\n', ' ']).collect();
        words.sort_unstable();
        answer["message"] = json!(words);
    }
    answer
}

struct Generator(StdRng);

impl Generator {
    fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.random_range(0..from.len())]
    }

    /// Mostly one that is valid.
    fn spec(&mut self, version: &str) -> Value {
        let mut spec = json!({});
        let kind = self.pick(&["Flunder", "Fischer"]);
        let reference = self.pick(&["x", "y", "z"]);
        if version == "v1alpha1" {
            if self.chance(80) {
                spec["reference"] = json!(reference);
            }
            if self.chance(50) {
                spec["referenceType"] = json!(if self.chance(5) { "Other" } else { kind });
            }
        } else if self.chance(85) {
            let fischer = kind == "Fischer" && self.chance(95);
            let field = if fischer {
                "fischerReference"
            } else {
                "flunderReference"
            };
            if self.chance(80) {
                spec[field] = json!(reference);
            }
            if self.chance(80) {
                spec["referenceType"] = json!(kind);
            }
        }
        spec
    }

    fn body(&mut self, version: &str, name: &str) -> Value {
        let mut body = json!({"metadata": {"name": name}});
        body["apiVersion"] = json!(format!("wardle.example.com/{version}"));
        body["kind"] = json!("Flunder");
        if self.chance(85) {
            body["spec"] = self.spec(version);
        }
        if self.chance(15) {
            body["status"] = json!({});
        }
        if self.chance(30) {
            body["metadata"]["labels"] = json!({self.pick(&["p", "q"]): self.pick(&["1", "2"])});
        }
        if self.chance(10) {
            body["metadata"]["finalizers"] = json!([self.pick(&["example.com/p", "example.com/q"])]);
        }
        body
    }

    fn step(&mut self, name: &str, exists: bool) -> Step {
        let version = self.pick(&["v1alpha1", "v1beta1"]);
        let query = format!("fieldManager={}", self.pick(&["a", "b", "c"]));
        let body = self.body(version, name);
        let step = |method, media, query, body| Step {
            method,
            media,
            version,
            query,
            body,
        };
        match self.0.random_range(0..10) {
            0..6 => {
                let query = format!("{query}&force={}", self.chance(40));
                step(Method::PATCH, "application/apply-patch+yaml", query, body)
            }
            6..8 if exists => step(Method::PUT, "application/json", query, body),
            _ if exists => {
                let mut patch = json!({});
                for part in ["spec", "status"] {
                    if let Some(value) = body.get(part) {
                        patch[part] = value.clone();
                    }
                }
                if self.chance(30) {
                    patch["spec"]["referenceType"] = Value::Null;
                }
                step(Method::PATCH, "application/merge-patch+json", query, patch)
            }
            _ => step(Method::POST, "application/json", query, body),
        }
    }
}

#[tokio::test]
async fn random_writes_leave_what_sample_apiserver_leaves() {
    let plane = ControlPlane::shared().await;
    SampleApiserver::shared().await;
    let theirs = plane.client("admin").await;
    let opened = memory().await;
    let server = InProcess::serving(opened.storage.clone(), Settings::default(), registry()).await;
    let ours = server.admin().kube();
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let sequences = number("BULWARD_VERSIONS_SEQUENCES").unwrap_or(SEQUENCES);
    let seed = number("BULWARD_VERSIONS_SEED").unwrap_or(SEED);

    let mut wrong = Vec::new();
    let mut writes = 0;
    for sequence in seed..seed + sequences {
        let mut random = Generator(StdRng::seed_from_u64(sequence));
        let name = format!("v{sequence}");
        let (mut mine, mut yours): (Option<Value>, Option<Value>) = (None, None);
        let mut history = Vec::new();
        for _ in 0..random.0.random_range(4..16) {
            let step = random.step(&name, yours.is_some());
            let (their_code, their_body) = ask(&theirs, &step, &name, yours.as_ref()).await;
            let (our_code, our_body) = ask(&ours, &step, &name, mine.as_ref()).await;
            writes += 1;
            let line = format!("{} {} {} -> {their_code}", step.method, step.query, step.body);
            history.push(line);
            let (left, right) = (normal(our_body.clone()), normal(their_body.clone()));
            if our_code != their_code || left != right {
                let steps = history.join("\n    ");
                let answers = format!("ours   {our_code} {left}\n  theirs {their_code} {right}");
                wrong.push(format!("seed {sequence}:\n    {steps}\n  {answers}"));
                break;
            }
            if their_code < 300 {
                (mine, yours) = (Some(our_body), Some(their_body));
            }
        }
    }
    println!("{sequences} sequences with {writes} writes from seed {seed}");
    assert!(
        wrong.is_empty(),
        "{} of {sequences} sequences differ from seed {seed}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
