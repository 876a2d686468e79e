//! What a node does, without containers: every pod of a namespace runs as processes of this machine, with the commands that its
//! containers have, the Secrets that they mount, the tokens of its service account, and its probes deciding what is ready.
//!
//! Nothing of a pod is changed but where it is: a mounted path is a folder of the test's, a port is a free one of this machine,
//! and the names of a StatefulSet's pods lead to these.

mod address;
mod pod;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use self::address::Addresses;
use self::pod::Running;
use super::{ControlPlane, guardian, programs};

/// Between two looks at the pods.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs pods. Dropping it kills them all.
pub(crate) struct Kubelet {
    addresses: Arc<Addresses>,
    task: JoinHandle<()>,
}

/// What a pod needs to be started.
struct Node {
    client: Client,
    namespace: String,
    /// Of the control plane, for the names of logs.
    plane: String,
    server: String,
    authority: String,
    etcd: PathBuf,
    addresses: Arc<Addresses>,
    folder: TempDir,
}

impl Kubelet {
    /// Runs the pods of a namespace, those that are still to come as well.
    pub(crate) async fn start(plane: &ControlPlane, namespace: &str) -> Kubelet {
        let addresses = Arc::new(Addresses::default());
        let node = Node {
            client: plane.client("admin").await,
            namespace: namespace.to_owned(),
            plane: plane.name().to_owned(),
            server: plane.server().to_owned(),
            authority: plane.ca().pem(),
            etcd: programs::find("etcd").await.unwrap_or_else(|why| panic!("{why}")),
            addresses: addresses.clone(),
            folder: guardian::temporary("kubelet"),
        };
        let task = tokio::spawn(async move { node.run().await });
        Kubelet { addresses, task }
    }

    /// The port of this machine that a container's port became.
    pub(crate) fn port(&self, pod: &str, container_port: u16) -> u16 {
        self.addresses.port(pod, container_port)
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        // Its pods are dropped with it, and their processes killed.
        self.task.abort();
    }
}

impl Node {
    async fn run(&self) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut running: BTreeMap<String, Running> = BTreeMap::new();
        loop {
            // An error is the API server's being busy; what is true will be seen at the next look.
            if let Ok(list) = pods.list(&ListParams::default()).await {
                // One that was never bound to a node is gone at once when it is deleted, and another one of its name is there: it
                // waits until the processes of the first have ended.
                running.retain(|name, started| {
                    let same = |pod: &&Pod| pod.metadata.name.as_ref() == Some(name) && pod.metadata.uid == started.uid;
                    let stays = |pod: &Pod| pod.metadata.deletion_timestamp.is_none();
                    list.items.iter().find(same).is_some_and(stays) || !started.ends()
                });
                if let Ok(list) = secrets.list(&ListParams::default()).await {
                    for pod in running.values_mut() {
                        pod.refresh(&list.items);
                    }
                }
                let probes = running
                    .iter()
                    .map(async |(name, pod)| (name.clone(), pod.is_ready().await));
                let ready: BTreeMap<String, bool> = join_all(probes).await.into_iter().collect();
                for pod in &list.items {
                    self.look_after(&pods, pod, &mut running, &ready).await;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn look_after(
        &self,
        pods: &Api<Pod>,
        pod: &Pod,
        running: &mut BTreeMap<String, Running>,
        ready: &BTreeMap<String, bool>,
    ) {
        let name = pod.metadata.name.clone().unwrap_or_default();
        if pod.metadata.deletion_timestamp.is_some() {
            if running.contains_key(&name) {
                return;
            }
            let now = DeleteParams::default().grace_period(0);
            // Refused only when it is gone.
            let _ = pods.delete(&name, &now).await;
            return;
        }
        if !running.contains_key(&name) {
            // Until its Secrets are there, there is nothing to start.
            let Ok(Some(started)) = self.start(pod).await else {
                return;
            };
            running.insert(name.clone(), started);
        }
        let Some(started) = running.get_mut(&name).filter(|started| started.uid == pod.metadata.uid) else {
            return;
        };
        started.keep_alive();
        // One that has just been started is asked at the next look.
        let ready = ready.get(&name).copied().unwrap_or(false);
        if started.reported == Some(ready) {
            return;
        }
        let status = if ready { "True" } else { "False" };
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let condition = |kind: &str| json!({"type": kind, "status": status, "lastTransitionTime": now});
        let conditions = [condition("Ready"), condition("ContainersReady")];
        let patch = json!({"status": {"phase": "Running", "conditions": conditions}});
        let patched = pods
            .patch_status(&name, &PatchParams::default(), &Patch::Strategic(patch))
            .await;
        if patched.is_ok() {
            started.reported = Some(ready);
        }
    }
}
