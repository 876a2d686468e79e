//! What a server answered.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

/// A complete response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The request, for failure messages.
    pub(crate) request: String,
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, which must be JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{}: {error}: {}", self.request, self.text()))
    }

    /// The body of an answer that must have this code.
    #[track_caller]
    pub(crate) fn expect(&self, code: u16) -> Value {
        assert_eq!(self.code, code, "{}: {}", self.request, self.text());
        self.json()
    }

    /// The Status of a refusal that must have this code and reason.
    #[track_caller]
    pub(crate) fn refused(&self, code: u16, reason: &str) -> Value {
        let status = self.expect(code);
        assert_eq!(status["kind"], "Status", "{}", self.request);
        assert_eq!(status["apiVersion"], "v1", "{}", self.request);
        assert_eq!(status["status"], "Failure", "{}", self.request);
        assert_eq!(status["code"], code, "{}", self.request);
        let said = status["reason"].as_str().unwrap_or_default();
        assert_eq!(said, reason, "{}: {}", self.request, self.text());
        status
    }

    /// As [`Answer::refused`], with this message.
    #[track_caller]
    pub(crate) fn refused_with(&self, code: u16, reason: &str, message: &str) -> Value {
        let status = self.refused(code, reason);
        assert_eq!(status["message"], message, "{}", self.request);
        status
    }

    /// A 422 whose causes name exactly these fields.
    #[track_caller]
    pub(crate) fn invalid(&self, fields: &[&str]) -> Value {
        let status = self.refused(422, "Invalid");
        let causes = status["details"]["causes"].as_array().cloned().unwrap_or_default();
        let named: Vec<&str> = causes.iter().filter_map(|cause| cause["field"].as_str()).collect();
        assert_eq!(named, fields, "{}: {}", self.request, self.text());
        let message = status["message"].as_str().unwrap_or_default();
        for field in fields {
            assert!(
                message.contains(field),
                "{}: {message:?} does not name {field}",
                self.request
            );
        }
        status
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Names of a list's items, in order: `name` or `namespace/name`.
    #[track_caller]
    pub(crate) fn names(&self) -> Vec<String> {
        let list = self.expect(200);
        let items = list["items"].as_array();
        let items = items.unwrap_or_else(|| panic!("{}: no items: {}", self.request, self.text()));
        items.iter().map(key).collect()
    }

    /// A list's or object's `metadata.resourceVersion`.
    pub(crate) fn revision(&self) -> u64 {
        revision(&self.json())
    }
}

/// `name` or `namespace/name`.
pub(crate) fn key(object: &Value) -> String {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    match metadata["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

/// `metadata.resourceVersion` as the number that it is here.
pub(crate) fn revision(object: &Value) -> u64 {
    let text = object["metadata"]["resourceVersion"].as_str();
    text.and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("no resourceVersion in {object}"))
}
