//! The record of a request, around everything that happens once its sender is known
//! (k8s.io/apiserver pkg/endpoints/filters/audit.go, authn_audit.go).

use std::any::Any;
use std::io::Read;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::GzDecoder;
use futures::FutureExt;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::Value;

use super::body::{self, Body};
use super::limits::{Admitted, Limits};
use super::listener::Peer;
use super::request_info::RequestInfo;
use super::respond;
use crate::audit::policy::Request;
use crate::audit::{Arrival, Auditor, Recording};
use crate::authz::Decision;
use crate::wire::body::{MediaType, decode};
use crate::wire::notes::Notes;
use crate::wire::user::UserInfo;

/// A request before anything is known of its sender.
pub(super) struct Seen<'a> {
    pub(super) auditor: Option<&'a Arc<Auditor>>,
    pub(super) audit_id: &'a str,
    pub(super) uri: &'a Uri,
    pub(super) peer: &'a Peer,
    pub(super) info: &'a RequestInfo,
    pub(super) notes: &'a Arc<Notes>,
}

impl Seen<'_> {
    /// Records that the request has come, if that is to be recorded.
    ///
    /// # Errors
    /// The refusal, where it cannot be recorded and must be.
    pub(super) async fn received(
        &self,
        headers: &HeaderMap,
        user: &Arc<UserInfo>,
    ) -> Result<Option<Arc<Recording>>, Response<Body>> {
        let Some(record) = self.begin(headers, Some(user)) else {
            return Ok(None);
        };
        match record.received().await {
            Ok(()) => Ok(Some(Arc::new(record))),
            Err(error) => Err(respond::internal(&self.info.path, &error)),
        }
    }

    /// Records that the request failed before anybody knew who sent it: as one event that has begun and ended.
    pub(super) async fn failed(&self, headers: &HeaderMap, response: Response<Body>) -> Response<Body> {
        let Some(record) = self.begin(headers, None) else {
            return response;
        };
        let response = answered(&record, response).await;
        record.started().await;
        record.end();
        response
    }

    fn begin(&self, headers: &HeaderMap, user: Option<&Arc<UserInfo>>) -> Option<Recording> {
        let info = self.info;
        let request = Request {
            user: user.map(|user| &**user),
            verb: &info.verb,
            is_resource: info.is_resource,
            path: &info.path,
            group: &info.group,
            resource: &info.resource,
            subresource: &info.subresource,
            namespace: &info.namespace,
            name: &info.name,
        };
        self.auditor?.begin(&request, self.notes, || Arrival {
            audit_id: self.audit_id.to_owned(),
            received: Timestamp::now(),
            request_uri: self.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            source_ips: source_ips(headers, self.peer.remote_addr.ip()),
            user_agent: text(headers, USER_AGENT.as_str()).into_owned(),
            user: user.cloned(),
            version: info.version.clone(),
        })
    }
}

/// Answers and records how. What goes on after the answer has begun is recorded when its body, or its connection, ends. What the
/// answer was admitted with it keeps until it is sent, as recorded.
pub(super) async fn around(
    record: Option<Arc<Recording>>,
    info: &RequestInfo,
    peer: &Peer,
    limits: &Limits,
    answer: impl Future<Output = (Response<Body>, Admitted)>,
) -> Response<Body> {
    let Some(record) = record else {
        let (response, admitted) = answer.await;
        return limits.answered(admitted, response, peer);
    };
    let (response, admitted) = match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => {
            record.panicked(said(&*panic)).await;
            resume_unwind(panic)
        }
    };
    if info.is_long_running() && matches!(response.status(), StatusCode::OK | StatusCode::SWITCHING_PROTOCOLS) {
        record.answered(response.status().as_u16(), None);
        let response = limits.answered(admitted, response, peer);
        record.started().await;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            peer.afterwards.keep(record);
            return response;
        }
        // The record ends when the body does.
        return response.map(|body| {
            let guarded = body.map_frame(move |frame| {
                let _ = &record;
                frame
            });
            guarded.boxed_unsync()
        });
    }
    // A deletion is answered with a Status as well.
    let telling = response.status().is_client_error() || response.status().is_server_error() || info.verb == "delete";
    let response = match telling || record.wants_response() {
        true => answered(&record, response).await,
        false => {
            record.answered(response.status().as_u16(), None);
            response
        }
    };
    let status = response.status();
    let response = limits.answered(admitted, response, peer);
    // There may be no room for another answer that nobody reads.
    if response.status() != status {
        record.answered(response.status().as_u16(), None);
    }
    if info.is_long_running() {
        record.started().await;
    }
    record.complete().await;
    response
}

/// Notes what is answered, whose bytes are all there.
async fn answered(record: &Recording, response: Response<Body>) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let bytes = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) => {
            let failure = respond::broken_off(&error);
            record.answered(failure.status().as_u16(), None);
            return failure;
        }
    };
    record.answered(parts.status.as_u16(), read(&parts.headers, &bytes));
    Response::from_parts(parts, body::full(bytes))
}

/// What is answered, however it is written; nothing where it is no object.
fn read(headers: &HeaderMap, bytes: &Bytes) -> Option<Value> {
    let plain = match text(headers, CONTENT_ENCODING.as_str()) == "gzip" {
        true => {
            let mut plain = Vec::new();
            GzDecoder::new(&bytes[..]).read_to_end(&mut plain).ok()?;
            plain.into()
        }
        false => bytes.clone(),
    };
    let value = match MediaType::of(Some(&text(headers, CONTENT_TYPE.as_str())), true) {
        Ok(media) => decode(media, &plain).ok()?.value,
        // Some errors are sent as text, whatever they are.
        Err(_) => serde_json::from_slice(&plain).ok()?,
    };
    value.is_object().then_some(value)
}

/// Who says to have forwarded the request, and who has certainly sent it (k8s.io/apimachinery pkg/util/net/http.go SourceIPs).
fn source_ips(headers: &HeaderMap, remote: IpAddr) -> Vec<String> {
    let parse = |text: &str| text.trim().parse().ok().map(|ip: IpAddr| ip.to_canonical());
    let forwarded = text(headers, "x-forwarded-for");
    let mut all: Vec<IpAddr> = forwarded.split(',').filter_map(parse).collect();
    if let Some(real) = parse(&text(headers, "x-real-ip")).filter(|real| !all.contains(real)) {
        all.push(real);
    }
    let remote = remote.to_canonical();
    if all.last() != Some(&remote) {
        all.push(remote);
    }
    all.iter().map(ToString::to_string).collect()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> std::borrow::Cow<'a, str> {
    let value = headers.get(name).map(http::HeaderValue::as_bytes);
    String::from_utf8_lossy(value.unwrap_or_default())
}

/// What the authorizer has said.
pub(super) fn decided(notes: &Notes, decision: &Result<Decision, String>) {
    let (decision, reason) = match decision {
        Ok(Decision::Allow { reason }) => (Some("allow"), reason.as_str()),
        Ok(Decision::Deny { reason }) => (Some("forbid"), reason.as_str()),
        Err(_) => (None, "internal error"),
    };
    if let Some(decision) = decision {
        notes.annotate("authorization.k8s.io/decision", decision);
    }
    notes.annotate("authorization.k8s.io/reason", reason);
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_is_the_one_that_cannot_be_made_up() {
        let remote = "::ffff:10.0.0.9".parse().unwrap();
        let ips = |lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, value.parse().unwrap());
            }
            source_ips(&headers, remote)
        };
        assert_eq!(ips(&[]), ["10.0.0.9"]);
        assert_eq!(
            ips(&[("x-forwarded-for", "1.2.3.4, nonsense, ::1"), ("x-real-ip", "5.6.7.8")]),
            ["1.2.3.4", "::1", "5.6.7.8", "10.0.0.9"]
        );
        assert_eq!(
            ips(&[("x-forwarded-for", "1.2.3.4,10.0.0.9"), ("x-real-ip", "1.2.3.4")]),
            ["1.2.3.4", "10.0.0.9"]
        );
    }
}
