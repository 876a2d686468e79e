//! Health and metrics of a process that serves nothing else.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use super::super::{
    Failure,
    apiserver::{self, CERTIFICATE_REFRESH, path, self_signed_names},
};
use crate::{
    http::{
        body::{self, Body},
        health::Health,
        listener::{self, Handler, Limits, Peer},
        shutdown::Shutdown,
        tls::{self, ServingCertificate},
    },
    server,
    telemetry::metrics::{self, controllers::ControllerMetrics},
};

#[derive(Debug, clap::Args)]
pub(super) struct CertificateArgs {
    /// Serving certificate followed by its intermediates, PEM; read again when it changes
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_TLS_CERT_FILE")]
    tls_cert_file: Option<PathBuf>,
    /// Key of --tls-cert-file, PEM
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_TLS_PRIVATE_KEY_FILE")]
    tls_private_key_file: Option<PathBuf>,
    /// Without --tls-cert-file: folder in which to keep a certificate of our own making and its authority, ca.crt
    #[arg(
        long,
        value_name = "FOLDER", value_parser = path(),
        default_value = "controller-manager.local.config/certificates",
        env = "BULWARD_CERT_DIR"
    )]
    cert_dir: PathBuf,
}

struct Answers {
    health: Health,
    metrics: Arc<ControllerMetrics>,
}

impl CertificateArgs {
    /// The certificate that the flags name, or one of our own, followed from now on.
    pub(super) fn load(self, address: IpAddr, shutdown: &Shutdown) -> Result<Arc<ServingCertificate>, Failure> {
        let names = self_signed_names(address, Vec::new());
        let source = apiserver::certificate(self.tls_cert_file, self.tls_private_key_file, self.cert_dir, names)?;
        let certificate = server::certificate(&source, &[]).map_err(|error| Failure::Runtime(error.to_string()))?;
        server::follow_certificate(&source, &certificate, CERTIFICATE_REFRESH, shutdown.draining());
        Ok(certificate)
    }
}

/// Serves until the shutdown.
pub(super) fn start(
    listener: TcpListener,
    certificate: Arc<ServingCertificate>,
    metrics: Arc<ControllerMetrics>,
    shutdown: &Shutdown,
) {
    let health = Health::new().with_shutdown(shutdown);
    let answers = Arc::new(Answers { health, metrics });
    let stop = shutdown.draining().clone();
    let tls = tls::server_config(certificate);
    let limits = Limits {
        max_connections: 100,
        // So that no single pod keeps the kubelet out.
        max_connections_per_address: 25,
        ..Limits::default()
    };
    tokio::spawn(listener::serve(listener, tls, answers, limits, stop));
}

#[async_trait]
impl Handler for Answers {
    async fn handle(&self, request: Request<Incoming>, _: &Peer) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET");
        }
        let uri = request.uri();
        if uri.path() == "/metrics" {
            let mut response = Response::new(body::full(self.metrics.render()));
            let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            return response;
        }
        match self.health.respond(uri.path(), uri.query()).await {
            Some(response) => response,
            None => plain(StatusCode::NOT_FOUND, "try /healthz, /livez, /readyz or /metrics"),
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(body::full(text));
    *response.status_mut() = status;
    response
}
