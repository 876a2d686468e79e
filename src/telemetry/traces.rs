//! Traces: the way of single requests, sent to an OpenTelemetry collector as OTLP over gRPC (k8s.io/apiserver
//! pkg/server/options/tracing.go, k8s.io/component-base tracing/utils.go). docs/tracing.md says what is in them.
//!
//! They belong to the process, as logs do. A build without the feature `otel` has the same names, and makes none.

#[cfg(any(test, not(feature = "otel")))]
mod absent;
mod configuration;
#[cfg(feature = "otel")]
mod export;
#[cfg(feature = "otel")]
mod span;

use std::time::Duration;

use http::{HeaderMap, Method, Uri};

#[cfg(not(feature = "otel"))]
pub use absent::{Span, Traces, finish, inject, layer, start, started};
pub use configuration::Configuration;
#[cfg(feature = "otel")]
pub use export::{Traces, finish, layer, start, started};
#[cfg(feature = "otel")]
pub use span::{Span, inject};

/// A request whose sender is known, as its span tells of it. No part of it is a secret; who asks is in the audit log,
/// under the same id.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Method and path, without the names in the path.
    pub name: String,
    /// The method.
    pub method: &'a Method,
    /// Path and query.
    pub uri: &'a Uri,
    /// Where the caller's own trace is named.
    pub headers: &'a HeaderMap,
    /// Its name in logs and audit.
    pub audit_id: &'a str,
    /// What it is about, by names that a trace may use.
    pub about: Vec<(&'static str, String)>,
    /// Whether the caller may say that this is part of a trace of theirs, and that it is to be recorded.
    pub trusted: bool,
    /// How long ago it came.
    pub elapsed: Duration,
}
