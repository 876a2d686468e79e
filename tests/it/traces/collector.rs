//! Who is told of traces: an OpenTelemetry collector, and an authorizer that is asked below a request.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

use crate::harness::pki;

/// Takes spans over gRPC, in the order in which they come.
#[derive(Clone)]
pub(super) struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    waiting: Arc<AtomicUsize>,
    speaks: CancellationToken,
}

impl Collector {
    pub(super) async fn start() -> Self {
        let collector = Self::silent().await;
        collector.speak();
        collector
    }

    /// One that answers nobody before it is told to.
    pub(super) async fn silent() -> Self {
        let incoming = TcpIncoming::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let collector = Self {
            address: incoming.local_addr().unwrap(),
            taken: Arc::default(),
            waiting: Arc::default(),
            speaks: CancellationToken::new(),
        };
        let service = TraceServiceServer::new(collector.clone());
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming),
        );
        collector
    }

    pub(super) fn speak(&self) {
        self.speaks.cancel();
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many batches have come so far, taken or not.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// All spans that were taken.
    pub(super) fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock();
        let scopes = taken
            .iter()
            .flat_map(|batch| &batch.resource_spans)
            .flat_map(|of| &of.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Who says to have sent them.
    pub(super) fn service(&self) -> String {
        let taken = self.taken.lock();
        let resource = taken[0].resource_spans[0].resource.as_ref().expect("a resource");
        text(&resource.attributes, "service.name")
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.speaks.cancelled().await;
        self.taken.lock().push(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

/// What a span says under a name; nothing where it does not say it.
pub(super) fn attribute(span: &Span, name: &str) -> String {
    text(&span.attributes, name)
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|one| one.key == name);
    match found.and_then(|one| one.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// As `traceparent` writes it.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Allows everything, and keeps which span each review named.
pub(super) struct Reviewer {
    kubeconfig: PathBuf,
    named: Arc<Mutex<Vec<String>>>,
}

impl Reviewer {
    pub(super) async fn start(folder: &Path, any_ca: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let kubeconfig = folder.join("reviewer.kubeconfig");
        let url = format!("http://{}", listener.local_addr().unwrap());
        pki::token_kubeconfig(&kubeconfig, &url, any_ca, None);
        let named: Arc<Mutex<Vec<String>>> = Arc::default();
        let keep = named.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let keep = keep.clone();
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let keep = keep.clone();
                    async move {
                        if let Some(named) = request.headers().get("traceparent") {
                            keep.lock().push(named.to_str().unwrap().to_owned());
                        }
                        // A body that is left unread breaks the connection.
                        let _ = request.into_body().collect().await;
                        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
                            "spec": {}, "status": {"allowed": true}});
                        let mut answer = Response::new(Full::new(Bytes::from(review.to_string())));
                        *answer.status_mut() = http::StatusCode::CREATED;
                        Ok::<_, Infallible>(answer)
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { kubeconfig, named }
    }

    pub(super) fn kubeconfig(&self) -> String {
        self.kubeconfig.display().to_string()
    }

    pub(super) fn traceparents(&self) -> Vec<String> {
        self.named.lock().clone()
    }
}
