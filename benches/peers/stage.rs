//! What runs during the benchmark: etcd, the servers, and a kube-apiserver that tells them who may do what.

mod custom;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::Connector;
use crate::harness::{Bulward, ControlPlane, Etcd, SampleApiserver};
use crate::machine::Watched;
use crate::objects::{self, CUSTOM_GROUP, TEN};
use crate::peer::Peer;
use crate::program::Program;
use crate::settings::Settings;

/// Everything that was started; dropping it ends it.
pub(crate) struct Stage {
    pub(crate) ours: Arc<Peer>,
    /// Absent in the long form.
    pub(crate) theirs: Option<Arc<Peer>>,
    /// A CustomResource of a kube-apiserver on the same etcd.
    pub(crate) custom: Option<Arc<Peer>>,
    pub(crate) etcd: Etcd,
    pub(crate) etcd_process: Watched,
    kube_apiserver: Option<Program>,
    _servers: (Bulward, Option<SampleApiserver>),
    // After the servers, which would complain.
    _plane: ControlPlane,
}

impl Stage {
    /// Starts it and makes the objects of all servers equally long.
    pub(crate) async fn start(settings: &Settings) -> Stage {
        // The control plane has an etcd of its own, so that the one that is measured serves the servers alone.
        let plane = ControlPlane::start("peers").await;
        plane.apply(&allow_ten()).await;
        let etcd = Etcd::start_durable("peers-objects").await.expect("etcd starts");
        let servers = format!("--etcd-servers={}", etcd.endpoint());
        // No access log: the other servers write none by default, as ours.
        let flags = [servers.as_str(), "--v=0"].into_iter();
        let flags: Vec<&str> = flags.chain(settings.flags.iter().map(String::as_str)).collect();
        let server = Bulward::start(&plane, &flags).await;
        let port = port(&server.url());
        let connector = Connector::new(port, &plane.ca().pem(), plane.front_proxy_client());
        let find = |port: u16| Watched::find(&format!("--secure-port={port}"));
        let mut ours = Peer {
            name: "bulward",
            process: find(port),
            connector,
            collection: "/apis/apiserver.bulward.io/v1alpha1/organizations",
            tens: "",
            guests: "",
            grant: objects::ownership,
            object: objects::organization,
            padding: 0,
        };
        ours.level(settings.bytes).await;
        let mut stage = Stage {
            etcd_process: Watched::find(&etcd.endpoint()),
            etcd,
            ours: Arc::new(ours),
            theirs: None,
            custom: None,
            kube_apiserver: None,
            _servers: (server, None),
            _plane: plane,
        };
        if !settings.long {
            stage.add_sample_apiserver(settings).await;
            stage.add_kube_apiserver(settings).await;
        }
        stage
    }

    async fn add_sample_apiserver(&mut self, settings: &Settings) {
        let server = SampleApiserver::start_on(&self._plane, &self.etcd).await;
        let server = server.expect("sample-apiserver starts");
        let port = port(&server.url());
        let mut peer = Peer {
            name: "sample-apiserver",
            process: Watched::find(&format!("--secure-port={port}")),
            connector: self.ours.connector.at(port),
            collection: "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders",
            tens: "&labelSelector=owner%3Dten",
            guests: "&labelSelector=owner%3Dguest",
            grant: objects::label,
            object: objects::flunder,
            padding: 0,
        };
        peer.level(settings.bytes).await;
        self.theirs = Some(Arc::new(peer));
        self._servers.1 = Some(server);
    }

    async fn add_kube_apiserver(&mut self, settings: &Settings) {
        let flags = [
            ("etcd-servers", self.etcd.endpoint()),
            ("etcd-prefix", "/cluster".to_owned()),
        ];
        let flags = flags.each_ref().map(|(name, value)| (*name, value.as_str()));
        let running = Watched::find(&format!("--secure-port={}", port(self._plane.server())));
        let mut program = Program::like(running, &self.ours.connector, "kube-apiserver", &flags);
        program.start().await;
        custom::define(&program.connector, &allow_ten()).await;
        let mut peer = Peer {
            name: "kube-apiserver",
            process: program.process(),
            connector: program.connector.clone(),
            collection: custom::COLLECTION,
            tens: "&labelSelector=owner%3Dten",
            guests: "&labelSelector=owner%3Dguest",
            grant: objects::label,
            object: objects::custom,
            padding: 0,
        };
        peer.level(settings.bytes).await;
        self.custom = Some(Arc::new(peer));
        self.kube_apiserver = Some(program);
    }

    /// Ends the kube-apiserver with the CustomResource, which does something even when nobody asks.
    pub(crate) fn end_kube_apiserver(&mut self) {
        self.custom = None;
        self.kube_apiserver = None;
    }

    /// All servers, ours first.
    pub(crate) fn peers(&self) -> Vec<Arc<Peer>> {
        let others = self.theirs.iter().chain(&self.custom);
        std::iter::once(&self.ours).chain(others).cloned().collect()
    }
}

fn port(url: &str) -> u16 {
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
    port.expect("a URL ends with its port")
}

/// Lets `ten` read on all servers.
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
        rule(CUSTOM_GROUP, "organizations"),
    ]);
    let mut binding = named("ClusterRoleBinding");
    binding["roleRef"] =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "peers:reader"});
    binding["subjects"] = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": TEN.0}]);
    vec![role, binding]
}
