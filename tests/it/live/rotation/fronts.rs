//! The cluster's authorities: that of its clients, and that of what kube-apiserver shows to the servers behind it. kube-apiserver reads
//! its files again and publishes them in `extension-apiserver-authentication`, which our servers follow.

use std::path::Path;
use std::sync::Arc;

use kube::Client;
use parking_lot::RwLock;
use serde_json::json;

use super::load::{Load, accepted, bundle, once, refused};
use super::object;
use crate::harness::kubelet::Kubelet;
use crate::harness::pki::{Authority, Pair};
use crate::harness::{ControlPlane, eventually};
use crate::live::SOON;
use crate::live::install::NAMESPACE;

/// The certificate that kube-apiserver shows has this name, always.
const FRONT: &str = "front-proxy-client";

pub(super) struct Fronts {
    admin: Client,
    /// Of our API servers.
    pub(super) ports: [u16; 2],
    /// What alice shows directly.
    pub(super) client: Arc<RwLock<Pair>>,
    /// What somebody shows who speaks for others directly.
    pub(super) front: Arc<RwLock<Pair>>,
    /// Whose certificates are in use.
    clients: String,
    fronts: String,
    pub(super) exchanges: usize,
}

/// Replaces a file as a whole.
fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, text).unwrap();
    std::fs::rename(fresh, path).unwrap();
}

impl Fronts {
    pub(super) async fn new(plane: &ControlPlane, kubelet: &Kubelet) -> Fronts {
        let selector = "app.kubernetes.io/name=bulward-apiserver";
        let pods = object(&plane.kubectl("admin"), &["pods", "-n", NAMESPACE, "-l", selector]).await;
        let pods = pods["items"].as_array().unwrap().iter();
        let ports: Vec<u16> = pods
            .map(|pod| kubelet.port(pod["metadata"]["name"].as_str().unwrap(), 6443))
            .collect();
        Fronts {
            admin: plane.client("admin").await,
            ports: ports.try_into().expect("two API servers"),
            client: Arc::new(RwLock::new(plane.ca().client("alice", &["team-alice"]))),
            front: Arc::new(RwLock::new(plane.front_proxy_client().clone())),
            clients: String::new(),
            fronts: plane.front_proxy_ca(),
            exchanges: 0,
        }
    }

    /// Both follow another: both are trusted while the clients move, and what was before is refused afterwards.
    pub(super) async fn exchange(&mut self, plane: &ControlPlane, load: &Load) {
        let (clients, fronts) = (Authority::new("clients"), Authority::new("fronts"));
        let alice = clients.client("alice", &["team-alice"]);
        let front = fronts.client(FRONT, &[]);
        let base = plane.ca().pem();
        let old = (self.client.read().clone(), self.front.read().clone());
        let client_file = plane.file("ca.crt");
        let front_file = plane.file("front-proxy-ca.crt");

        replace(&client_file, &[base.as_str(), &self.clients, &clients.pem()].concat());
        replace(&front_file, &[self.fronts.as_str(), &fronts.pem()].concat());
        self.everywhere("another client authority is trusted", &alice, false)
            .await;
        self.everywhere("another front-proxy authority is trusted", &front, true)
            .await;
        (*self.client.write(), *self.front.write()) = (alice, front.clone());
        self.shown(plane, &front).await;
        // Whoever asked with the old ones has been answered.
        load.advance().await;

        // kube-apiserver adds what it reads, and takes out only what has ended: the rest is the administrator's.
        let client = [base.as_str(), &clients.pem()].concat();
        replace(&client_file, &client);
        replace(&front_file, &fronts.pem());
        let published = async || {
            let map = json!({"data": {"client-ca-file": client, "requestheader-client-ca-file": fronts.pem()}});
            let patch = format!("--patch={map}");
            let map = "configmap/extension-apiserver-authentication";
            plane
                .kubectl("admin")
                .run(["patch", map, "-n", "kube-system", &patch])
                .await
                .ok();
            for (pair, is_front) in [(&old.0, false), (&old.1, true)] {
                // The first alice has the authority of everybody else here.
                if self.exchanges == 0 && !is_front {
                    continue;
                }
                for port in self.ports {
                    refused(self.ask(port, pair, is_front).await).map_err(|why| why.to_string())?;
                }
            }
            Ok::<_, String>(())
        };
        eventually("what was before is refused", SOON * 2, published).await;
        (self.clients, self.fronts) = (clients.pem(), fronts.pem());
        self.exchanges += 1;
    }

    async fn ask(&self, port: u16, pair: &Pair, front: bool) -> Result<crate::live::Answer, String> {
        once(port, &bundle(&self.admin).await, pair, front).await
    }

    async fn everywhere(&self, what: &str, pair: &Pair, front: bool) {
        let all = async || {
            for port in self.ports {
                accepted(self.ask(port, pair, front).await)?;
            }
            Ok::<_, String>(())
        };
        eventually(what, SOON * 2, all).await;
    }

    /// Has kube-apiserver show another certificate to the servers behind it, and waits until it does so to all of them: it says
    /// when it has read it, and then takes up its APIServices one after the other, so that a new one is the last.
    async fn shown(&self, plane: &ControlPlane, pair: &Pair) {
        let read = || {
            let log = plane.api_server_log();
            let lines = log.lines().filter(|line| line.contains("Loaded a new cert/key pair"));
            lines.filter(|line| line.contains("aggregator-proxy-cert")).count()
        };
        let before = read();
        pair.write(plane.file("ca.crt").parent().unwrap(), FRONT);
        let again = async || if read() > before { Ok(()) } else { Err("not read yet") };
        eventually("kube-apiserver reads its certificate again", SOON * 2, again).await;

        let group = format!("rotation-{}.example.com", self.exchanges);
        let name = format!("v1.{group}");
        let service = json!({
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": name},
            "spec": {
                "group": group, "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1,
                "insecureSkipTLSVerify": true, "service": {"namespace": NAMESPACE, "name": "nothing"},
            },
        });
        plane.apply(&[service]).await;
        let path = format!("/apis/{group}/v1");
        let taken = async || {
            let answer = crate::live::get(&self.admin, &path).await;
            if answer.code == 503 {
                Ok(())
            } else {
                Err(format!("{answer:?}"))
            }
        };
        eventually("kube-apiserver takes up its APIServices", SOON * 2, taken).await;
        plane.kubectl("admin").run(["delete", "apiservice", &name]).await.ok();
    }
}
