//! OpenAPI v2 and v3: what kubectl explains, completes and validates by.
//!
//! Serving follows k8s.io/kube-openapi pkg/handler (v2) and pkg/handler3 (v3), with two differences: a stale hash is answered with the current document,
//! since a redirect through the aggregator is a 502, and a document that does not exist is a 404.

mod meta;
mod operation;
mod paths;
mod protobuf;
mod schema;
#[cfg(test)]
mod tests;
mod v2;
mod v3;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::VARY;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::endpoints::discovery::{Answer, Question, Tagged, clauses};
use crate::rest::resource::Registry;
use crate::wire::json as go_json;

/// What clients call OpenAPI v2 as protobuf; the second spelling is the older one.
const PROTOBUF: [&str; 2] = [
    "com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "com.github.proto-openapi.spec.v2@v1.0+protobuf",
];
/// What we call it.
const PROTOBUF_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The OpenAPI documents, ready to be sent.
pub struct OpenApi {
    v2: Tagged,
    v2_protobuf: Bytes,
    index: Tagged,
    /// By the part of the path that follows `/openapi/v3/`.
    v3: BTreeMap<String, Tagged>,
    built: Timestamp,
}

// === impl OpenApi ===

impl OpenApi {
    /// Builds the documents for what `registry` describes; `built` is what they give as their time of modification.
    pub fn new(registry: &Registry, built: Timestamp) -> Self {
        let tagged = |value: &Value| Tagged::new(go_json::to_vec(value));
        let v3: BTreeMap<String, Tagged> = v3::documents(registry)
            .iter()
            .map(|(path, document)| (path.clone(), tagged(document)))
            .collect();
        let links: Map<String, Value> = v3
            .iter()
            .map(|(path, document)| {
                let url = format!("/openapi/v3/{path}?hash={}", document.hash);
                (path.clone(), json!({"serverRelativeURL": url}))
            })
            .collect();
        let index = tagged(&json!({"paths": links}));
        let v2 = v2::document(registry);
        Self {
            v2_protobuf: protobuf::encode(&v2).into(),
            v2: tagged(&v2),
            index,
            v3,
            built,
        }
    }

    /// The answer to a GET below `/openapi/`; `None` for a document that does not exist.
    pub(in crate::endpoints) fn respond(&self, question: &Question<'_>) -> Option<Answer> {
        let conditions = question.conditions;
        match question.path.strip_prefix("/openapi/")? {
            "v2" => Some(self.negotiated(&self.v2, Some(&self.v2_protobuf), question, false)),
            "v3" | "v3/" => Some(self.index.serve(self.built, conditions, false)),
            path => {
                let path = path.strip_prefix("v3/")?;
                let document = self.v3.get(path.strip_suffix('/').unwrap_or(path))?;
                let current = named_hash(question.query) == Some(document.hash.as_str());
                Some(self.negotiated(document, None, question, current))
            }
        }
    }

    /// The document in the form that the client wants most; 406 without a body, as in Go, if there is none.
    fn negotiated(
        &self,
        document: &Tagged,
        protobuf: Option<&Bytes>,
        question: &Question<'_>,
        immutable: bool,
    ) -> Answer {
        let accept = question
            .accept
            .map(str::trim)
            .filter(|accept| !accept.is_empty())
            .unwrap_or("*/*");
        for clause in clauses(accept) {
            if clause.covers("application", "json") {
                return document.serve(self.built, question.conditions, immutable);
            }
            let wants_protobuf = PROTOBUF.iter().any(|subtype| clause.covers("application", subtype));
            if let Some(body) = protobuf.filter(|_| wants_protobuf) {
                return document.serve_as(PROTOBUF_TYPE, body, self.built, question.conditions, immutable);
            }
        }
        Answer::empty(StatusCode::NOT_ACCEPTABLE).with(VARY, HeaderValue::from_static("Accept"))
    }
}

/// The `hash` of a query.
fn named_hash(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("hash="))
}

/// `info` of every document. The version is the API's, not the program's, so that a new release with the same API keeps all hashes.
fn info() -> Value {
    json!({"title": "Bulward", "version": "v0"})
}
