//! Errors become responses here, and nowhere else.

use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};

use super::body::{self, Body};
use crate::wire::json;
use crate::wire::status::Status;

/// JSON, as every response that is not negotiated.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Plain text, as Go's `http.Error` sends it.
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A response with `bytes` of a content type.
pub fn bytes(code: StatusCode, content_type: HeaderValue, bytes: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(body::full(bytes));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A Status as the answer. The internal cause goes to the log, under the audit id of the surrounding span.
pub fn status(status: &Status, pretty: bool) -> Response<Body> {
    if let Some(internal) = &status.internal {
        tracing::error!(code = status.code, internal, "request failed");
    }
    let value = status.to_value();
    let mut text = if pretty {
        json::to_vec_pretty(&value)
    } else {
        json::to_vec(&value)
    };
    text.push(b'\n');
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = bytes(code, JSON, text);
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
