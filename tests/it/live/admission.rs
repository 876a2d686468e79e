//! The cluster's webhooks decide about what we serve, as they do about what kube-apiserver serves itself.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{SOON, organization};
use crate::harness::{Bulward, ControlPlane, eventually};

const NAME: &str = "hooked-by-a-test";

/// Serves `/change` and `/judge` over TLS, and keeps what it was asked.
async fn webhook(plane: &ControlPlane) -> (u16, Arc<Mutex<Vec<Value>>>) {
    let pair = plane.ca().serving(&["localhost", "hook.admission-live.svc"]);
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, kept) = (acceptor.clone(), kept.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let answer = service_fn(|request| respond(request, kept.clone()));
                let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                // Whoever is done hangs up.
                let _ = served.await;
            });
        }
    });
    (port, asked)
}

async fn respond(
    request: Request<Incoming>,
    kept: Arc<Mutex<Vec<Value>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.expect("a whole review").to_bytes();
    let review: Value = serde_json::from_slice(&body).expect("a review");
    let asked = &review["request"];
    let mut response = json!({"uid": asked["uid"], "allowed": true, "warnings": [format!("seen by {path}")]});
    if path == "/change" && asked["object"].is_object() {
        let patch = json!([{"op": "add", "path": "/metadata/labels/changed", "value": "yes"}]);
        response["patchType"] = json!("JSONPatch");
        response["patch"] = STANDARD.encode(patch.to_string()).into();
    }
    if path == "/judge" && asked["object"]["spec"]["metadata"]["description"] == "refuse me" {
        response["allowed"] = json!(false);
        response["status"] = json!({"message": "as you wish"});
    }
    kept.lock().push(review);
    let answer = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    Ok(Response::new(Full::new(answer.to_string().into())))
}

/// A configuration of one webhook, which is about Organizations called [`NAME`] alone: others are in the same cluster.
fn configuration(kind: &str, hook: &str, client: &Value, bundle: &str) -> Value {
    let mut client = client.clone();
    client["caBundle"] = STANDARD.encode(bundle).into();
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": hook},
        "webhooks": [{
            "name": hook,
            "clientConfig": client,
            "rules": [{
                "operations": ["CREATE", "UPDATE", "DELETE"],
                // the other view of the same objects
                "apiGroups": ["storage.bulward.io"],
                "apiVersions": ["*"],
                "resources": ["organizations"],
            }],
            "objectSelector": {"matchLabels": {"hooked": NAME}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }],
    })
}

#[tokio::test]
async fn webhooks_change_and_judge_what_is_written() {
    let plane = ControlPlane::start("admission").await;
    let server = Bulward::start(&plane, &["--disable-admission-plugins="]).await;
    server.register(&plane).await;
    let (port, asked) = webhook(&plane).await;
    let bundle = plane.ca().pem();
    plane
        .apply(&[
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "admission-live"}}),
            json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "hook", "namespace": "admission-live"},
                "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
            }),
            configuration(
                "MutatingWebhookConfiguration",
                "change.example.com",
                &json!({"url": format!("https://localhost:{port}/change")}),
                &bundle,
            ),
            configuration(
                "ValidatingWebhookConfiguration",
                "judge.example.com",
                &json!({"service": {"name": "hook", "namespace": "admission-live", "path": "/judge", "port": port}}),
                &bundle,
            ),
        ])
        .await;

    let mut wanted = organization(NAME, &["alice"]);
    wanted["metadata"]["labels"] = json!({"hooked": NAME});
    wanted["spec"]["metadata"]["description"] = json!("refuse me");
    let refused = async || {
        let alice = plane.kubectl("alice").stdin(&wanted.to_string());
        let output = alice.run(["create", "--dry-run=server", "-f", "-"]).await.to_string();
        let words = r#"admission webhook "judge.example.com" denied the request: as you wish"#;
        let changed = output.contains("Warning: seen by /change");
        if output.contains(words) && changed {
            Ok(())
        } else {
            Err(output)
        }
    };
    eventually("the configuration arrives", SOON, refused).await;

    asked.lock().clear();
    wanted["spec"]["metadata"]["description"] = json!("let me in");
    let alice = plane.kubectl("alice").stdin(&wanted.to_string());
    let created = alice.run(["create", "-o", "json", "-f", "-"]).await;
    let created: Value = serde_json::from_str(&created.ok()).expect("an object");
    assert_eq!(created["metadata"]["labels"]["changed"], "yes", "{created}");
    // Who does not see it is told so before anybody is asked, and no webhook hears of it.
    let path = format!("/apis/apiserver.bulward.io/v1alpha1/organizations/{NAME}");
    let theirs = organization(NAME, &["bob"]).to_string();
    for tried in [
        &["delete", "organization", NAME][..],
        &["replace", "--raw", &path, "-f", "-"],
    ] {
        let bob = plane.kubectl("bob").stdin(&theirs);
        let refused = bob.run(tried).await.refused();
        assert!(refused.contains("(NotFound)"), "{refused}");
    }
    plane.kubectl("alice").run(["delete", "organization", NAME]).await.ok();

    let asked = asked.lock().clone();
    let operations: Vec<&str> = asked
        .iter()
        .filter_map(|review| review["request"]["operation"].as_str())
        .collect();
    assert_eq!(operations, ["CREATE", "CREATE", "DELETE", "DELETE"], "{asked:?}");
    for review in &asked {
        let request = &review["request"];
        assert_eq!(request["requestKind"]["group"], "apiserver.bulward.io", "{request}");
        assert_eq!(request["kind"]["group"], "storage.bulward.io", "{request}");
        assert_eq!(request["userInfo"]["username"], "alice", "{request}");
        let (there, absent, options) = match request["operation"].as_str() {
            Some("CREATE") => ("object", "oldObject", "CreateOptions"),
            _ => ("oldObject", "object", "DeleteOptions"),
        };
        assert_eq!(request[there]["apiVersion"], "storage.bulward.io/v1alpha1", "{request}");
        assert_eq!(request[absent], Value::Null, "{request}");
        assert_eq!(request["options"]["kind"], options, "{request}");
    }
}
