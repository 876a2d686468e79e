//! Admission webhooks over TLS that answer as a test tells them to, and remember what they were asked.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::pki::{self, Authority};

/// Where a Service of type ExternalName leads to this server.
pub(crate) const NAMESPACE: &str = "webhooks";
/// What that Service is called.
pub(crate) const SERVICE: &str = "hooks";
/// Another one, whose name the certificate does not have.
pub(crate) const MISNAMED: &str = "others";

const JSON: &str = "application/json";

/// What one webhook answers. Webhooks are known by their path: `/<name>`.
#[derive(Clone)]
pub(crate) enum Script {
    /// An AdmissionReview with this `response`, and the uid of the request.
    Respond(Value),
    /// The same, made of the request.
    Reply(Arc<dyn Fn(&Value) -> Value + Send + Sync>),
    /// A whole body; `UID` in it stands for the request's.
    Raw(u16, String),
    /// The same, as plain text.
    Text(u16, String),
    /// Nothing, until whoever asked gives up.
    Never,
}

/// A running server of webhooks. Dropping it ends it.
pub(crate) struct Webhooks {
    port: u16,
    authority: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    scripts: Mutex<HashMap<String, Script>>,
    asked: Mutex<Vec<Asked>>,
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The webhook's name.
    pub(crate) hook: String,
    /// The AdmissionReview that it got.
    pub(crate) review: Value,
}

impl Script {
    pub(crate) fn allow() -> Self {
        Self::Respond(json!({"allowed": true}))
    }

    pub(crate) fn deny(status: Value) -> Self {
        Self::Respond(json!({"allowed": false, "status": status}))
    }

    /// Allows, with a JSON patch.
    pub(crate) fn patch(operations: &Value) -> Self {
        Self::Respond(json!({"allowed": true, "patchType": "JSONPatch", "patch": encode(&operations.to_string())}))
    }

    fn answer(&self, review: &Value) -> Option<(u16, &'static str, String)> {
        let uid = review["request"]["uid"].as_str().unwrap_or_default();
        let respond = |mut response: Value| {
            response["uid"] = json!(uid);
            let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
            (200, JSON, body.to_string())
        };
        match self {
            Self::Respond(response) => Some(respond(response.clone())),
            Self::Reply(reply) => Some(respond(reply(review))),
            Self::Raw(code, body) => Some((*code, JSON, body.replace("UID", uid))),
            Self::Text(code, body) => Some((*code, "text/plain; charset=utf-8", body.replace("UID", uid))),
            Self::Never => None,
        }
    }
}

/// Base64, as `patch` carries JSON.
pub(crate) fn encode(text: &str) -> String {
    STANDARD.encode(text)
}

impl Webhooks {
    pub(crate) async fn start() -> Self {
        pki::install_tls_provider();
        let authority = Authority::new("webhooks");
        let service = format!("{SERVICE}.{NAMESPACE}.svc");
        let pair = authority.serving(&["localhost", "127.0.0.1", &service]);
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("our own certificate");
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("our own key");
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate with its key");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("a bound listener").port();
        let shared = Arc::new(Shared::default());
        let serving = tokio::spawn(serve(listener, acceptor, shared.clone()));
        Self {
            port,
            authority: authority.pem(),
            shared,
            serving,
        }
    }

    /// Says what `/<hook>` answers from now on.
    pub(crate) fn script(&self, hook: &str, script: Script) {
        self.shared.scripts.lock().insert(hook.to_owned(), script);
    }

    /// The `clientConfig` by which a webhook is reached by its address.
    pub(crate) fn by_url(&self, hook: &str) -> Value {
        json!({"url": format!("https://localhost:{}/{hook}", self.port), "caBundle": pki::encode(&self.authority)})
    }

    /// The same by its Service.
    pub(crate) fn by_service(&self, hook: &str) -> Value {
        json!({
            "service": {"namespace": NAMESPACE, "name": SERVICE, "path": format!("/{hook}"), "port": self.port},
            "caBundle": pki::encode(&self.authority),
        })
    }

    /// The Services, in their namespace.
    pub(crate) fn services(&self) -> [Value; 3] {
        let service = |name: &str| {
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {
                    "type": "ExternalName", "externalName": "localhost",
                    "ports": [{"port": self.port, "protocol": "TCP"}],
                },
            })
        };
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        [namespace, service(SERVICE), service(MISNAMED)]
    }

    /// What was asked since the last time, in order.
    pub(crate) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.shared.asked.lock())
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (acceptor, shared) = (acceptor.clone(), shared.clone());
        connections.spawn(async move {
            // Whoever does not like the certificate goes again.
            let Ok(stream) = acceptor.accept(socket).await else {
                return;
            };
            let service = service_fn(move |request| answer(shared.clone(), request));
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let hook = request.uri().path().trim_start_matches('/').to_owned();
    let body = request
        .into_body()
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let script = shared.scripts.lock().get(&hook).cloned();
    let asked = Asked {
        hook,
        review: review.clone(),
    };
    shared.asked.lock().push(asked);
    let answer = script.map_or(Some((404, JSON, String::new())), |script| script.answer(&review));
    let Some((code, media, text)) = answer else {
        return std::future::pending().await;
    };
    let response = hyper::Response::builder()
        .status(code)
        .header("content-type", media)
        .body(Full::new(Bytes::from(text)))
        .expect("a response");
    Ok(response)
}
