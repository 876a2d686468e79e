//! Errors become responses here, and nowhere else.

use std::collections::HashSet;

use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WARNING};
use http::{HeaderMap, Response, StatusCode};

use super::body::{self, Body};
use serde_json::Value;

use crate::wire::json;
use crate::wire::negotiate::Format;
use crate::wire::protobuf;
use crate::wire::status::Status;

/// JSON, as every response that is not negotiated.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Plain text, as Go's `http.Error` sends it.
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Kubernetes' protobuf.
pub const PROTOBUF: HeaderValue = HeaderValue::from_static(protobuf::MEDIA_TYPE);

const YAML: HeaderValue = HeaderValue::from_static("application/yaml");
/// As many characters of warnings are sent in full.
const WARNINGS_LIMIT: usize = 4096;
/// What is left of one when there are more.
const WARNING_LIMIT: usize = 256;

/// How a client wants its answer written.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// JSON, YAML or protobuf.
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
    if manner.format == Format::Protobuf {
        // Negotiation lets nothing else come here.
        return match protobuf::encode(&value) {
            Some(encoded) => bytes(code, PROTOBUF, encoded),
            None => bytes(code, JSON, compact),
        };
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
    add_warnings(response.headers_mut(), &status.warnings);
    response
}

/// What Go's servers answer where they cannot tell an error in their own words
/// (k8s.io/apiserver pkg/endpoints/handlers/responsewriters/errors.go InternalError).
pub fn internal(path: &str, error: &dyn std::fmt::Display) -> Response<Body> {
    let text = format!("Internal Server Error: {path:?}: {error}\n");
    bytes(StatusCode::INTERNAL_SERVER_ERROR, TEXT, text)
}

/// An answer that broke off before any of it was sent. Nobody may take what is left of it for the whole.
pub fn broken_off(error: &dyn std::fmt::Display) -> Response<Body> {
    tracing::error!(%error, "an answer broke off");
    let text = "Internal Server Error: the answer broke off\n";
    bytes(StatusCode::INTERNAL_SERVER_ERROR, TEXT, text)
}

/// A `Warning` header before all others.
pub fn add_first_warning(headers: &mut HeaderMap, warning: &str) {
    let others: Vec<HeaderValue> = headers.get_all(WARNING).iter().cloned().collect();
    headers.remove(WARNING);
    append_warning(headers, warning);
    for other in others {
        headers.append(WARNING, other);
    }
}

/// `Warning` headers for these sentences; too many of them are cut, as in Go, so that no client chokes on the headers
/// (k8s.io/apiserver pkg/endpoints/filters/warning.go).
pub fn add_warnings(headers: &mut HeaderMap, warnings: &[String]) {
    let mut told = HashSet::new();
    let distinct: Vec<&String> = warnings
        .iter()
        .filter(|text| !text.is_empty() && told.insert(*text))
        .collect();
    let mut total = 0;
    let overflow = distinct.iter().position(|text| {
        total += text.chars().count();
        total > WARNINGS_LIMIT
    });
    let mut written = 0;
    for (at, text) in distinct.into_iter().enumerate() {
        let Some(overflow) = overflow else {
            append_warning(headers, text);
            continue;
        };
        if at > overflow && written >= WARNINGS_LIMIT {
            return;
        }
        let cut: String = text.chars().take(WARNING_LIMIT).collect();
        written += cut.chars().count();
        append_warning(headers, &cut);
    }
}

/// RFC 7234 code 299 as k8s.io/apimachinery pkg/util/net/http.go NewWarningHeader writes it: not at all, where a control
/// character is in it.
fn append_warning(headers: &mut HeaderMap, text: &str) {
    if text.chars().any(char::is_control) {
        return;
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{escaped}\"").as_bytes()) {
        headers.append(WARNING, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(texts: &[String]) -> Vec<usize> {
        let mut headers = HeaderMap::new();
        add_warnings(&mut headers, texts);
        headers
            .get_all(WARNING)
            .iter()
            .map(|value| value.len() - r#"299 - """#.len())
            .collect()
    }

    #[test]
    fn warnings_are_told_once_and_cut_when_they_are_too_long() {
        let long = |c: &str, length| c.repeat(length);
        assert_eq!(
            warned(&[long("a", 10), long("a", 10), String::new(), long("b", 4086)]),
            [10, 4086]
        );
        assert_eq!(warned(&[long("a", 10), long("b", 4087)]), [10, 256]);
        let many: Vec<String> = (0..100).map(|n| format!("{n:0300}")).collect();
        assert_eq!(warned(&many), [256; 16]);
        let short: Vec<String> = (0..1000).map(|n| format!("{n:010}")).collect();
        assert_eq!(warned(&short).len(), 410);
    }

    #[test]
    fn warnings_are_quoted() {
        let mut headers = HeaderMap::new();
        add_warnings(&mut headers, &["a \"b\" \\ ".to_owned(), "a line\n".to_owned()]);
        let written: Vec<_> = headers.get_all(WARNING).iter().collect();
        assert_eq!(
            written,
            [r#"299 - "a \"b\" \\ ""#],
            "control characters are not written"
        );
    }
}
