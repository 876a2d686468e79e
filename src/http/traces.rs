//! The span of a request, around everything that happens once its sender is known
//! (k8s.io/apiserver pkg/endpoints/filters/traces.go).

use std::pin::Pin;

use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;

use super::body::Body;
use super::listener::Peer;
use super::request_info::RequestInfo;
use crate::telemetry::traces::Span;
use crate::wire::user::{GROUP_MASTERS, UserInfo};

/// The group of those who watch over the cluster.
const GROUP_MONITORING: &str = "system:monitoring";

/// Whether the caller may put the request into a trace of theirs and have it recorded: kube-apiserver grants that to the same
/// groups. Whoever else could, could fill the collector.
pub(super) fn trusted(user: &UserInfo) -> bool {
    user.in_group(GROUP_MASTERS) || user.in_group(GROUP_MONITORING)
}

/// Method and path without the names in it, so that equal requests are called alike.
pub(super) fn name(method: &Method, info: &RequestInfo) -> String {
    if !info.is_resource {
        return method.to_string();
    }
    let (namespace, object) = (!info.namespace.is_empty(), !info.name.is_empty());
    let mut name = match info.group.as_str() {
        "" => format!("{method} /api/{}", info.version),
        group => format!("{method} /apis/{group}/{}", info.version),
    };
    if namespace {
        name.push_str("/namespaces/{:namespace}");
    }
    name.push('/');
    name.push_str(&info.resource);
    if object {
        name.push_str("/{:name}");
    }
    if !info.subresource.is_empty() {
        name.push('/');
        name.push_str(&info.subresource);
    }
    name
}

/// What the span says of the request beside that.
pub(super) fn about(info: &RequestInfo) -> Vec<(&'static str, String)> {
    vec![
        ("verb", info.verb.clone()),
        ("group", info.group.clone()),
        ("version", info.version.clone()),
        ("resource", info.resource.clone()),
        ("subresource", info.subresource.clone()),
    ]
}

/// Answers below the span, which ends with the answer. That of a watch ends with its body, or its connection.
pub(super) async fn around<F: Future<Output = Response<Body>>>(
    span: Option<Span>,
    info: &RequestInfo,
    peer: &Peer,
    answer: Pin<&mut F>,
) -> Response<Body> {
    let Some(mut span) = span else {
        return answer.await;
    };
    let response = span.scope(answer).await;
    span.answered(response.status());
    if info.is_long_running() {
        match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => peer.afterwards.keep(span),
            StatusCode::OK => {
                return response.map(|body| {
                    let guarded = body.map_frame(move |frame| {
                        let _ = &span;
                        frame
                    });
                    guarded.boxed_unsync()
                });
            }
            _ => {}
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::options::Query;

    #[test]
    fn spans_are_called_by_what_they_are_about() {
        for (method, path, called) in [
            (Method::GET, "/livez", "GET"),
            (Method::GET, "/apis/g.io/v1/things", "GET /apis/g.io/v1/things"),
            (
                Method::PUT,
                "/apis/g.io/v1/namespaces/n/things/t/status",
                "PUT /apis/g.io/v1/namespaces/{:namespace}/things/{:name}/status",
            ),
            (
                Method::DELETE,
                "/api/v1/namespaces/n/events/e",
                "DELETE /api/v1/namespaces/{:namespace}/events/{:name}",
            ),
        ] {
            let info = RequestInfo::parse(&method, path, &Query::parse(""));
            assert_eq!(name(&method, &info), called);
        }
    }
}
