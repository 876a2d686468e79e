//! The way out: spans wait in a bounded queue for a thread of their own, which sends them in batches.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanExporter};
use tonic::transport::Endpoint;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::Configuration;

/// A batch that the collector has not taken by then is lost.
const SENDING: Duration = Duration::from_secs(10);
/// What cannot be sent within this time when the process ends is lost.
const FLUSH: Duration = Duration::from_secs(5);

static STARTED: OnceLock<Started> = OnceLock::new();

struct Started {
    provider: SdkTracerProvider,
    traces: Traces,
}

/// Makes spans of requests.
#[derive(Clone)]
pub struct Traces {
    pub(super) tracer: SdkTracer,
}

/// Makes traces from now on, for the whole process; the first call counts. Nobody is connected to yet. [`layer`] has to be
/// part of what listens to spans.
///
/// # Errors
/// The collector cannot be named so.
pub fn start(configuration: &Configuration) -> Result<(), String> {
    let endpoint = Endpoint::from_shared(configuration.endpoint.clone()).map_err(|error| error.to_string())?;
    // The connection is made when there is something to send, and again after it was lost.
    let channel = endpoint.connect_timeout(SENDING).timeout(SENDING).connect_lazy();
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_channel(channel)
        .with_timeout(SENDING);
    let exporter = exporter.build().map_err(|error| error.to_string())?;
    let of_all = Sampler::TraceIdRatioBased(f64::from(configuration.per_million) / 1_000_000.0);
    let resource = Resource::builder()
        .with_service_name("bulward-apiserver")
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()),
        ]);
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(of_all)))
        .with_batch_exporter(Telling::new(exporter))
        .with_resource(resource.build())
        .build();
    let traces = Traces {
        tracer: provider.tracer("bulward"),
    };
    let _ = STARTED.set(Started { provider, traces });
    Ok(())
}

/// What makes spans, once it is [`start`]ed.
pub fn started() -> Option<Traces> {
    STARTED.get().map(|started| started.traces.clone())
}

/// Listens to our own spans, whatever the verbosity of logs, and below sampled requests only: all others cost a look at
/// this thread's context.
pub fn layer<S>() -> Option<Box<dyn Layer<S> + Send + Sync>>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let tracer = started()?.tracer;
    let sampled = dynamic_filter_fn(|_, _| Context::map_current(|current| current.span().span_context().is_sampled()));
    let ours = sampled
        .with_max_level_hint(LevelFilter::DEBUG)
        .with_callsite_filter(
            |metadata| match metadata.is_span() && metadata.target().starts_with("bulward") {
                true => Interest::sometimes(),
                false => Interest::never(),
            },
        );
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    Some(layer.with_filter(ours).boxed())
}

/// Sends what is still to be sent, before the process ends.
pub async fn finish() {
    let Some(started) = STARTED.get() else { return };
    let flushed = tokio::task::spawn_blocking(|| started.provider.shutdown_with_timeout(FLUSH));
    if let Ok(Err(error)) = flushed.await {
        tracing::warn!(%error, "traces are lost: they could not be sent");
    }
}

/// Says when the collector takes nothing any more, and when it does again.
#[derive(Debug)]
struct Telling<E> {
    exporter: E,
    failing: AtomicBool,
}

impl<E> Telling<E> {
    fn new(exporter: E) -> Self {
        Self {
            exporter,
            failing: AtomicBool::new(false),
        }
    }
}

impl<E: SpanExporter> SpanExporter for Telling<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        let failed = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !failed => tracing::warn!(%error, "the collector of traces cannot be reached, they are lost"),
            Ok(()) if failed => tracing::info!("the collector of traces is reached again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traces")
    }
}
