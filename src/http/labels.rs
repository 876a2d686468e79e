//! What a request is counted under (k8s.io/apiserver pkg/endpoints/metrics/metrics.go).

use std::sync::Arc;

use super::request_info::RequestInfo;
use crate::telemetry::metrics::{RequestKind, RequestLabels};
use crate::wire::options::Query;

/// The labels of one request; the words of a request for something unknown are left out, or a caller could fill the
/// memory with them.
pub(super) struct Labels {
    info: Arc<RequestInfo>,
    served: bool,
    dry_run: &'static str,
    verb: &'static str,
    subresource: &'static str,
    scope: &'static str,
}

impl Labels {
    pub(super) fn of(info: &Arc<RequestInfo>, query: &Query, served: bool) -> Self {
        let subresource = match info.subresource.as_str() {
            _ if !info.is_resource => known_path(&info.path),
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
            "patch" => "PATCH",
            "delete" | "deletecollection" => "DELETE",
            _ => "other",
        };
        let scope = match (served, info.named_by_path, info.namespace.is_empty()) {
            (false, ..) => "",
            (_, true, _) => "resource",
            (_, _, false) => "namespace",
            (_, _, true) => "cluster",
        };
        let dry_run = if query.get("dryRun") == Some("All") { "All" } else { "" };
        Self {
            info: info.clone(),
            served,
            dry_run,
            verb,
            subresource,
            scope,
        }
    }

    pub(super) fn get(&self) -> RequestLabels<'_> {
        let known = |word| if self.served { word } else { "" };
        let apis = self.info.path.starts_with("/api");
        RequestLabels {
            verb: self.verb,
            dry_run: self.dry_run,
            group: known(&self.info.group),
            version: known(&self.info.version),
            resource: known(&self.info.resource),
            subresource: self.subresource,
            scope: self.scope,
            component: if apis { "apiserver" } else { "" },
        }
    }

    pub(super) fn kind(&self) -> RequestKind {
        match self.verb {
            "GET" | "LIST" => RequestKind::ReadOnly,
            _ => RequestKind::Mutating,
        }
    }
}

/// The paths that are counted by name.
fn known_path(path: &str) -> &'static str {
    const PATHS: [&str; 9] = [
        "/healthz",
        "/livez",
        "/readyz",
        "/metrics",
        "/version",
        "/api",
        "/apis",
        "/openapi/v2",
        "/openapi/v3",
    ];
    PATHS.into_iter().find(|known| *known == path).unwrap_or_default()
}
