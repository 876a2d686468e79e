//! Our own binary as a process behind the aggregator.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::process::{Log, Process};
use super::{ControlPlane, Etcd, Registration, guardian, pki, ports, serving, started_once};

/// Where the Service lies; the certificate is made out to `bulward-apiserver.bulward-system.svc`.
const NAMESPACE: &str = "bulward-system";
const SERVICE: &str = "bulward-apiserver";

/// The user that the server is towards kube-apiserver, with the two permissions that delegation needs.
const USER: &str = "bulward-apiserver";

/// A `bulward apiserver` on a control plane's etcd. Dropping it kills it.
pub(crate) struct Bulward {
    name: String,
    args: Vec<String>,
    port: u16,
    ca: String,
    log: Log,
    process: Mutex<Option<Process>>,
    _folder: TempDir,
}

impl Bulward {
    /// The one on the shared control plane, registered there. Nobody stops it; see [`Bulward::start`] for that.
    pub(crate) async fn shared() -> (&'static ControlPlane, &'static Bulward) {
        static SHARED: OnceCell<Result<Bulward, String>> = OnceCell::const_new();
        let plane = ControlPlane::shared().await;
        let start = async || {
            let server = Bulward::try_start(plane, plane.etcd(), &[]).await?;
            server.register(plane).await;
            Ok(server)
        };
        (plane, started_once("the shared server", &SHARED, start).await)
    }

    /// Starts one with further flags, and waits until it is ready. It is not registered.
    pub(crate) async fn start(plane: &ControlPlane, flags: &[&str]) -> Bulward {
        Bulward::start_on(plane, plane.etcd(), flags).await
    }

    /// The same with its objects in another etcd than the control plane's.
    pub(crate) async fn start_on(plane: &ControlPlane, etcd: &Etcd, flags: &[&str]) -> Bulward {
        Bulward::try_start(plane, etcd, flags)
            .await
            .unwrap_or_else(|why| panic!("bulward: {why}"))
    }

    async fn try_start(plane: &ControlPlane, etcd: &Etcd, flags: &[&str]) -> Result<Bulward, String> {
        allow_delegation(plane).await;
        let folder = guardian::temporary("server");
        let port = ports::free();
        let host = format!("{SERVICE}.{NAMESPACE}.svc");
        let (certificate, key) = plane
            .ca()
            .serving(&[&host, "localhost", "127.0.0.1"])
            .write(folder.path(), "serving");
        let kubeconfig = folder.path().join("kubeconfig");
        pki::kubeconfig(
            &kubeconfig,
            plane.server(),
            &plane.ca().pem(),
            &plane.ca().client(USER, &[]),
            None,
        );
        let path = |p: &PathBuf| p.display().to_string();
        let mut args = vec![
            "apiserver".to_owned(),
            format!("--kubeconfig={}", path(&kubeconfig)),
            format!("--authentication-kubeconfig={}", path(&kubeconfig)),
            format!("--authorization-kubeconfig={}", path(&kubeconfig)),
            format!("--etcd-servers={}", etcd.endpoint()),
            format!("--etcd-prefix=/bulward-{port}"),
            format!("--secure-port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--tls-cert-file={}", path(&certificate)),
            format!("--tls-private-key-file={}", path(&key)),
        ];
        args.extend(flags.iter().map(|f| (*f).to_owned()));
        let name = format!("{}-bulward-{port}", plane.name());
        let log = Log::create(&name);
        let process = Mutex::new(None);
        let server = Bulward {
            name,
            args,
            port,
            ca: plane.ca().pem(),
            log,
            process,
            _folder: folder,
        };
        server.try_restart().await?;
        Ok(server)
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&self) {
        drop(self.process.lock().take());
    }

    /// SIGTERM, and waits until it has drained and ended.
    pub(crate) async fn stop(&self, deadline: Duration) -> std::process::ExitStatus {
        let process = self.process.lock().take().expect("a server that runs");
        process.signal("TERM");
        process
            .wait(deadline)
            .await
            .unwrap_or_else(|why| panic!("{why}; {}", self.log.tail()))
    }

    /// Kills it if it runs, starts it again with the same arguments, and waits until it is ready.
    pub(crate) async fn restart(&self) {
        self.try_restart().await.unwrap_or_else(|why| panic!("restart: {why}"));
    }

    async fn try_restart(&self) -> Result<(), String> {
        self.kill();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
        command.args(&self.args);
        let process = Process::spawn(&self.name, &mut command, &self.log);
        let ready = serving(&process, self.port).await;
        *self.process.lock() = Some(process);
        ready
    }

    /// `https://127.0.0.1:<port>`, past the aggregator.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Everything it has logged.
    pub(crate) fn logged(&self) -> String {
        self.log.text()
    }

    /// How it is registered. The filtered group has the higher priority: `kubectl get organizations` means that one.
    pub(crate) fn registration(&self) -> Registration<'_> {
        Registration {
            namespace: NAMESPACE,
            service: SERVICE,
            port: self.port,
            versions: &[
                ("apiserver.bulward.io", "v1alpha1", 1100),
                ("storage.bulward.io", "v1alpha1", 1000),
            ],
            ca: Some(&self.ca),
        }
    }

    /// Registers it, lets every authenticated user in (tenancy.md R9), and waits until both groups are served.
    pub(crate) async fn register(&self, plane: &ControlPlane) {
        plane.apply(&access_floor()).await;
        self.registration().apply(plane).await;
    }
}

fn bind(kind: &str, name: &str, namespace: Option<&str>, role: (&str, &str), subject: (&str, &str)) -> Value {
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role.0, "name": role.1},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": subject.0, "name": subject.1}],
    })
}

/// What the server needs of kube-apiserver: to ask for reviews, and to read how the front proxy is known.
async fn allow_delegation(plane: &ControlPlane) {
    let delegator = ("ClusterRole", "system:auth-delegator");
    let reader = ("Role", "extension-apiserver-authentication-reader");
    let items = vec![
        bind(
            "ClusterRoleBinding",
            "bulward:auth-delegator",
            None,
            delegator,
            ("User", USER),
        ),
        bind(
            "RoleBinding",
            "bulward:authentication-reader",
            Some("kube-system"),
            reader,
            ("User", USER),
        ),
    ];
    plane.apply(&items).await;
}

/// Two ClusterRoles for `system:authenticated`.
fn access_floor() -> Vec<Value> {
    let everybody = ("Group", "system:authenticated");
    let role = |name: &str, resources: &[&str], verbs: &[&str]| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": [{"apiGroups": ["apiserver.bulward.io"], "resources": resources, "verbs": verbs}],
        })
    };
    let all_but_create = ["get", "list", "watch", "update", "patch", "delete", "deletecollection"];
    vec![
        role("bulward:user", &["organizations", "projects"], &all_but_create),
        role("bulward:organization-creator", &["organizations"], &["create"]),
        bind(
            "ClusterRoleBinding",
            "bulward:user",
            None,
            ("ClusterRole", "bulward:user"),
            everybody,
        ),
        bind(
            "ClusterRoleBinding",
            "bulward:organization-creator",
            None,
            ("ClusterRole", "bulward:organization-creator"),
            everybody,
        ),
    ]
}
