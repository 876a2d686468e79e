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
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::pki::{self, Authority, Pair};

/// Where a Service of type ExternalName leads to this server.
pub(crate) const NAMESPACE: &str = "webhooks";
/// What that Service is called.
pub(crate) const SERVICE: &str = "hooks";
/// Another one, whose name the certificate does not have.
pub(crate) const MISNAMED: &str = "others";
/// Where a Service leads to the port that demands a certificate.
pub(crate) const STRICT: &str = "strict";

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
    /// Allows whoever sends this as `Authorization`; others are unauthorized.
    Known(String),
}

/// At which port webhooks are asked: the same ones answer at both.
#[derive(Clone, Copy)]
pub(crate) enum Door {
    /// Everybody may ask.
    Open,
    /// A client without a certificate by [`Webhooks::client`] is turned away in the handshake.
    Strict,
}

/// A running server of webhooks. Dropping it ends it.
pub(crate) struct Webhooks {
    /// Of each door.
    ports: [u16; 2],
    authority: String,
    clients: Authority,
    shared: Arc<Shared>,
    serving: [JoinHandle<()>; 2],
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
    /// How it was asked: version of HTTP, query, some headers, and the client's certificate.
    pub(crate) form: Value,
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

    fn answer(&self, review: &Value, form: &Value) -> Option<(u16, &'static str, String)> {
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
            Self::Known(who) if form["authorization"] == **who => Some(respond(json!({"allowed": true}))),
            Self::Known(_) => Some((401, JSON, String::new())),
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
        let clients = Authority::new("webhooks-clients");
        let [service, strict] = [SERVICE, STRICT].map(|name| format!("{name}.{NAMESPACE}.svc"));
        let pair = authority.serving(&["localhost", "127.0.0.1", &service, &strict]);
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("our own certificate");
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("our own key");
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(clients.pem().as_bytes()).expect("our own authority");
        roots.add(root).expect("our own authority");
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
        let shared = Arc::new(Shared::default());
        let mut doors = Vec::new();
        for verifier in [None, Some(verifier.expect("a verifier"))] {
            let builder = ServerConfig::builder();
            let builder = match verifier {
                Some(verifier) => builder.with_client_cert_verifier(verifier),
                None => builder.with_no_client_auth(),
            };
            let config = builder.with_single_cert(vec![certificate.clone()], key.clone_key());
            let mut config = config.expect("a certificate with its key");
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
            let port = listener.local_addr().expect("a bound listener").port();
            doors.push((port, tokio::spawn(serve(listener, acceptor, shared.clone()))));
        }
        let [(open, at_open), (strict, at_strict)] = doors.try_into().expect("two doors");
        Self {
            ports: [open, strict],
            authority: authority.pem(),
            clients,
            shared,
            serving: [at_open, at_strict],
        }
    }

    /// The port of a door.
    pub(crate) fn port(&self, door: Door) -> u16 {
        self.ports[door as usize]
    }

    /// A certificate with which one may ask at the strict door.
    pub(crate) fn client(&self, name: &str) -> Pair {
        self.clients.client(name, &[])
    }

    /// Says what `/<hook>` answers from now on.
    pub(crate) fn script(&self, hook: &str, script: Script) {
        self.shared.scripts.lock().insert(hook.to_owned(), script);
    }

    /// The `clientConfig` by which a webhook is reached by its address.
    pub(crate) fn by_url(&self, hook: &str, door: Door) -> Value {
        let url = format!("https://localhost:{}/{hook}", self.port(door));
        json!({"url": url, "caBundle": pki::encode(&self.authority)})
    }

    /// The same by its Service.
    pub(crate) fn by_service(&self, hook: &str, door: Door) -> Value {
        let name = match door {
            Door::Open => SERVICE,
            Door::Strict => STRICT,
        };
        json!({
            "service": {"namespace": NAMESPACE, "name": name, "path": format!("/{hook}"), "port": self.port(door)},
            "caBundle": pki::encode(&self.authority),
        })
    }

    /// The Services, in their namespace.
    pub(crate) fn services(&self) -> [Value; 4] {
        let service = |name: &str, door: Door| {
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {
                    "type": "ExternalName", "externalName": "localhost",
                    "ports": [{"port": self.port(door), "protocol": "TCP"}],
                },
            })
        };
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        [
            namespace,
            service(SERVICE, Door::Open),
            service(MISNAMED, Door::Open),
            service(STRICT, Door::Strict),
        ]
    }

    /// What was asked since the last time, in order.
    pub(crate) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.shared.asked.lock())
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        for serving in &self.serving {
            serving.abort();
        }
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
            let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let shown = shown.map(|certificate| STANDARD.encode(certificate));
            let service = service_fn(move |request| answer(shared.clone(), shown.clone(), request));
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    shared: Arc<Shared>,
    certificate: Option<String>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let hook = request.uri().path().trim_start_matches('/').to_owned();
    let said = |name: &str| {
        let all = request.headers().get_all(name).iter();
        all.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect::<Vec<_>>()
            .join(" | ")
    };
    let form = json!({
        "method": request.method().as_str(),
        "version": format!("{:?}", request.version()),
        "query": request.uri().query(),
        "content-type": said("content-type"),
        "accept": said("accept"),
        "user-agent": said("user-agent"),
        "authorization": said("authorization"),
        "certificate": certificate,
    });
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
        form: form.clone(),
    };
    shared.asked.lock().push(asked);
    let answer = script.map_or(Some((404, JSON, String::new())), |script| script.answer(&review, &form));
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
