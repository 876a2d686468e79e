//! What is refused for its size, or for a time that is none, as kube-apiserver refuses it.

use http::Method;
use serde_json::Value;

use crate::harness::ControlPlane;
use crate::harness::in_process::{Answer, Caller, InProcess, memory};
use crate::harness::raw::Door;
use crate::harness::tenancy::{organizations, stored};

/// Headers that say something of one answer alone, of how the Go server shares its time, or of whether a connection goes on whose
/// request was not read to its end.
const OWN: [&str; 5] = [
    "date:",
    "audit-id:",
    "x-kubernetes-pf-",
    "content-length:",
    "connection:",
];

/// The code, the headers in the order of their names, and the body.
async fn refused(door: &Door, line: &str) -> (String, Vec<String>, Value) {
    let mut raw = door.open().await;
    raw.request(line, "").await;
    let head = raw.head().await.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length
        .expect("an answer has a length")
        .trim()
        .parse()
        .expect("a number");
    // Of the order of fields each has a habit of its own.
    let body = serde_json::from_slice(&raw.exactly(length).await).expect("a Status");
    let mut lines = head.lines().filter(|line| !line.is_empty());
    let code = lines.next().unwrap_or_default().to_owned();
    let mut headers: Vec<String> = lines.map(str::to_owned).collect();
    headers.retain(|line| !OWN.iter().any(|own| line.starts_with(own)));
    headers.sort();
    (code, headers, body)
}

#[tokio::test]
async fn refusals_are_those_of_kube_apiserver() {
    let plane = ControlPlane::shared().await;
    let server = InProcess::start(memory().await.storage.clone()).await;
    let (ours, theirs) = (server.door(), Door::of_plane(plane));
    let (own, others) = (stored(&organizations()), "/api/v1/namespaces/default/configmaps");
    for query in ["?timeout=x", "?timeout=1x"] {
        let line = |path: &str| format!("GET {path}{query}");
        let ours = refused(&ours, &line(own.as_str())).await;
        let theirs = refused(&theirs, &line(others)).await;
        assert_eq!(ours, theirs, "{query}");
    }

    // The connection may end once it is clear that the body is too large: clients of a library tell the answer nevertheless.
    let theirs = Caller::through(plane.client("admin").await);
    let huge = async |caller: &Caller, path: &str| -> Answer {
        let headers = [("content-type", "application/json")];
        caller
            .send(Method::POST, path, &headers, vec![b' '; (3 << 20) + 1])
            .await
    };
    let (ours, theirs) = (huge(&server.admin(), &own).await, huge(&theirs, others).await);
    assert_eq!((ours.code, theirs.code), (413, 413));
    let status = |answer: &Answer| serde_json::from_str::<Value>(&answer.text()).expect("a Status");
    assert_eq!(status(&ours), status(&theirs));
    assert_eq!(ours.header("content-type"), theirs.header("content-type"));
}
