//! What targets of headers share.

use http::{HeaderMap, HeaderName, HeaderValue};

/// One `name: value` a line; what a listener would not take is left out.
pub(super) fn read(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            let _ = headers.try_append(name, value);
        }
    }
    headers
}

/// Whether a header is the front proxy's.
pub(super) fn introduces(name: &str) -> bool {
    matches!(name, "x-remote-user" | "x-remote-uid" | "x-remote-group") || name.starts_with("x-remote-extra-")
}
