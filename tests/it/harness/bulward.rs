//! Our own binary as a process behind the aggregator.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::in_process::Caller;
use super::process::{Log, Process};
use super::{ControlPlane, aggregation, guardian, pki, ports, serving, started_once};

/// Where the Service lies; the certificate is made out to `bulward-apiserver.bulward-system.svc`.
const NAMESPACE: &str = "bulward-system";
const SERVICE: &str = "bulward-apiserver";

/// The two views of Organizations and Projects, with their version.
pub(crate) const GROUPS: [(&str, &str); 2] = [("apiserver.bulward.io", "v1alpha1"), ("storage.bulward.io", "v1alpha1")];
/// The group of what makes roles.
const ROLES: (&str, &str) = ("bulward.io", "v1alpha1");

/// Everything of callers who carry the group `audited` is recorded.
const AUDIT_POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
rules: [{level: RequestResponse, userGroups: [audited]}]
";

/// A `bulward apiserver` on a control plane's etcd, under the service account that our manifests give it. Dropping it kills it.
pub(crate) struct Bulward {
    name: String,
    args: Vec<String>,
    port: u16,
    manifests: PathBuf,
    log: Log,
    process: Mutex<Option<Process>>,
    folder: TempDir,
}

impl Bulward {
    /// The one on the shared control plane, registered there. Nobody stops it; see [`Bulward::start`] for that.
    pub(crate) async fn shared() -> (&'static ControlPlane, &'static Bulward) {
        static SHARED: OnceCell<Result<Bulward, String>> = OnceCell::const_new();
        let plane = ControlPlane::shared().await;
        let start = async || {
            let server = Bulward::try_start(plane, &[]).await?;
            server.register(plane).await;
            Ok(server)
        };
        (plane, started_once("the shared server", &SHARED, start).await)
    }

    /// Starts one with further flags, and waits until it is ready. It is not registered. A flag given as `--name=value`
    /// stands instead of the harness' own of that name.
    pub(crate) async fn start(plane: &ControlPlane, flags: &[&str]) -> Bulward {
        Bulward::try_start(plane, flags)
            .await
            .unwrap_or_else(|why| panic!("bulward: {why}"))
    }

    async fn try_start(plane: &ControlPlane, flags: &[&str]) -> Result<Bulward, String> {
        let folder = guardian::temporary("server");
        let ca = folder.path().join("ca.crt");
        std::fs::write(&ca, plane.ca().pem()).map_err(|e| e.to_string())?;
        let manifests = folder.path().join("manifests");
        print_manifests(&manifests, &ca)?;
        let deploy = async || {
            plane
                .apply_text(&accounts(&read(&manifests.join("deploy/bulward.yaml"))?))
                .await;
            let admin = plane.kubectl("admin");
            Ok(admin.run(["create", "token", SERVICE, "-n", NAMESPACE]).await.ok())
        };
        let token = plane.token(deploy).await?;
        let kubeconfig = folder.path().join("kubeconfig");
        pki::token_kubeconfig(&kubeconfig, plane.server(), &plane.ca().pem(), Some(token.trim()));

        let port = ports::free();
        let host = format!("{SERVICE}.{NAMESPACE}.svc");
        let (certificate, key) = plane
            .ca()
            .serving(&[&host, "localhost", "127.0.0.1"])
            .write(folder.path(), "serving");
        let policy = folder.path().join("audit-policy.yaml");
        std::fs::write(&policy, AUDIT_POLICY).map_err(|e| e.to_string())?;
        let path = |p: &Path| p.display().to_string();
        let mut args = vec![
            format!("--kubeconfig={}", path(&kubeconfig)),
            format!("--etcd-servers={}", plane.etcd().endpoint()),
            format!("--etcd-prefix=/bulward-{port}"),
            format!("--secure-port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--tls-cert-file={}", path(&certificate)),
            format!("--tls-private-key-file={}", path(&key)),
            // Most tests make up namespaces that the cluster does not have.
            "--disable-admission-plugins=NamespaceLifecycle".to_owned(),
            "--v=2".to_owned(),
            format!("--audit-policy-file={}", path(&policy)),
            format!("--audit-log-path={}", path(&folder.path().join("audit.log"))),
        ];
        override_flags(&mut args, flags);
        args.insert(0, "apiserver".to_owned());
        let name = format!("{}-bulward-{port}", plane.name());
        let log = Log::create(&name);
        let process = Mutex::new(None);
        let server = Bulward {
            name,
            args,
            port,
            manifests,
            log,
            process,
            folder,
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

    /// The file of what is recorded: every request of callers who carry the group `audited`.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    /// `https://127.0.0.1:<port>`, past the aggregator.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Somebody with a client certificate, past the aggregator.
    pub(crate) async fn caller(&self, plane: &ControlPlane, user: &str, groups: &[&str]) -> Caller {
        let pair = plane.ca().client(user, groups);
        Caller::through(plane.client_past_aggregator(&self.url(), &pair).await)
    }

    /// A user as the front proxy introduces it, past the aggregator, with any number of groups.
    pub(crate) async fn introduced(&self, plane: &ControlPlane, user: &str, groups: &[&str]) -> Caller {
        let proxy = plane
            .client_past_aggregator(&self.url(), plane.front_proxy_client())
            .await;
        Caller::through(proxy).introducing(user, groups)
    }

    /// Its resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let process = self.process.lock();
        process.as_ref().expect("a server that runs").resident()
    }

    /// Everything it has logged.
    pub(crate) fn logged(&self) -> String {
        self.log.text()
    }

    /// Registers it as our manifests do, but for a Service that leads out of the cluster to it, and waits until all
    /// groups are served.
    pub(crate) async fn register(&self, plane: &ControlPlane) {
        let services = read(&self.manifests.join("apiservice/apiservice.yaml")).unwrap_or_else(|why| panic!("{why}"));
        let outside = services.replace("    port: 443\n", &format!("    port: {}\n", self.port));
        assert_ne!(services, outside, "the APIServices name the Service's port");
        plane.apply(&[self.service()]).await;
        plane.apply_text(&outside).await;
        for (group, version) in GROUPS.into_iter().chain([ROLES]) {
            aggregation::available(plane, group, version).await;
        }
    }

    fn service(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE, "namespace": NAMESPACE},
            "spec": {
                "type": "ExternalName",
                "externalName": "localhost",
                "ports": [{"port": self.port, "protocol": "TCP"}],
            },
        })
    }
}

/// Runs `bulward manifests`.
fn print_manifests(folder: &Path, ca: &Path) -> Result<(), String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
    command
        .arg("manifests")
        .arg("--ca-file")
        .arg(ca)
        .arg("--output-dir")
        .arg(folder);
    let output = command.output().map_err(|e| format!("bulward manifests: {e}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "bulward manifests: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// What a manifest says of namespaces, accounts and rights, without what would run there.
fn accounts(manifest: &str) -> String {
    let kinds = [
        "Namespace",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
    ];
    let is_one = |document: &&str| {
        kinds
            .iter()
            .any(|kind| document.lines().any(|line| line == format!("kind: {kind}")))
    };
    let documents: Vec<&str> = manifest.split("\n---\n").filter(is_one).collect();
    documents.join("\n---\n")
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// Adds `flags` to `args`; a flag that stands there already gives way, as it may be given once.
pub(crate) fn override_flags(args: &mut Vec<String>, flags: &[&str]) {
    let name_of = |flag: &str| flag.split('=').next().unwrap_or_default().to_owned();
    args.retain(|own| !flags.iter().any(|given| name_of(given) == name_of(own)));
    args.extend(flags.iter().map(|flag| (*flag).to_owned()));
}
