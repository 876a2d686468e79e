use std::sync::Arc;
use std::time::Duration;

use http::{Method, Uri};
use opentelemetry::trace::{SpanId, TraceId, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use parking_lot::Mutex;

use super::*;

const REMOTE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Keeps what has ended.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Ended {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().extend(batch);
        Ok(())
    }
}

fn traces(ratio: f64) -> (Traces, Ended, SdkTracerProvider) {
    let exporter = Ended::default();
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
        .with_simple_exporter(exporter.clone())
        .build();
    let tracer = provider.tracer("test");
    (Traces { tracer }, exporter, provider)
}

fn begin(traces: &Traces, traceparent: Option<&'static str>, trusted: bool) -> Span {
    let mut headers = HeaderMap::new();
    if let Some(value) = traceparent {
        headers.insert("traceparent", HeaderValue::from_static(value));
    }
    traces.begin(&Asked {
        name: "GET /apis/g/v1/things".to_owned(),
        method: &Method::GET,
        uri: &Uri::from_static("/apis/g/v1/things?limit=5"),
        headers: &headers,
        audit_id: "an-id",
        about: vec![("verb", "list".to_owned()), ("group", String::new())],
        trusted,
        elapsed: Duration::from_secs(2),
    })
}

fn finished(exporter: &Ended) -> Vec<SpanData> {
    exporter.0.lock().clone()
}

fn attribute<'a>(span: &'a SpanData, name: &str) -> Option<&'a opentelemetry::Value> {
    let found = span.attributes.iter().find(|one| one.key.as_str() == name);
    found.map(|one| &one.value)
}

#[test]
fn a_trusted_caller_says_whose_part_it_is_and_whether_it_is_recorded() {
    let (traces, exporter, _provider) = traces(0.0);
    let mut span = begin(&traces, Some(REMOTE), true);
    span.answered(StatusCode::OK);
    drop(span);
    drop(begin(
        &traces,
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
        true,
    ));
    drop(begin(&traces, None, true));
    drop(begin(&traces, Some("nonsense"), true));
    let spans = finished(&exporter);
    let [span] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!(span.parent_span_id, SpanId::from_hex("b7ad6b7169203331").unwrap());
    let trace = TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap();
    assert_eq!(span.span_context.trace_id(), trace);
    assert_eq!(span.name, "GET /apis/g/v1/things");
    assert_eq!(attribute(span, "audit-id"), Some(&"an-id".into()));
    assert_eq!(
        attribute(span, "http.target"),
        Some(&"/apis/g/v1/things?limit=5".into())
    );
    assert_eq!(attribute(span, "http.response.status_code"), Some(&200.into()));
    assert_eq!(attribute(span, "verb"), Some(&"list".into()));
    assert_eq!(attribute(span, "group"), None);
    assert_eq!(span.status, Status::Unset);
    let took = span.end_time.duration_since(span.start_time).unwrap();
    assert!(took >= Duration::from_secs(2), "{took:?}");
}

#[test]
fn anybody_elses_trace_is_linked_to_and_forces_nothing() {
    let (silent, exporter, _provider) = traces(0.0);
    drop(begin(&silent, Some(REMOTE), false));
    assert_eq!(finished(&exporter), []);
    let (all, exporter, _provider) = traces(1.0);
    let mut span = begin(&all, Some(REMOTE), false);
    span.answered(StatusCode::SERVICE_UNAVAILABLE);
    drop(span);
    let spans = finished(&exporter);
    let [span] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!(span.parent_span_id, SpanId::INVALID);
    let linked: Vec<SpanId> = span.links.iter().map(|link| link.span_context.span_id()).collect();
    assert_eq!(linked, [SpanId::from_hex("b7ad6b7169203331").unwrap()]);
    assert_ne!(span.span_context.trace_id(), span.links[0].span_context.trace_id());
    assert_eq!(span.status, Status::error("503 Service Unavailable"));
}

#[test]
fn who_goes_away_is_told_as_such() {
    let (traces, exporter, _provider) = traces(1.0);
    drop(begin(&traces, None, false));
    assert_eq!(finished(&exporter)[0].status, Status::error("it was not answered"));
}

#[tokio::test]
async fn calls_to_others_name_the_span_and_whether_it_is_recorded() {
    for (ratio, flag) in [(1.0, "-01"), (0.0, "-00")] {
        let (traces, _exporter, _provider) = traces(ratio);
        let span = begin(&traces, Some(REMOTE), false);
        let mut headers = HeaderMap::new();
        inject(&mut headers);
        assert!(headers.is_empty(), "nothing is current yet: {headers:?}");
        span.scope(async { inject(&mut headers) }).await;
        let named = headers["traceparent"].to_str().unwrap();
        let own = span.context.span().span_context().clone();
        let wanted = format!("00-{}-{}{flag}", own.trace_id(), own.span_id());
        assert_eq!(named, wanted);
    }
}
