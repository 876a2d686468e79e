//! What is answered to those who still come when the server takes no new requests
//! (k8s.io/apiserver pkg/server/filters/{waitgroup,with_retry_after}.go).

use http::header::{CONNECTION, HeaderValue, RETRY_AFTER, USER_AGENT, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, Response, StatusCode, Version};

use super::body::Body;
use super::listener::Peer;
use super::request_info::RequestInfo;
use super::respond;

/// A Status without the details that others of ours have: so the Go server writes it here.
const TEXT: &str = concat!(
    r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"apiserver is shutting down","#,
    r#""reason":"ServiceUnavailable","code":503}"#,
    "\n"
);

/// A 503 once the drain has begun, so that the client goes to another replica at once; nothing before. Those who look at how
/// the server ends are still answered, and so is kube-apiserver on its own behalf.
pub(super) fn refuse(peer: &Peer, version: Version, info: &RequestInfo, headers: &HeaderMap) -> Option<Response<Body>> {
    if !peer.drain.is_cancelled() || exempt(info, headers) {
        return None;
    }
    let mut response = respond::bytes(StatusCode::SERVICE_UNAVAILABLE, respond::JSON, TEXT);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // HTTP/2 says it with GOAWAY.
    if version < Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Some(response)
}

fn exempt(info: &RequestInfo, headers: &HeaderMap) -> bool {
    let first = info.path.split('/').nth(1).unwrap_or_default();
    if matches!(first, "healthz" | "livez" | "readyz" | "metrics") {
        return true;
    }
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    agent.is_some_and(|agent| agent.starts_with("kube-apiserver/"))
}
