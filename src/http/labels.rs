//! What a request is counted under (k8s.io/apiserver pkg/endpoints/metrics/metrics.go).

use std::sync::Arc;

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};

use super::request_info::RequestInfo;
use crate::telemetry::metrics::{RequestKind, RequestLabels};
use crate::wire::options::Query;

/// The labels of one request; the words of a request for something unknown are left out, or a caller could fill the
/// memory with them.
pub(super) struct Labels {
    info: Arc<RequestInfo>,
    served: bool,
    dry_run: &'static str,
    field_validation: &'static str,
    verb: &'static str,
    subresource: &'static str,
    scope: &'static str,
    component: &'static str,
}

impl Labels {
    pub(super) fn of(info: &Arc<RequestInfo>, query: &Query, headers: &HeaderMap, served: bool) -> Self {
        let subresource = match info.subresource.as_str() {
            _ if !info.is_resource => known_path(&info.path, headers),
            "status" if served => "status",
            "finalize" if served => "finalize",
            _ => "",
        };
        let verb = match info.verb.as_str() {
            "get" => "GET",
            "list" => "LIST",
            "watch" => "WATCH",
            "create" | "post" => "POST",
            "update" | "put" => "PUT",
            "patch" if is_apply(headers) => "APPLY",
            "patch" => "PATCH",
            "delete" | "deletecollection" => "DELETE",
            _ => "other",
        };
        let scope = match (served, info.named_by_path, info.namespace.is_empty()) {
            (false, ..) => "",
            (_, true, _) => "resource",
            _ if info.verb == "create" => "resource",
            (_, _, false) => "namespace",
            (_, _, true) => "cluster",
        };
        let dry_run = match query.get("dryRun") {
            None => "",
            Some("All") => "All",
            Some(_) => "invalid",
        };
        let field_validation = match query.get("fieldValidation") {
            None => "",
            Some("Strict") => "Strict",
            Some("Warn") => "Warn",
            Some("Ignore") => "Ignore",
            Some(_) => "invalid",
        };
        Self {
            info: info.clone(),
            served,
            dry_run,
            field_validation,
            verb,
            subresource,
            scope,
            component: if served || subresource == DISCOVERY {
                "apiserver"
            } else {
                ""
            },
        }
    }

    /// Whether Go counts such a request: one for a resource, for a health endpoint, or for aggregated discovery.
    pub(super) fn counted(&self) -> bool {
        self.served || !self.info.is_resource && !self.subresource.is_empty()
    }

    pub(super) fn long_running(&self) -> bool {
        self.info.is_long_running()
    }

    /// As asked for: Strict, Warn, Ignore, `invalid` or empty.
    pub(super) fn field_validation(&self) -> &'static str {
        self.field_validation
    }

    /// What a watch is counted under while it goes on: one of a single name is about a resource.
    pub(super) fn running(&self) -> RequestLabels<'_> {
        let named = self.served && !self.info.name.is_empty();
        RequestLabels {
            scope: if named { "resource" } else { self.scope },
            ..self.get()
        }
    }

    pub(super) fn get(&self) -> RequestLabels<'_> {
        let known = |word| if self.served { word } else { "" };
        RequestLabels {
            verb: self.verb,
            dry_run: self.dry_run,
            group: known(&self.info.group),
            version: known(&self.info.version),
            resource: known(&self.info.resource),
            subresource: self.subresource,
            scope: self.scope,
            component: self.component,
        }
    }

    pub(super) fn kind(&self) -> RequestKind {
        match self.verb {
            "GET" | "LIST" => RequestKind::ReadOnly,
            _ => RequestKind::Mutating,
        }
    }
}

/// What aggregated discovery is counted under.
const DISCOVERY: &str = "apis";

/// The paths that are counted, by what they are counted under.
fn known_path(path: &str, headers: &HeaderMap) -> &'static str {
    match path {
        "/healthz" => "/healthz",
        "/livez" => "/livez",
        "/readyz" => "/readyz",
        "/apis" | "/api" if wants_aggregated(headers) => DISCOVERY,
        _ => "",
    }
}

fn wants_aggregated(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("as=APIGroupDiscoveryList"))
}

fn is_apply(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok());
    media.is_some_and(|media| media.starts_with("application/apply-patch+"))
}
