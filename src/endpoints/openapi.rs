//! OpenAPI v2 and v3: what kubectl explains, completes and validates by.
//!
//! Serving follows k8s.io/kube-openapi pkg/handler (v2) and pkg/handler3 (v3), with two differences: a stale hash is answered with the current document,
//! since a redirect through the aggregator is a 502, and a document that does not exist is a 404.

mod meta;
mod operation;
mod paths;
mod schema;
#[cfg(test)]
mod tests;
mod v2;
mod v3;

use std::collections::BTreeMap;

use http::HeaderValue;
use http::StatusCode;
use http::header::VARY;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::endpoints::discovery::{Answer, Question, Tagged, clauses};
use crate::rest::resource::Registry;
use crate::wire::json as go_json;

/// The OpenAPI documents, ready to be sent.
pub struct OpenApi {
    v2: Tagged,
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
        Self {
            v2: tagged(&v2::document(registry)),
            index,
            v3,
            built,
        }
    }

    /// The answer to a GET below `/openapi/`; `None` for a document that does not exist.
    pub(in crate::endpoints) fn respond(&self, question: &Question<'_>) -> Option<Answer> {
        let conditions = question.conditions;
        match question.path.strip_prefix("/openapi/")? {
            "v2" => Some(self.negotiated(&self.v2, question, false)),
            "v3" | "v3/" => Some(self.index.serve(self.built, conditions, false)),
            path => {
                let path = path.strip_prefix("v3/")?;
                let document = self.v3.get(path.strip_suffix('/').unwrap_or(path))?;
                let current = named_hash(question.query) == Some(document.hash.as_str());
                Some(self.negotiated(document, question, current))
            }
        }
    }

    /// The document, if the client reads JSON; else 406 without a body, as in Go.
    fn negotiated(&self, document: &Tagged, question: &Question<'_>, immutable: bool) -> Answer {
        let accept = question
            .accept
            .map(str::trim)
            .filter(|accept| !accept.is_empty())
            .unwrap_or("*/*");
        if clauses(accept)
            .iter()
            .any(|clause| clause.covers("application", "json"))
        {
            document.serve(self.built, question.conditions, immutable)
        } else {
            Answer::empty(StatusCode::NOT_ACCEPTABLE).with(VARY, HeaderValue::from_static("Accept"))
        }
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
