//! What is sent back for a document: status, headers, bytes, and the conditions under which it need not be sent.

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, LAST_MODIFIED, VARY};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use jiff::{Timestamp, ToSpan};
use sha2::{Digest, Sha512};

use crate::wire::json;
use crate::wire::status::Status;

/// A year, as long as anything may be cached (RFC 9111 has no longer tradition).
const IMMUTABLE_HOURS: i64 = 365 * 24;

/// A complete answer. `Content-Type` is among the headers; `Cache-Control` only where it differs from what every other answer carries.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers, at most one of each name.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; empty for 304 and for some 406.
    pub body: Bytes,
}

/// What a client says about the copy that it has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions<'a> {
    /// `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// `If-Modified-Since`; looked at only without `If-None-Match`.
    pub if_modified_since: Option<&'a str>,
}

/// JSON with the hash that names it.
pub(in crate::endpoints) struct Tagged {
    pub(in crate::endpoints) json: Bytes,
    /// The uppercase hexadecimal SHA-512 of `json`.
    pub(in crate::endpoints) hash: String,
}

// === impl Answer ===

impl Answer {
    /// 200 with `body`.
    pub(in crate::endpoints) fn ok(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status: StatusCode::OK,
            headers: vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))],
            body: body.into(),
        }
    }

    /// An answer without a body.
    pub(in crate::endpoints) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// 406; pretty, since nothing that the client reads could be agreed on.
    pub(in crate::endpoints) fn not_acceptable(accepted: &[&str]) -> Self {
        let status = Status::not_acceptable(accepted);
        Self {
            status: StatusCode::NOT_ACCEPTABLE,
            ..Self::ok("application/json", json::to_vec_pretty(&status.to_value()))
        }
    }

    /// Adds a header.
    pub(in crate::endpoints) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The answer as an HTTP response.
    pub fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}

// === impl Tagged ===

impl Tagged {
    pub(in crate::endpoints) fn new(json: Vec<u8>) -> Self {
        let hash = Sha512::digest(&json).iter().map(|byte| format!("{byte:02X}")).collect();
        Self {
            json: json.into(),
            hash,
        }
    }

    /// `hash` as it stands in the header.
    pub(in crate::endpoints) fn etag(&self) -> HeaderValue {
        HeaderValue::try_from(format!("\"{}\"", self.hash)).expect("hexadecimal digits and quotes are visible ASCII")
    }

    /// The JSON, unless the client has it. Go's http.ServeContent with an ETag, as k8s.io/kube-openapi pkg/handler and pkg/handler3 use it. `immutable`
    /// says that the client named the hash of this very content, so that it may keep it.
    pub(in crate::endpoints) fn serve(
        &self,
        modified: Timestamp,
        conditions: Conditions<'_>,
        immutable: bool,
    ) -> Answer {
        self.serve_as("application/json", &self.json, modified, conditions, immutable)
    }

    /// [`Tagged::serve`] for the same content in another form, which has the same tag.
    pub(in crate::endpoints) fn serve_as(
        &self,
        content_type: &'static str,
        body: &Bytes,
        modified: Timestamp,
        conditions: Conditions<'_>,
        immutable: bool,
    ) -> Answer {
        let unchanged = conditions.hold(&self.hash, modified);
        let mut answer = if unchanged {
            Answer::empty(StatusCode::NOT_MODIFIED)
        } else {
            // Go serves parts as well; who asks for one here gets the whole, as RFC 9110 allows.
            Answer::ok(content_type, body.clone())
                .with(ACCEPT_RANGES, HeaderValue::from_static("bytes"))
                .with(LAST_MODIFIED, http_date(modified))
        };
        answer = answer
            .with(ETAG, self.etag())
            .with(VARY, HeaderValue::from_static("Accept"));
        if immutable {
            let expires = Timestamp::now()
                .saturating_add(IMMUTABLE_HOURS.hours())
                .unwrap_or(modified);
            answer = answer
                .with(CACHE_CONTROL, HeaderValue::from_static("public, immutable"))
                .with(EXPIRES, http_date(expires));
        }
        answer
    }
}

// === impl Conditions ===

impl Conditions<'_> {
    /// Whether the client's copy is still good (Go net/http fs.go checkPreconditions).
    fn hold(&self, hash: &str, modified: Timestamp) -> bool {
        if let Some(known) = self.if_none_match {
            return known.split(',').map(str::trim).any(|tag| {
                let tag = tag.strip_prefix("W/").unwrap_or(tag);
                tag == "*" || tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) == Some(hash)
            });
        }
        let since = self
            .if_modified_since
            .and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        since.is_some_and(|since| modified.as_second() <= since.timestamp().as_second())
    }
}

/// RFC 9110: `Mon, 23 Nov 2026 09:08:53 GMT`.
fn http_date(when: Timestamp) -> HeaderValue {
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&when);
    text.ok()
        .and_then(|text| HeaderValue::try_from(text).ok())
        .unwrap_or_else(|| HeaderValue::from_static("0"))
}
