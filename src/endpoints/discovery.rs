//! Discovery, the index of paths, and the routing of every other document that says what this server serves.
//!
//! All documents are derived from the [`Registry`] once, are the same for every caller, and never change while the server runs.

mod accept;
mod aggregated;
mod answer;
mod legacy;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, ETAG, VARY};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use self::accept::Format;
pub(in crate::endpoints) use self::accept::clauses;
pub(in crate::endpoints) use self::answer::Tagged;
pub use self::answer::{Answer, Conditions};
use crate::endpoints::openapi::OpenApi;
use crate::endpoints::version;
use crate::rest::resource::Registry;
use crate::wire::json as go_json;
use crate::wire::names::group_path;
use crate::wire::protobuf;

/// What discovery can be written as.
const REPRESENTATIONS: [&str; 3] = ["application/json", "application/yaml", protobuf::MEDIA_TYPE];

/// What the documents say that the descriptors do not know.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Paths that others serve (`/metrics`, `/healthz`, `/healthz/ping` …), for the index.
    pub paths: Vec<String>,
    /// What `/apis` gives as the server's address; clients have long ceased to look at it.
    pub server_address: String,
}

/// A request for a document.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question<'a> {
    /// The path, as sent.
    pub path: &'a str,
    /// The query without `?`; empty if there is none.
    pub query: &'a str,
    /// The `Accept` header.
    pub accept: Option<&'a str>,
    /// The conditional headers.
    pub conditions: Conditions<'a>,
    /// Whether to indent JSON (`?pretty`, or a browser asks); OpenAPI is never indented, `/version` and the index always are.
    pub pretty: bool,
}

/// Every document, ready to be sent.
pub struct Documents {
    index: Bytes,
    version: Bytes,
    /// Legacy discovery by path, without a trailing slash.
    legacy: BTreeMap<String, Value>,
    aggregated: Aggregated,
    /// The same for `/api`.
    aggregated_legacy: Aggregated,
    openapi: OpenApi,
}

/// All groups of one root in one document.
struct Aggregated {
    document: Value,
    tagged: Tagged,
}

// === impl Documents ===

impl Documents {
    /// Builds the documents for what `registry` describes.
    pub fn new(registry: &Registry, surroundings: &Surroundings) -> Self {
        let mut legacy = BTreeMap::new();
        legacy.insert(
            "/apis".to_owned(),
            legacy::group_list(registry, &surroundings.server_address),
        );
        for group in &registry.groups {
            let root = group_path(&group.name);
            let described = match group.is_legacy() {
                true => legacy::versions(group, &surroundings.server_address),
                false => legacy::group(group),
            };
            for version in group.versions() {
                let list = legacy::resource_list(registry, group, version);
                legacy.insert(format!("{root}/{version}"), list);
            }
            legacy.insert(root, described);
        }

        let mut paths: Vec<&str> = legacy.keys().map(String::as_str).collect();
        paths.extend(["/openapi/v2", "/openapi/v3", "/openapi/v3/", "/version"]);
        paths.extend(surroundings.paths.iter().map(String::as_str));
        paths.sort_unstable();
        paths.dedup();

        let aggregated = |legacy| {
            let document = aggregated::list(registry, legacy);
            let tagged = Tagged::new(go_json::to_vec(&document));
            Aggregated { document, tagged }
        };
        Self {
            index: go_json::to_vec_pretty(&json!({"paths": paths})).into(),
            version: go_json::to_vec_pretty(&version::info()).into(),
            aggregated: aggregated(false),
            aggregated_legacy: aggregated(true),
            openapi: OpenApi::new(registry, Timestamp::now()),
            legacy,
        }
    }

    /// The answer to a GET of `/`, `/index.html`, `/version`, and everything under `/api`, `/apis` and `/openapi` that is a document; `None` for any other path.
    pub fn respond(&self, question: &Question<'_>) -> Option<Answer> {
        let path = question.path;
        if path.starts_with("/openapi/") {
            return self.openapi.respond(question);
        }
        match path {
            "/" | "/index.html" => Some(Answer::ok("application/json", self.index.clone())),
            "/version" | "/version/" => Some(Answer::ok("application/json", self.version.clone())),
            _ => {
                let path = path.strip_suffix('/').unwrap_or(path);
                let value = self.legacy.get(path)?;
                let aggregated = match path {
                    "/apis" => Some(&self.aggregated),
                    "/api" => Some(&self.aggregated_legacy),
                    _ => None,
                };
                Some(discovery(value, aggregated, question))
            }
        }
    }

    /// Whether nobody asks for the method at `path`: the index and OpenAPI answer POST as they answer GET.
    pub fn ignores_method(path: &str) -> bool {
        matches!(path, "/" | "/index.html") || path.starts_with("/openapi/")
    }

    /// The media types of which `Accept` has to name one; `None` where nobody asks, or nothing is.
    pub fn representations(&self, path: &str) -> Option<&'static [&'static str]> {
        match path.strip_suffix('/').unwrap_or(path) {
            "/version" => Some(&REPRESENTATIONS[..1]),
            path if self.legacy.contains_key(path) => Some(&REPRESENTATIONS),
            _ => None,
        }
    }

    /// The JSON list of paths: the body of `/`, and of the 404 for a path that nobody serves (`application/json`).
    pub fn index_body(&self) -> Bytes {
        self.index.clone()
    }
}

fn discovery(legacy: &Value, aggregated: Option<&Aggregated>, question: &Question<'_>) -> Answer {
    let Some(choice) = accept::choose(question.accept, aggregated.is_some()) else {
        return Answer::not_acceptable(&REPRESENTATIONS);
    };
    let aggregated = aggregated.filter(|_| choice.aggregated);
    let value = aggregated.map_or(legacy, |aggregated| &aggregated.document);
    let content_type = match (choice.format, choice.aggregated) {
        (Format::Json, false) => "application/json",
        (Format::Yaml, false) => "application/yaml",
        (Format::Protobuf, false) => protobuf::MEDIA_TYPE,
        // The aggregator takes any other spelling for a server that knows legacy discovery only.
        (Format::Json, true) => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        (Format::Yaml, true) => "application/yaml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        (Format::Protobuf, true) => {
            "application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        }
    };
    let tag = |answer: Answer, tagged: &Tagged| {
        answer
            .with(ETAG, tagged.etag())
            .with(VARY, HeaderValue::from_static("Accept"))
            .with(CACHE_CONTROL, HeaderValue::from_static("public"))
    };
    // Compared as one string, as k8s.io/apiserver pkg/endpoints/discovery/aggregated/etag.go does.
    let known = question.conditions.if_none_match;
    if let Some(aggregated) = aggregated
        && known.is_some_and(|known| aggregated.tagged.etag() == known)
    {
        return tag(Answer::empty(StatusCode::NOT_MODIFIED), &aggregated.tagged);
    }
    let answer = Answer::ok(
        content_type,
        encode(value, choice.format, question.pretty || choice.pretty),
    );
    match aggregated {
        Some(aggregated) => tag(answer, &aggregated.tagged),
        None => answer,
    }
}

fn encode(value: &Value, format: Format, pretty: bool) -> Vec<u8> {
    match format {
        Format::Yaml => serde_saphyr::to_string(value)
            .expect("a JSON value always is a YAML document")
            .into_bytes(),
        Format::Protobuf => protobuf::encode(value).expect("discovery has a protobuf form"),
        Format::Json if pretty => go_json::to_vec_pretty(value),
        Format::Json => {
            let mut body = go_json::to_vec(value);
            body.push(b'\n');
            body
        }
    }
}
