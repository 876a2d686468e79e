//! Requests that no honest client would send. Whatever comes, the server answers, never with a fault of its own, and goes on serving.
//!
//! The random ones are shaped by our own OpenAPI documents, and then bent. `BULWARD_HOSTILE_REQUESTS` makes the run longer,
//! `BULWARD_HOSTILE_SEED` makes it another one; `fuzz/run` is the long form with a generator that is not ours.

mod generator;

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::harness::in_process::{Answer, Caller, DEADLINE, memory};
use crate::harness::tenancy::{World, an_organization, as_stored, organization, organizations, stored, user};
use generator::{Document, Generator};

const REQUESTS: usize = 1000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// What is wrong with an answer to a request with a body of `sent` bytes.
fn fault(answer: &Answer, sent: usize) -> Option<String> {
    let yaml = answer.header("content-type").is_some_and(|kind| kind.contains("yaml"));
    let body: Option<Value> = match yaml {
        true => serde_saphyr::from_str(&answer.text()).ok(),
        false => serde_json::from_slice(&answer.body).ok(),
    };
    let status = body.as_ref().filter(|body| body["kind"] == "Status");
    let message = status.and_then(|status| status["message"].as_str()).unwrap_or_default();
    match answer.code {
        // Go's own answer to an applied object that the schema does not know.
        500 if message.starts_with("failed to create typed patch object (") => None,
        // And to a revision that is still to come.
        504 if message.starts_with("Timeout: Too large resource version: ") => None,
        500.. => Some("a fault of the server's own".to_owned()),
        400.. => match status {
            None => Some("no Status".to_owned()),
            Some(status) if status["code"] != answer.code => Some("the Status has another code".to_owned()),
            Some(_) if message.is_empty() => Some("the Status says nothing".to_owned()),
            Some(_) if answer.body.len() > (1 << 20) + 8 * sent => {
                Some(format!("{} bytes to say no to {sent}", answer.body.len()))
            }
            Some(_) => None,
        },
        _ => None,
    }
}

/// It serves as if nothing had been.
async fn healthy(world: &World) {
    let ready = world.server.anonymous().get("/readyz").await;
    assert_eq!(ready.code, 200, "{}", ready.text());
    let path = stored(&organization("afterwards"));
    world.organization("afterwards", &[user("alice")]).await;
    assert_eq!(
        world.admin.get(&path).await.expect(200)["metadata"]["name"],
        "afterwards"
    );
    let names = world.user("alice").get(&organizations()).await.names();
    assert!(names.contains(&"afterwards".to_owned()), "{names:?}");
    world.remove(&organization("afterwards")).await;
}

#[tokio::test]
async fn random_requests_are_answered() {
    let seed = number("BULWARD_HOSTILE_SEED").unwrap_or(1);
    let requests = number("BULWARD_HOSTILE_REQUESTS").map_or(REQUESTS, |many| usize::try_from(many).expect("a size"));
    let world = World::new(memory().await).await;
    world.organization("acme", &[user("alice")]).await;
    world.project("acme", "web", &[user("alice")]).await;
    let mut documents = Vec::new();
    for group in ["apiserver.bulward.io", "storage.bulward.io"] {
        let document = world.admin.get(&format!("/openapi/v3/apis/{group}/v1alpha1")).await;
        documents.push(Document::new(document.expect(200)));
    }
    let callers: [Caller; 3] = [world.admin.clone(), world.user("alice"), world.user("bob")];
    let mut generator = Generator::new(seed);
    let mut codes = BTreeMap::<u16, usize>::new();
    let mut faults = Vec::new();
    for number in 0..requests {
        let document = &documents[generator.below(documents.len())];
        let caller = &callers[generator.below(callers.len())];
        let one = generator.request(document);
        let headers: Vec<(&str, &str)> = one
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let sent = one.body.len();
        let answer = caller.send(one.method, &one.path, &headers, one.body).await;
        *codes.entry(answer.code).or_default() += 1;
        if let Some(why) = fault(&answer, sent) {
            let text: String = answer.text().chars().take(500).collect();
            faults.push(format!(
                "{number}: {why}: {} {headers:?}: {} {text}",
                answer.request, answer.code
            ));
        }
    }
    println!("{requests} requests from seed {seed}: {codes:?}");
    assert!(
        faults.is_empty(),
        "seed {seed}: {} faults\n{}",
        faults.len(),
        faults.join("\n")
    );
    // Else the requests were all too strange to say anything about what comes after the first look.
    for code in [200, 201, 400, 403, 404, 409, 415, 422] {
        assert!(codes.contains_key(&code), "nothing was answered {code}: {codes:?}");
    }
    healthy(&world).await;
}

/// Heads that are no HTTP, or hardly: the connection may end, the server may not.
#[tokio::test]
async fn broken_heads_are_survived() {
    let world = World::new(memory().await).await;
    let path = organizations();
    let long = "a".repeat(1 << 20);
    let many: String = (0..5000).map(|n| format!("x-{n}: y\r\n")).collect();
    let requests = [
        "\0\0\0\0\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        format!("GET {path}\r\n\r\n"),
        format!("GET {path} HTTP/9.9\r\nhost: localhost\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\n\r\n"),
        format!("GET {path}?%zz=%&&=;= HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        format!("GET {path}/%00%ff%2e%2e%2f HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        format!("GET {path}/../../../etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        format!("GET {path}\u{1f4a5} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        format!("GET http://[::1/{path} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        "GET * HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        "CONNECT localhost:1 HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        format!("GET {path}?labelSelector={long} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-long: {long}{long}\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"),
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-remote-user: admin\r\naccept: \u{7f}\r\n\r\n"),
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n"),
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999999999999\r\n\r\n"),
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\n{{}}{{}}"),
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"),
        format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n"
        ),
    ];
    for request in &requests {
        let mut connection = world.server.connection().await;
        let shown: String = request.chars().take(120).collect();
        // It may be cut while it is still being sent.
        let sent = timeout(DEADLINE, async {
            let _ = connection.write_all(request.as_bytes()).await;
            let _ = connection.shutdown().await;
        });
        assert!(sent.await.is_ok(), "{shown:?}: nobody reads");
        let mut answer = Vec::new();
        let read = timeout(DEADLINE, connection.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "{shown:?}: the connection neither answers nor ends");
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.") && !answer[9..].starts_with('5'),
            "{shown:?}: {answer}"
        );
    }
    healthy(&world).await;
}

/// What is small to send must be cheap to refuse, and the refusal small to read.
#[tokio::test]
async fn large_nonsense_is_refused_in_few_words() {
    let world = World::new(memory().await).await;
    let admin = &world.admin;
    world.organization("acme", &[user("alice")]).await;
    let path = stored(&organization("acme"));
    let object = |change: Value| {
        let mut body = as_stored(an_organization("acme", &[user("alice")]));
        body["metadata"]["resourceVersion"] = json!("@");
        bulward::wire::patch::merge(&mut body, &change);
        body.to_string()
    };
    let subjects: Vec<Value> = (0..2_000)
        .map(|_| json!({"kind": "Robot", "name": "", "apiGroup": "x"}))
        .collect();
    let same: Vec<Value> = (0..2_000).map(|_| user("alice")).collect();
    let references: Vec<Value> = (0..2_000)
        .map(|number| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": format!("{}", number % 2), "controller": true}))
        .collect();
    let fields: serde_json::Map<String, Value> = (0..10_000).map(|number| (format!("f{number}"), json!(1))).collect();
    let labels: serde_json::Map<String, Value> = (0..2_000).map(|number| (format!("/{number}/"), json!("~"))).collect();
    let finalizers: Vec<String> = (0..2_000).map(|number| format!("no such thing {number}")).collect();
    let twice = format!("{{{}}}", vec![r#""kind":"Organization""#; 2_000].join(","));
    let deep = |open: &str, close: &str| {
        format!(
            r#"{{"apiVersion":"storage.bulward.io/v1alpha1","kind":"Organization","spec":{}{}}}"#,
            open.repeat(200_000),
            close.repeat(200_000)
        )
    };
    let shifts: Vec<Value> = (0..2_000)
        .map(|_| json!({"op": "add", "path": "/spec/owners/0", "value": {}}))
        .collect();
    let record: Vec<Value> = (0..10_000)
        .map(|number| {
            json!({"manager": format!("m{number}"), "operation": "Update", "apiVersion": "storage.bulward.io/v1alpha1",
                "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:owners": {}}}})
        })
        .collect();
    let copies: Vec<Value> = (0..40)
        .map(|_| json!({"op": "copy", "from": "/spec", "path": "/spec/x"}))
        .collect();
    let yaml_bomb = {
        let mut text =
            "apiVersion: storage.bulward.io/v1alpha1\nkind: Organization\nx0: &x0 [a,a,a,a,a,a,a,a,a,a]\n".to_owned();
        for level in 1..9 {
            let below = level - 1;
            text += &format!("x{level}: &x{level} [{}]\n", vec![format!("*x{below}"); 10].join(","));
        }
        text
    };
    let (json_type, yaml, merge, patch, apply) = (
        "application/json",
        "application/yaml",
        "application/merge-patch+json",
        "application/json-patch+json",
        "application/apply-patch+yaml",
    );
    let bodies = [
        (Method::PUT, json_type, object(json!({"spec": {"owners": subjects}}))),
        (Method::PUT, json_type, object(json!({"spec": {"owners": same}}))),
        (
            Method::PUT,
            json_type,
            object(json!({"metadata": {"ownerReferences": references}})),
        ),
        (
            Method::PUT,
            json_type,
            object(json!({"metadata": {"labels": labels, "annotations": labels}})),
        ),
        (
            Method::PUT,
            json_type,
            object(json!({"metadata": {"labels": labels, "managedFields": record}})),
        ),
        (
            Method::PUT,
            json_type,
            object(json!({"metadata": {"finalizers": finalizers}})),
        ),
        (Method::PUT, json_type, object(json!({"spec": fields}))),
        (Method::PUT, json_type, twice),
        (Method::PUT, json_type, deep(r#"{"a":"#, "}")),
        (Method::PUT, json_type, deep("[", "]")),
        (Method::PUT, yaml, deep("[", "]")),
        (Method::PUT, yaml, yaml_bomb.clone()),
        (Method::PATCH, apply, yaml_bomb),
        (Method::PATCH, apply, object(json!({"spec": fields}))),
        (Method::PATCH, merge, json!({"spec": {"owners": subjects}}).to_string()),
        (
            Method::PATCH,
            merge,
            json!({"metadata": {"finalizers": finalizers}}).to_string(),
        ),
        (Method::PATCH, patch, json!(shifts).to_string()),
        (Method::PATCH, patch, json!(copies).to_string()),
        (
            Method::DELETE,
            json_type,
            json!({"propagationPolicy": "x".repeat(1 << 20)}).to_string(),
        ),
    ];
    let mut faults = Vec::new();
    for (method, media, body) in &bodies {
        let unknown = body.contains("f99") || body.len() < 150_000;
        let validations: &[&str] = if unknown { &["Strict", "Ignore"] } else { &["Warn"] };
        for validation in validations {
            let query = match (method, *media) {
                (&Method::DELETE, _) => String::new(),
                (_, "application/apply-patch+yaml") => format!("?fieldManager=m&fieldValidation={validation}"),
                _ => format!("?fieldValidation={validation}"),
            };
            let current = admin.get(&path).await.revision();
            let body = body.replacen(r#""@""#, &format!(r#""{current}""#), 1);
            let (sent, begun) = (body.len(), Instant::now());
            let answer = admin
                .send(
                    method.clone(),
                    &format!("{path}{query}"),
                    &[("content-type", media)],
                    body,
                )
                .await;
            let warnings: usize = answer.headers.get_all("warning").iter().map(|one| one.len()).sum();
            let line = format!(
                "{} {media} {validation} {sent} bytes: {} in {:?}, {} bytes and {warnings} of warnings",
                answer.request.chars().take(200).collect::<String>(),
                answer.code,
                begun.elapsed(),
                answer.body.len()
            );
            println!("{line}");
            let too_many = (warnings > 32 << 10).then(|| "too many warnings".to_owned());
            faults.extend(fault(&answer, sent).or(too_many).map(|why| format!("{why}: {line}")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    healthy(&world).await;
}
