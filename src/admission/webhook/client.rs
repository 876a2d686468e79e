//! Connections to webhooks, kept open between calls (k8s.io/apiserver pkg/util/webhook/client.go).

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use k8s_openapi::api::admissionregistration::v1::WebhookClientConfig;
use parking_lot::Mutex;
use rustls::client::WantsClientCert;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tower_service::Service;
use tracing::Instrument;

use super::credentials::{Credentials, Identity};
use super::reply::Reply;
use super::resolve::{Reference, Resolver};
use crate::cluster::webhook::chain;
use crate::telemetry::traces;

/// The largest answer, in bytes: a patch may hold a whole object.
const ANSWER: usize = 8 << 20;
/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(90);

/// A webhook's address, with its connections.
pub struct Endpoint {
    base: String,
    identity: Option<Arc<Identity>>,
    client: Client<HttpsConnector<Dialer>, Full<Bytes>>,
}

impl Endpoint {
    /// Posts a review.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn post(&self, review: Vec<u8>, timeout: Duration) -> Result<Reply, String> {
        let url = format!("{}?timeout={}s", self.base, timeout.as_secs());
        let failed = |why: String| format!("Post {url:?}: {why}");
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, */*")
            .header(header::USER_AGENT, "kube-apiserver-admission")
            .body(Full::new(review.into()))
            .map_err(|error| failed(error.to_string()))?;
        let call = async {
            traces::inject(request.headers_mut());
            if let Some(identity) = &self.identity {
                identity.refresh().await;
                if let Some(proof) = identity.authorization() {
                    request.headers_mut().insert(header::AUTHORIZATION, proof);
                }
            }
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| failed(chain(&error)))?;
            let code = answer.status();
            let content_type = answer.headers().get(header::CONTENT_TYPE);
            let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
            let content_type = content_type.to_owned();
            let body = Limited::new(answer.into_body(), ANSWER).collect().await;
            let body = body
                .map_err(|error| failed(format!("reading the answer: {error}")))?
                .to_bytes();
            Ok(Reply {
                code,
                content_type,
                body,
            })
        };
        let call = call.instrument(tracing::debug_span!("webhook", url = self.base));
        let called = tokio::time::timeout(timeout, call).await;
        called.unwrap_or_else(|_| Err(failed("context deadline exceeded".to_owned())))
    }
}

/// All endpoints by what their configurations say, so that a change elsewhere closes no connection.
pub struct Clients {
    resolver: Resolver,
    credentials: Arc<Credentials>,
    known: Mutex<HashMap<String, Result<Arc<Endpoint>, String>>>,
}

/// How many are kept (pkg/util/webhook/client.go).
const KEPT: usize = 200;

impl Clients {
    /// None yet; Services are asked for through `cluster`, and webhooks are shown `credentials`.
    pub fn new(cluster: Option<kube::Client>, credentials: Arc<Credentials>) -> Self {
        Self {
            resolver: Resolver::new(cluster),
            credentials,
            known: Mutex::default(),
        }
    }

    /// The endpoint of a configuration.
    pub fn endpoint(&self, config: &WebhookClientConfig) -> Result<Arc<Endpoint>, String> {
        let key = serde_json::to_string(config).map_err(|error| error.to_string())?;
        let mut known = self.known.lock();
        if let Some(endpoint) = known.get(&key) {
            return endpoint.clone();
        }
        if known.len() >= KEPT {
            known.retain(|_, endpoint| endpoint.as_ref().is_ok_and(|one| Arc::strong_count(one) > 1));
        }
        let endpoint = self.build(config).map(Arc::new);
        known.insert(key, endpoint.clone());
        endpoint
    }

    fn build(&self, config: &WebhookClientConfig) -> Result<Endpoint, String> {
        let (base, name, service, identity) = match (&config.service, &config.url) {
            (Some(service), _) => {
                let port = u16::try_from(service.port.unwrap_or(443)).map_err(|error| error.to_string())?;
                let reference = Reference {
                    namespace: service.namespace.clone(),
                    name: service.name.clone(),
                    port,
                };
                let path = service.path.as_deref().unwrap_or_default().trim_start_matches('/');
                let host = reference.host();
                let identity = self.credentials.to(&host, port);
                (format!("https://{host}:{port}/{path}"), host, Some(reference), identity)
            }
            (None, Some(url)) => {
                let uri: Uri = url.parse().map_err(|error| format!("Unparsable URL: {error}"))?;
                let authority = uri.authority().ok_or("Unparsable URL: no host")?;
                let name = authority.host().trim_matches(['[', ']']).to_owned();
                let identity = self
                    .credentials
                    .to(authority.host(), authority.port_u16().unwrap_or(443));
                (format!("https://{authority}{}", uri.path()), name, None, identity)
            }
            (None, None) => return Err("webhook configuration must have either service or URL".to_owned()),
        };
        let bundle = config.ca_bundle.as_ref().map(|bundle| bundle.0.as_slice());
        let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
        let dialer = Dialer {
            service,
            resolver: self.resolver.clone(),
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(bundle.filter(|bundle| !bundle.is_empty()), identity.clone())?)
            .https_only()
            .with_server_name_resolver(FixedServerNameResolver::new(name))
            .enable_http1()
            .wrap_connector(dialer);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Endpoint { base, identity, client })
    }
}

/// Believes in a bundle, or in what the machine believes in, and shows a certificate if we have one.
fn tls(bundle: Option<&[u8]>, identity: Option<Arc<Identity>>) -> Result<rustls::ClientConfig, String> {
    use hyper_rustls::ConfigBuilderExt;
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let finished = |builder: rustls::ConfigBuilder<rustls::ClientConfig, WantsClientCert>| match identity {
        Some(identity) => builder.with_client_cert_resolver(identity),
        None => builder.with_no_client_auth(),
    };
    let Some(bundle) = bundle else {
        return Ok(finished(
            builder.with_native_roots().map_err(|error| error.to_string())?,
        ));
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle) {
        let certificate = certificate.map_err(|error| format!("caBundle: {error}"))?;
        roots.add(certificate).map_err(|error| format!("caBundle: {error}"))?;
    }
    if roots.is_empty() {
        return Err("unable to load root certificates: unable to parse bytes as PEM block".to_owned());
    }
    Ok(finished(builder.with_root_certificates(roots)))
}

/// Opens connections: to a Service, or as the URL says.
#[derive(Clone)]
struct Dialer {
    service: Option<Reference>,
    resolver: Resolver,
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { service, resolver } = self.clone();
        Box::pin(async move {
            let (host, port) = match service {
                Some(reference) => resolver.resolve(&reference).await.map_err(io::Error::other)?,
                None => {
                    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
                    (host, uri.port_u16().unwrap_or(443))
                }
            };
            let told = |error: io::Error| {
                let why = match error.kind() {
                    io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
                    _ => error.to_string(),
                };
                io::Error::new(error.kind(), format!("dial tcp {host}:{port}: {why}"))
            };
            let stream = TcpStream::connect((host.as_str(), port)).await.map_err(told)?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}
