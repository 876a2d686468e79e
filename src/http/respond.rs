//! Errors become responses here, and nowhere else.

use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};

use super::body::{self, Body};
use serde_json::Value;

use crate::wire::json;
use crate::wire::negotiate::Format;
use crate::wire::status::Status;

/// JSON, as every response that is not negotiated.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Plain text, as Go's `http.Error` sends it.
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

const YAML: HeaderValue = HeaderValue::from_static("application/yaml");

/// How a client wants its answer written.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// JSON or YAML.
    pub format: Format,
    /// Whether JSON is indented.
    pub pretty: bool,
}

/// A response with `bytes` of a content type.
pub fn bytes(code: StatusCode, content_type: HeaderValue, bytes: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(body::full(bytes));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Compact JSON, written as the client wants to read it. Only what is not indented ends with a line feed.
pub fn encoded(code: StatusCode, manner: Manner, mut compact: Vec<u8>) -> Response<Body> {
    if manner.format == Format::Json && !manner.pretty {
        compact.push(b'\n');
        return bytes(code, JSON, compact);
    }
    let value: Value = serde_json::from_slice(&compact).unwrap_or_default();
    if manner.format == Format::Json {
        return bytes(code, JSON, json::to_vec_pretty(&value));
    }
    match serde_saphyr::to_string(&value) {
        Ok(text) => bytes(code, YAML, text),
        Err(error) => {
            tracing::error!(%error, "JSON that is no YAML");
            bytes(code, JSON, compact)
        }
    }
}

/// A Status as the answer. The internal cause goes to the log, under the audit id of the surrounding span.
pub fn status(status: &Status, manner: Manner) -> Response<Body> {
    if let Some(internal) = &status.internal {
        tracing::error!(code = status.code, internal, "request failed");
    }
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = encoded(code, manner, json::to_vec(&status.to_value()));
    if let Some(seconds) = status.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// `Warning` headers (RFC 7234 code 299 as k8s.io/apimachinery pkg/util/net/http.go NewWarningHeader writes them).
pub fn add_warnings(headers: &mut HeaderMap, warnings: &[String]) {
    for warning in warnings {
        let clean: String = warning.chars().filter(|c| !c.is_control()).collect();
        let escaped = clean.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{escaped}\"").as_bytes()) {
            headers.append(http::header::WARNING, value);
        }
    }
}
