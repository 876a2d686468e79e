//! What runs during the benchmark: etcd, both servers, and a kube-apiserver that tells them who may do what.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::Connector;
use crate::harness::{Bulward, ControlPlane, Etcd, SampleApiserver};
use crate::machine::Watched;
use crate::objects::{self, TEN};
use crate::peer::Peer;
use crate::settings::Settings;

/// Everything that was started; dropping it ends it.
pub(crate) struct Stage {
    pub(crate) ours: Arc<Peer>,
    pub(crate) theirs: Arc<Peer>,
    pub(crate) etcd: Etcd,
    pub(crate) etcd_process: Watched,
    _servers: (Bulward, SampleApiserver),
    // After the servers, which would complain.
    _plane: ControlPlane,
}

impl Stage {
    /// Starts it and makes the objects of both servers equally long.
    pub(crate) async fn start(settings: &Settings) -> Stage {
        // The control plane has an etcd of its own, so that the one that is measured serves the two alone.
        let plane = ControlPlane::start("peers").await;
        plane.apply(&allow_ten()).await;
        let etcd = Etcd::start_durable("peers-objects").await.expect("etcd starts");
        let servers = format!("--etcd-servers={}", etcd.endpoint());
        let flags = std::iter::once(&servers).chain(&settings.flags);
        let flags: Vec<&str> = flags.map(String::as_str).collect();
        let ours = Bulward::start(&plane, &flags).await;
        let theirs = SampleApiserver::start_on(&plane, &etcd)
            .await
            .expect("sample-apiserver starts");
        let peer = |name, url: &str, collection, tens, object| {
            let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
            let port: u16 = port.expect("a port");
            Peer {
                name,
                connector: Connector::new(port, &plane.ca().pem(), plane.front_proxy_client()),
                process: Watched::find(&format!("--secure-port={port}")),
                collection,
                tens,
                object,
                padding: 0,
            }
        };
        let mut our_peer = peer(
            "bulward",
            &ours.url(),
            "/apis/apiserver.bulward.io/v1alpha1/organizations",
            "",
            objects::organization,
        );
        let mut their_peer = peer(
            "sample-apiserver",
            &theirs.url(),
            "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders",
            "?labelSelector=owner%3Dten",
            objects::flunder,
        );
        our_peer.level(settings.bytes).await;
        their_peer.level(settings.bytes).await;
        Stage {
            etcd_process: Watched::find(&etcd.endpoint()),
            etcd,
            ours: Arc::new(our_peer),
            theirs: Arc::new(their_peer),
            _servers: (ours, theirs),
            _plane: plane,
        }
    }

    /// Both servers, ours first.
    pub(crate) fn peers(&self) -> [&Arc<Peer>; 2] {
        [&self.ours, &self.theirs]
    }
}

/// Lets `ten` read on both servers.
fn allow_ten() -> Vec<Value> {
    let rule = |group: &str, resource: &str| json!({"apiGroups": [group], "resources": [resource], "verbs": ["get", "list", "watch"]});
    let named = |kind: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": "peers:reader"},
        })
    };
    let mut role = named("ClusterRole");
    role["rules"] = json!([
        rule("apiserver.bulward.io", "organizations"),
        rule("wardle.example.com", "flunders"),
    ]);
    let mut binding = named("ClusterRoleBinding");
    binding["roleRef"] =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "peers:reader"});
    binding["subjects"] = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": TEN.0}]);
    vec![role, binding]
}
