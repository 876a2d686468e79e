//! Certificates and their authorities are exchanged under a running installation, again and again: by two keepers at once, one of
//! which is killed in the middle. Nothing really ends: "soon" begins right after a certificate is made, so that no clock decides.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bulward::certs::{Usage, blocks, covers};
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyParam;
use openssl::x509::{X509, X509PurposeId, X509StoreContext};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::install::{NAMESPACE, SERVICES, secrets};
use super::object;
use crate::harness::process::{Log, Process};
use crate::harness::{ControlPlane, eventually};

/// How long a whole exchange may take: etcd's members start again twice.
const EXCHANGE: Duration = Duration::from_secs(240);
/// Requests through the aggregator that run at the same time.
const CALLERS: usize = 2;

/// A webhook configuration that leads to us.
const WEBHOOK: &str = "rotation.bulward.io";

/// It is asked about nothing that there is.
fn webhook() -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": WEBHOOK},
        "webhooks": [{
            "name": WEBHOOK,
            "clientConfig": {"service": {"namespace": NAMESPACE, "name": "bulward-apiserver", "path": "/nothing"}},
            "rules": [{"apiGroups": ["nothing.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}],
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
        }],
    })
}

/// Requests through the aggregator for as long as it lives.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    failures: Arc<Mutex<Vec<String>>>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn start(plane: &ControlPlane) -> Load {
        let (stop, done, failures) = (Arc::default(), Arc::default(), Arc::default());
        let mut load = Load {
            stop,
            done,
            failures,
            callers: Vec::new(),
        };
        for _ in 0..CALLERS {
            let client = plane.client("alice").await;
            let (stop, done, failures) = (load.stop.clone(), load.done.clone(), load.failures.clone());
            load.callers.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let path = "/apis/apiserver.bulward.io/v1alpha1/organizations/installed";
                    let request = http::Request::get(path).body(Vec::new()).unwrap();
                    match client.request::<Value>(request).await {
                        Ok(answer) if answer["metadata"]["name"] == "installed" => {}
                        Ok(other) => failures.lock().push(other.to_string()),
                        Err(error) => failures.lock().push(error.to_string()),
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }));
        }
        load
    }

    async fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
        let failures = self.failures.lock().clone();
        (self.done.load(Ordering::Relaxed), failures)
    }
}

/// Keepers for which everything ends soon. They do the Deployment's work, which waits for the lease meanwhile.
fn keeper(plane: &ControlPlane, name: &str) -> (Process, Log) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
    command
        .args(["certs", "bootstrap", "--keep", "--interval=1s", "--settle=8s"])
        .arg(format!("--validating-webhook={WEBHOOK}"))
        .args(["--lifetime=24h", "--renew-before=23h59m50s"])
        .args(["--authority-lifetime=100h", "--authority-renew-before=99h59m50s"])
        .arg("--kubeconfig")
        .arg(plane.kubeconfig("admin"));
    let log = Log::create(name);
    (Process::spawn(name, &mut command, &log), log)
}

fn text(secret: &Value, key: &str) -> String {
    let encoded = secret[key].as_str().unwrap_or_else(|| panic!("{key}: {secret}"));
    String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
}

/// OpenSSL's opinion: chain, purpose, name, time, and that there is a key usage at all.
fn openssl(certificate: &str, bundle: &str, purpose: X509PurposeId, host: Option<&str>) -> Result<(), String> {
    let mut store = X509StoreBuilder::new().unwrap();
    for authority in blocks(bundle) {
        store.add_cert(X509::from_pem(authority.as_bytes()).unwrap()).unwrap();
    }
    let mut param = X509VerifyParam::new().unwrap();
    param.set_purpose(purpose).unwrap();
    if let Some(host) = host {
        param.set_host(host).unwrap();
    }
    store.set_param(&param).unwrap();
    let leaf = X509::from_pem(certificate.as_bytes()).unwrap();
    let mut context = X509StoreContext::new().unwrap();
    let verify = |context: &mut openssl::x509::X509StoreContextRef| {
        let good = context.verify_cert()?;
        Ok((good, context.error().to_string()))
    };
    let (good, why) = context
        .init(&store.build(), &leaf, &Stack::new().unwrap(), verify)
        .unwrap();
    if good { Ok(()) } else { Err(why) }
}

/// Every certificate in the Secrets, as its users will judge it.
fn judge(secrets: &Value) -> Result<(), String> {
    let bundle = text(&secrets["bulward-ca"], "ca.crt");
    let serving = "bulward-apiserver.bulward-system.svc";
    let member = "bulward-etcd-1.bulward-etcd.bulward-system.svc";
    for (name, purpose, host) in [
        ("bulward-apiserver-tls", X509PurposeId::SSL_SERVER, Some(serving)),
        ("bulward-apiserver-etcd", X509PurposeId::SSL_CLIENT, None),
        ("bulward-etcd-tls", X509PurposeId::SSL_SERVER, Some(member)),
        ("bulward-etcd-tls", X509PurposeId::SSL_CLIENT, None),
    ] {
        let certificate = text(&secrets[name], "tls.crt");
        openssl(&certificate, &bundle, purpose, host).map_err(|why| format!("{name}: {why}"))?;
        openssl::pkey::PKey::private_key_from_pem(text(&secrets[name], "tls.key").as_bytes())
            .and_then(|key| Ok(X509::from_pem(certificate.as_bytes())?.public_key()?.public_eq(&key)))
            .map_err(|why| why.to_string())?
            .then_some(())
            .ok_or_else(|| format!("{name}: the key is another's"))?;
    }
    Ok(())
}

/// The Deployment's keepers wait for the lease; two others have it.
pub(super) async fn rotate(plane: &ControlPlane) {
    let admin = plane.kubectl("admin");
    let first = secrets(plane).await;
    judge(&first).unwrap();
    let old = text(&first["bulward-ca"], "ca.crt");
    assert_eq!(blocks(&old).len(), 1);
    let scale = ["scale", "deployment/bulward-certs", "--replicas=0", "-n", NAMESPACE];
    admin.run(scale).await.ok();
    plane.apply(&[webhook()]).await;

    let load = Load::start(plane).await;
    let mut keepers = vec![keeper(plane, "rotation-keeper-0"), keeper(plane, "rotation-keeper-1")];
    let (mut authorities, mut leaves) = (BTreeSet::from([old.clone()]), BTreeSet::new());
    let mut killed = false;
    // Until the first authority is gone, and two others have signed.
    let exchanged = async || {
        let now = secrets(plane).await;
        let bundle = text(&now["bulward-ca"], "ca.crt");
        let blocks = blocks(&bundle);
        authorities.insert(blocks[0].clone());
        let serving = text(&now["bulward-apiserver-tls"], "tls.crt");
        leaves.insert(serving.clone());
        // In the middle: the next authority is trusted, and does not sign yet. Whoever works on it dies.
        if !killed && blocks.len() > 1 {
            killed = true;
            let holder = object(&admin, &["lease", "bulward-certs", "-n", NAMESPACE]).await;
            let leads = |(_, log): &(Process, Log)| log.text().contains("this replica keeps");
            let leader = keepers.iter().position(leads).unwrap_or_else(|| panic!("{holder}"));
            let (process, _) = keepers.remove(leader);
            process.kill();
        }
        let gone = !bundle.contains(&old);
        let webhooks = object(&admin, &["validatingwebhookconfiguration", WEBHOOK]).await;
        if webhooks["webhooks"][0]["clientConfig"]["caBundle"] != now["bulward-ca"]["ca.crt"] {
            return Err("the webhook trusts others".to_owned());
        }
        if killed && gone && authorities.len() > 1 && leaves.len() > 3 {
            Ok(())
        } else {
            Err(format!(
                "{} authorities in the bundle, {} have signed, {} serving certificates, the first gone: {gone}",
                blocks.len(),
                authorities.len(),
                leaves.len()
            ))
        }
    };
    eventually("another authority has taken over", EXCHANGE, exchanged).await;
    for (process, _) in keepers {
        process.signal("TERM");
        process.wait(Duration::from_secs(60)).await.unwrap();
    }
    // What is there at the end is whole: the Deployment's keepers finish it.
    admin
        .run(["scale", "deployment/bulward-certs", "--replicas=2", "-n", NAMESPACE])
        .await
        .ok();
    let served = async || {
        let now = secrets(plane).await;
        judge(&now)?;
        let bundle = text(&now["bulward-ca"], "ca.crt");
        for name in SERVICES {
            let service = object(&admin, &["apiservice", name]).await;
            if service["spec"]["caBundle"] != now["bulward-ca"]["ca.crt"] {
                return Err(format!("{name} trusts others"));
            }
        }
        let serving = text(&now["bulward-apiserver-tls"], "tls.crt");
        covers(&serving, &blocks(&bundle)[0], Usage::Server, &[], SystemTime::now())
    };
    eventually("all is by the new authority", EXCHANGE, served).await;
    let (done, failures) = load.end().await;
    eprintln!(
        "certificates exchanged under load: {} authorities, {} serving certificates, {done} requests, {} failed",
        authorities.len(),
        leaves.len(),
        failures.len()
    );
    assert!(
        failures.is_empty(),
        "{} of {done} failed: {:?}",
        failures.len(),
        &failures[..failures.len().min(5)]
    );
    assert!(done > 50, "{done} requests");
}
