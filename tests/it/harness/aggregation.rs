//! Registration of a server that runs outside of the cluster with kube-apiserver's aggregation layer.

use serde_json::{Value, json};

use super::{ControlPlane, STARTUP, eventually};

/// What is registered. kube-apiserver dials `localhost:<port>` and verifies the name `<service>.<namespace>.svc`.
pub(crate) struct Registration<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) service: &'a str,
    pub(crate) port: u16,
    /// Group, version, and the group's priority: `kubectl get <plural>` takes the group with the highest one.
    pub(crate) versions: &'a [(&'a str, &'a str, i32)],
    /// The authority of the server's certificate, PEM; `None` leaves it unverified.
    pub(crate) ca: Option<&'a str>,
}

impl Registration<'_> {
    /// Creates or changes namespace, Service and APIServices, and waits until kube-apiserver serves the groups.
    pub(crate) async fn apply(&self, plane: &ControlPlane) {
        plane.apply(&self.objects()).await;
        for (group, version, _) in self.versions {
            available(plane, group, version).await;
        }
    }

    fn objects(&self) -> Vec<Value> {
        let mut objects = vec![
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}),
            json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": self.service, "namespace": self.namespace},
                "spec": {
                    "type": "ExternalName",
                    "externalName": "localhost",
                    "ports": [{"port": self.port, "protocol": "TCP"}],
                },
            }),
        ];
        for (group, version, priority) in self.versions {
            let mut spec = json!({
                "group": group,
                "version": version,
                "groupPriorityMinimum": priority,
                "versionPriority": 15,
                "service": {"name": self.service, "namespace": self.namespace, "port": self.port},
            });
            match self.ca {
                Some(ca) => spec["caBundle"] = json!(super::pki::encode(ca)),
                None => spec["insecureSkipTLSVerify"] = json!(true),
            }
            objects.push(json!({
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": format!("{version}.{group}")},
                "spec": spec,
            }));
        }
        objects
    }
}

/// Waits until kube-apiserver has found a group version available and lists it in discovery.
pub(super) async fn available(plane: &ControlPlane, group: &str, version: &str) {
    let name = format!("{version}.{group}");
    let kubectl = plane.kubectl("admin");
    eventually(&format!("APIService {name} is Available"), STARTUP, async || {
        let got = kubectl.run(["get", "apiservice", &name, "-o", "json"]).await.ok();
        let service: Value = serde_json::from_str(&got).map_err(|e| e.to_string())?;
        let conditions = service["status"]["conditions"].as_array().cloned().unwrap_or_default();
        match conditions.iter().find(|c| c["type"] == "Available") {
            Some(condition) if condition["status"] == "True" => Ok(()),
            Some(condition) => Err(condition.to_string()),
            None => Err("no condition yet".to_owned()),
        }
    })
    .await;
    // The aggregator merges discovery documents in the background, a moment after that condition.
    let group_flag = format!("--api-group={group}");
    eventually(&format!("{name} is in the aggregated discovery"), STARTUP, async || {
        let got = kubectl.run(["api-resources", &group_flag, "--no-headers"]).await;
        let listed = got.status.success() && got.stdout.contains(&format!("{group}/{version}"));
        if listed { Ok(()) } else { Err(got) }
    })
    .await;
}
