//! The span of one request: whose child it is, what it says, and what is handed on to others.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use opentelemetry::context::FutureExt;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{Link, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::{Asked, Traces};

/// Begun, and ended when it is dropped.
#[derive(Debug)]
pub struct Span {
    context: Context,
    answered: bool,
}

// === impl Traces ===

impl Traces {
    /// The span of a request. A caller who is trusted has it as part of their own trace, and has said whether it is
    /// recorded. Anybody else's trace is linked to: theirs begins anew, and the sampler decides.
    pub fn begin(&self, asked: &Asked<'_>) -> Span {
        let none = Context::new();
        let remote = TraceContextPropagator::new().extract_with_context(&none, &Headers(asked.headers));
        let mut attributes = vec![
            KeyValue::new("http.request.method", asked.method.to_string()),
            KeyValue::new(
                "http.target",
                asked.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            ),
            KeyValue::new("audit-id", asked.audit_id.to_owned()),
        ];
        let about = asked.about.iter().filter(|(_, value)| !value.is_empty());
        attributes.extend(about.map(|(name, value)| KeyValue::new(*name, value.clone())));
        let now = SystemTime::now();
        let mut builder = self
            .tracer
            .span_builder(asked.name.clone())
            .with_kind(SpanKind::Server)
            .with_start_time(now.checked_sub(asked.elapsed).unwrap_or(now))
            .with_attributes(attributes);
        let parent = match asked.trusted {
            true => &remote,
            false => &none,
        };
        let named = remote.span().span_context().clone();
        if !asked.trusted && named.is_valid() {
            builder = builder.with_links(vec![Link::with_context(named)]);
        }
        let span = self.tracer.build_with_context(builder, parent);
        Span {
            context: none.with_span(span),
            answered: false,
        }
    }
}

// === impl Span ===

impl Span {
    /// Does something below the span: spans that begin meanwhile are its children, and calls to others name it.
    pub async fn scope<F: Future>(&self, inner: F) -> F::Output {
        inner.with_context(self.context.clone()).await
    }

    /// Notes how the request was answered.
    pub fn answered(&mut self, code: StatusCode) {
        self.answered = true;
        let span = self.context.span();
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(code.as_u16())));
        if code.is_server_error() {
            span.set_status(Status::error(code.to_string()));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let span = self.context.span();
        if !self.answered {
            span.set_status(Status::error("it was not answered"));
        }
        span.end();
    }
}

/// Names the current span, if there is one, to whoever gets these headers.
pub fn inject(headers: &mut HeaderMap) {
    Context::map_current(|current| {
        if current.has_active_span() {
            TraceContextPropagator::new().inject_context(current, &mut Written(headers));
        }
    });
}

/// Headers that have come.
struct Headers<'a>(&'a HeaderMap);

/// Headers that go out.
struct Written<'a>(&'a mut HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

impl Injector for Written<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = HeaderName::from_bytes(key.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests;
