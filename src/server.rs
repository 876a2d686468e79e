//! Wiring: a checked configuration and an open listener become a server.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use crate::{
    certs, config,
    config::Certificate,
    http::{
        body::{self, Body},
        health::Health,
        listener::{self, ConnectionEvent, Handler, Peer},
        shutdown::Shutdown,
        tls::{self, ServingCertificate},
    },
    telemetry::metrics::{self, Metrics},
};

/// Why a server could not start or go on; one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificate given cannot be used.
    #[error("serving certificate: {0}")]
    Certificate(#[from] tls::Error),
    /// None could be made.
    #[error("serving certificate: {0}")]
    SelfSigned(#[from] certs::Error),
}

struct Server {
    health: Health,
    metrics: Metrics,
}

/// Serves on `listener` until `shutdown` has gone through its stages and running requests are done.
///
/// # Errors
/// When the server cannot start.
pub async fn run(config: config::Apiserver, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
    let serving = config.serving;
    let certificate = match serving.certificate {
        Certificate::Files { certificate, key } => ServingCertificate::load(certificate, key)?,
        Certificate::SelfSigned { folder, names } => {
            let files = certs::self_signed_serving(&folder, &names)?;
            ServingCertificate::load(files.certificate, files.key)?
        }
    };
    let refresh = Arc::clone(&certificate).follow(serving.certificate_refresh, shutdown.draining().clone());
    tokio::spawn(refresh);
    let server = Arc::new(Server {
        health: Health::new().with_shutdown(&shutdown),
        metrics: Metrics::new(),
    });
    let tls = tls::server_config(certificate);
    let drained = listener::serve(listener, tls, server, serving.limits, shutdown.draining().clone()).await;
    if drained.aborted > 0 {
        tracing::warn!(
            count = drained.aborted,
            "requests were cut because they did not finish in time"
        );
    }
    Ok(())
}

#[async_trait]
impl Handler for Server {
    async fn handle(&self, request: Request<Incoming>, _peer: &Peer) -> Response<Body> {
        let (path, query) = (request.uri().path(), request.uri().query());
        if let Some(response) = self.health.respond(path, query).await {
            return response;
        }
        let found = (path == "/metrics").then(|| Response::new(body::full(self.metrics.render())));
        let mut response = found.unwrap_or_else(|| Response::new(body::empty()));
        if path == "/metrics" {
            let content_type = header::HeaderValue::from_static(metrics::CONTENT_TYPE);
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        } else {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        response
    }

    fn observe(&self, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Opened => self.metrics.connection(true),
            ConnectionEvent::Closed => self.metrics.connection(false),
            ConnectionEvent::HandshakeFailed => self.metrics.tls_handshake_error(),
        }
    }
}
