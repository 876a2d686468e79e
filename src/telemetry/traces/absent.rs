//! What a build without the feature `otel` has of traces: nothing, by the same names.

#![cfg_attr(
    feature = "otel",
    expect(
        unreachable_pub,
        reason = "tests compile it with every feature, and nobody uses it then"
    )
)]

use http::{HeaderMap, StatusCode};
use tracing_subscriber::Layer;

use super::{Asked, Configuration};

/// Never there.
#[derive(Clone, Debug)]
pub enum Traces {}

/// Never there.
#[derive(Debug)]
pub enum Span {}

impl Traces {
    /// The span of a request.
    pub fn begin(&self, _: &Asked<'_>) -> Span {
        match *self {}
    }
}

impl Span {
    /// Does something below the span.
    pub async fn scope<F: Future>(&self, _: F) -> F::Output {
        match *self {}
    }

    /// Notes how the request was answered.
    pub fn answered(&mut self, _: StatusCode) {
        match *self {}
    }
}

/// Always an error: this build cannot.
///
/// # Errors
/// Always.
pub fn start(_: &Configuration) -> Result<(), String> {
    Err("this build has no export of traces, it was made without the feature `otel`".to_owned())
}

/// None.
pub fn started() -> Option<Traces> {
    None
}

/// Nothing that would listen to spans.
pub fn layer<S: tracing::Subscriber>() -> Option<Box<dyn Layer<S> + Send + Sync>> {
    None
}

/// Nothing to hand on.
pub fn inject(_: &mut HeaderMap) {}

/// Nothing to wait for.
pub async fn finish() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_build_that_cannot_says_so_and_costs_nothing() {
        let configuration = Configuration::read("{apiVersion: apiserver.config.k8s.io/v1, kind: TracingConfiguration}");
        let why = start(&configuration.unwrap()).unwrap_err();
        assert!(why.contains("without the feature `otel`"), "{why}");
        assert!(started().is_none());
        assert!(layer::<tracing_subscriber::Registry>().is_none());
        assert_eq!(size_of::<Option<Traces>>() + size_of::<Option<Span>>(), 0);
        let mut headers = HeaderMap::new();
        inject(&mut headers);
        assert!(headers.is_empty());
        finish().await;
        // They are there to be compiled; nobody has any.
        let _ = (Traces::begin, Span::answered, Span::scope::<std::future::Ready<()>>);
    }
}
