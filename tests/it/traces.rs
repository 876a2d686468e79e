//! Traces of requests, as a collector gets them from the real server over OTLP.

mod collector;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::StreamExt;
use http::Method;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;
use tempfile::TempDir;

use self::collector::{Collector, Reviewer, attribute, hex};
use crate::harness::tenancy::{organization, organizations};
use crate::harness::{Bulward, ControlPlane, eventually};

/// Long enough for a server that has nothing left to do but to end.
const END: Duration = Duration::from_secs(60);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const OTHER: &str = "11112222333344445555666677778888";

fn configuration(folder: &Path, fields: &str) -> String {
    let file = folder.join("tracing.yaml");
    let text = format!("apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\n{fields}\n");
    std::fs::write(&file, text).unwrap();
    format!("--tracing-config-file={}", file.display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_part_of_a_trusted_callers_trace_and_so_is_what_it_asks_of_others() {
    let plane = ControlPlane::shared().await;
    let folder = TempDir::new().unwrap();
    let collector = Collector::start().await;
    let reviewer = Reviewer::start(folder.path(), &plane.ca().pem()).await;
    let tracing = configuration(folder.path(), &format!("endpoint: {}", collector.address()));
    let reviews = format!("--authorization-kubeconfig={}", reviewer.kubeconfig());
    let server = Bulward::start(plane, &[&tracing, &reviews]).await;

    // Somebody else's wish is none: their request is not recorded.
    let mallory = server.caller(plane, "mallory", &["team-mallory"]).await;
    let sampled = format!("00-{OTHER}-{PARENT}-01");
    let headers = [("traceparent", sampled.as_str())];
    let answer = mallory.send(Method::GET, &organizations(), &headers, "").await;
    answer.expect(200);

    let warden = server.caller(plane, "warden", &["system:monitoring"]).await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [
        ("traceparent", traceparent.as_str()),
        ("audit-id", "traced-create"),
        ("content-type", "application/json"),
    ];
    let owner = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "warden"});
    let body = json!({
        "apiVersion": "apiserver.bulward.io/v1alpha1", "kind": "Organization", "metadata": {"name": "traced"},
        "spec": {"owners": [owner], "metadata": {"displayName": "d", "description": "d"}},
    });
    let created = warden
        .send(Method::POST, &organizations(), &headers, body.to_string())
        .await;
    created.expect(201);
    let unknown = format!("{}?limit=1", organization("nobody-has-this"));
    warden.send(Method::GET, &unknown, &headers, "").await.expect(404);
    let watch = format!("{}?watch=true&timeoutSeconds=1", organizations());
    let watched = warden.send(Method::GET, &watch, &headers[..1], "").await;
    assert_eq!(watched.code, 200, "{}", watched.text());
    assert!(server.stop(END).await.success());

    let spans = collector.spans();
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "{spans:#?}");
    let requests: Vec<&Span> = spans
        .iter()
        .filter(|span| span.kind == SpanKind::Server as i32)
        .collect();
    let path = "/apis/apiserver.bulward.io/v1alpha1/organizations";
    let wanted = [
        (format!("POST {path}"), "201"),
        (format!("GET {path}/{{:name}}"), "404"),
        (format!("GET {path}"), "200"),
    ];
    let found: Vec<(String, String)> = requests
        .iter()
        .map(|span| (span.name.clone(), attribute(span, "http.response.status_code")))
        .collect();
    assert_eq!(found, wanted.map(|(name, code)| (name, code.to_owned())));
    assert!(
        requests.iter().all(|span| hex(&span.parent_span_id) == PARENT),
        "{requests:#?}"
    );
    assert_eq!(collector.service(), "bulward-apiserver");
    let [create, get, watch] = requests[..] else {
        unreachable!()
    };
    assert_eq!(attribute(create, "audit-id"), "traced-create");
    assert_eq!(attribute(create, "verb"), "create");
    assert_eq!(attribute(create, "resource"), "organizations");
    assert_eq!(attribute(get, "http.target"), unknown);
    let lasted = Duration::from_nanos(watch.end_time_unix_nano - watch.start_time_unix_nano);
    assert!(
        lasted >= Duration::from_secs(1),
        "a watch's span ends with the watch: {lasted:?}"
    );
    assert_eq!(watched.header("audit-id"), Some(attribute(watch, "audit-id").as_str()));

    let below = |parent: &Span, name: &str| {
        let found = spans
            .iter()
            .find(|span| span.parent_span_id == parent.span_id && span.name == name);
        found
            .unwrap_or_else(|| panic!("no {name} below {parent:#?} in {spans:#?}"))
            .clone()
    };
    assert_eq!(attribute(&below(create, "storage"), "operation"), "create");
    let review = below(create, "access_review");
    // The review was asked for as part of the same trace; that of the other caller was not, and is not recorded there either.
    let named = reviewer.traceparents();
    let own = format!("00-{TRACE}-{}-01", hex(&review.span_id));
    assert!(named.contains(&own), "{own} is not among {named:?}");
    let others: Vec<&String> = named.iter().filter(|one| !one.contains(TRACE)).collect();
    assert!(!others.is_empty(), "mallory's request was reviewed: {named:?}");
    assert!(
        others.iter().all(|one| !one.contains(OTHER) && one.ends_with("-00")),
        "{named:?}"
    );
}

/// Spans of the queue, and of the batches on their way.
const KEPT: usize = 2048 + 3 * 512;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_takes_nothing_holds_up_no_request_and_fills_no_memory() {
    const REQUESTS: usize = 4_500;
    let plane = ControlPlane::shared().await;
    let folder = TempDir::new().unwrap();
    let collector = Collector::silent().await;
    let fields = format!("endpoint: {}\nsamplingRatePerMillion: 1000000", collector.address());
    let server = Bulward::start(plane, &[&configuration(folder.path(), &fields), "--v=0"]).await;
    let caller = server.caller(plane, "prober", &[]).await;
    let answered = futures::stream::iter(0..REQUESTS)
        .map(|_| caller.get("/livez?exclude=etcd"))
        .buffer_unordered(16)
        .filter(|answer| std::future::ready(answer.code == 200))
        .count();
    assert_eq!(answered.await, REQUESTS);
    let waiting = eventually(
        "a batch has been sent and is not taken",
        END,
        async || match collector.waiting() {
            0 => Err("none"),
            some => Ok(some),
        },
    );
    waiting.await;
    // It takes what comes from now on: what is left of so many is what was kept.
    collector.speak();
    assert!(server.stop(END).await.success());
    let requests = collector.spans().len();
    assert!(requests > 0, "what is kept is sent as soon as somebody takes it");
    assert!(requests <= KEPT, "{requests} spans were kept");
}

#[test]
fn a_file_that_says_nothing_usable_is_refused_before_anything_starts() {
    let folder = TempDir::new().unwrap();
    for (fields, why) in [
        (
            "samplingRatePerMillion: -1",
            "samplingRatePerMillion: Invalid value: -1",
        ),
        (
            "endpoint: https://collector",
            "endpoint: Invalid value: \"https://collector\": unsupported scheme",
        ),
        ("sampling: 1", "sampling"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
        let flag = configuration(folder.path(), fields);
        let output = command
            .args(["apiserver", &flag])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.starts_with("bulward: --tracing-config-file: ") && said.contains(why),
            "{said}"
        );
    }
}
