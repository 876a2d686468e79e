//! etcd, kube-apiserver and kube-controller-manager as processes on loopback.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::pki::{self, Authority, Pair};
use super::process::{Log, Process};
use super::{Etcd, Kubectl, STARTUP, eventually, guardian, ports, programs, serving, started_once};

/// The users that every control plane has, with their group. All but `admin` have no rights beyond an authenticated user's.
const USERS: [(&str, &str); 4] = [
    ("admin", "system:masters"),
    ("alice", "team-alice"),
    ("bob", "team-bob"),
    ("carol", "team-carol"),
];

/// Who kube-controller-manager is where it does not act as one of its controllers' service accounts.
const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";

/// What kube-apiserver records, for comparison with what we do: of the kinds of two groups, and of one path.
pub(crate) const AUDIT_POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Metadata
  resources: [{group: audit.example.com, resources: ["metas", "metas/*"]}]
- level: Request
  omitManagedFields: true
  resources: [{group: audit.example.com, resources: ["reqs", "*/status"]}]
- level: None
  verbs: ["list"]
  resources: [{group: audit.example.com, resources: ["fulls"]}]
  users: ["silent"]
- level: RequestResponse
  omitStages: ["RequestReceived"]
  resources: [{group: audit.example.com}]
- level: Request
  omitStages: ["RequestReceived"]
  resources: [{group: equals.example.com}]
- level: Metadata
  omitStages: ["RequestReceived"]
  resources: [{group: outcomes.policies.io}]
- level: Metadata
  nonResourceURLs: ["/audit-probe*"]
"#;

/// A running control plane. Dropping it kills its processes and removes its data.
pub(crate) struct ControlPlane {
    name: String,
    // Before the folder: fields are dropped in this order, and a running server would write into it again.
    _controller_manager: Process,
    api_server: Process,
    etcd: Etcd,
    ca: Authority,
    front_proxy_client: Pair,
    admin: Pair,
    server: String,
    kubectl: PathBuf,
    applying: tokio::sync::Mutex<()>,
    token: OnceCell<String>,
    folder: TempDir,
}

impl ControlPlane {
    /// The control plane that the tests of this binary share: started by the first test that asks, while others wait.
    ///
    /// Names in it are everybody's: a test uses namespaces and objects named after itself.
    pub(crate) async fn shared() -> &'static ControlPlane {
        static SHARED: OnceCell<Result<ControlPlane, String>> = OnceCell::const_new();
        started_once("the shared control plane", &SHARED, async || {
            ControlPlane::try_start("shared", &[]).await
        })
        .await
    }

    /// A control plane of the test's own, for tests that stop parts of it. `name` names its logs.
    pub(crate) async fn start(name: &str) -> ControlPlane {
        ControlPlane::start_with(name, &[]).await
    }

    /// The same, with further flags of kube-apiserver.
    pub(crate) async fn start_with(name: &str, flags: &[String]) -> ControlPlane {
        ControlPlane::try_start(name, flags)
            .await
            .unwrap_or_else(|why| panic!("control plane {name}: {why}"))
    }

    async fn try_start(name: &str, flags: &[String]) -> Result<ControlPlane, String> {
        // Found before anything is started, as they may have to be built first.
        let (api_server, controller_manager) = (
            programs::find("kube-apiserver").await?,
            programs::find("kube-controller-manager").await?,
        );
        let kubectl = programs::find("kubectl").await?;

        let folder = guardian::temporary("control-plane");
        let etcd = Etcd::start(name).await?;
        let ca = Authority::new("it-ca");
        let front_proxy_ca = Authority::new("it-front-proxy-ca");
        let front_proxy_client = front_proxy_ca.client("front-proxy-client", &[]);
        let files = Files::write(folder.path(), &ca, &front_proxy_ca, &front_proxy_client);

        let port = ports::free();
        let server = format!("https://127.0.0.1:{port}");
        let admin = ca.client("admin", &["system:masters"]);
        for (user, group) in USERS {
            let pair = if user == "admin" {
                admin.clone()
            } else {
                ca.client(user, &[group])
            };
            pki::kubeconfig(&kubeconfig_path(folder.path(), user), &server, &ca.pem(), &pair, None);
        }

        let log_name = format!("{name}-kube-apiserver");
        let mut command = api_server_command(&api_server, &etcd.endpoint(), port, &files);
        command.args(flags);
        let api_server = Process::spawn(&log_name, &mut command, &Log::create(&log_name));
        serving(&api_server, port).await?;

        let log_name = format!("{name}-kube-controller-manager");
        // Its own identity, as in a real cluster, and not an administrator's: what its controllers see of us depends on it.
        let identity = kubeconfig_path(folder.path(), CONTROLLER_MANAGER);
        let pair = ca.client(CONTROLLER_MANAGER, &[]);
        pki::kubeconfig(&identity, &server, &ca.pem(), &pair, None);
        let mut command = controller_manager_command(&controller_manager, &identity, &files);
        let controller_manager = Process::spawn(&log_name, &mut command, &Log::create(&log_name));

        let plane = ControlPlane {
            name: name.to_owned(),
            _controller_manager: controller_manager,
            api_server,
            etcd,
            ca,
            front_proxy_client,
            admin,
            server,
            kubectl,
            applying: tokio::sync::Mutex::default(),
            token: OnceCell::new(),
            folder,
        };
        plane.settled().await;
        Ok(plane)
    }

    /// Waits for what controllers and hooks make shortly after kube-apiserver says that it is ready.
    async fn settled(&self) {
        for (namespace, object) in [
            ("default", "serviceaccount/default"),
            ("kube-system", "configmap/extension-apiserver-authentication"),
        ] {
            eventually(&format!("{object} in {namespace}"), STARTUP, async || {
                let got = self.kubectl("admin").run(["get", "-n", namespace, object]).await;
                if got.status.success() { Ok(()) } else { Err(got) }
            })
            .await;
        }
    }

    /// Creates or changes objects as admin.
    pub(crate) async fn apply(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.apply_text(&list.to_string()).await;
    }

    /// The same, from YAML or JSON.
    pub(crate) async fn apply_text(&self, text: &str) {
        // One at a time: two tests that create the same object at once would fail one of them.
        let _turn = self.applying.lock().await;
        self.kubectl("admin").stdin(text).run(["apply", "-f", "-"]).await.ok();
    }

    /// The token under which our servers run here: `deploy` makes their account and answers a token of it, once.
    pub(super) async fn token(&self, deploy: impl AsyncFnOnce() -> Result<String, String>) -> Result<String, String> {
        self.token.get_or_try_init(async || deploy().await).await.cloned()
    }

    /// The file of what is recorded as [`AUDIT_POLICY`] says.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    /// A file that kube-apiserver reads, and reads again when it changes.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Everything that kube-apiserver logged until now.
    pub(crate) fn api_server_log(&self) -> String {
        self.api_server.log_text()
    }

    /// What its logs are called after.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its etcd, which others may use under a prefix of their own.
    pub(crate) fn etcd(&self) -> &Etcd {
        &self.etcd
    }

    /// `https://127.0.0.1:<port>` of kube-apiserver.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// The authority of client certificates and serving certificates.
    pub(crate) fn ca(&self) -> &Authority {
        &self.ca
    }

    /// The authority of what kube-apiserver shows to the servers behind it, PEM.
    pub(crate) fn front_proxy_ca(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("front-proxy-ca.crt")).expect("written at the start")
    }

    /// What kube-apiserver shows to the servers behind it.
    pub(crate) fn front_proxy_client(&self) -> &Pair {
        &self.front_proxy_client
    }

    /// The kubeconfig of `admin`, `alice`, `bob`, `carol`, or of a user added since.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        let path = kubeconfig_path(self.folder.path(), user);
        assert!(path.is_file(), "no user {user} was added");
        path
    }

    /// Adds a user with a certificate of its own and at most one group.
    pub(crate) fn add_user(&self, user: &str, groups: &[&str]) -> PathBuf {
        let path = kubeconfig_path(self.folder.path(), user);
        pki::kubeconfig(&path, &self.server, &self.ca.pem(), &self.ca.client(user, groups), None);
        path
    }

    /// Adds a user that is `admin` impersonating `user` with any number of groups, for every client that reads kubeconfigs.
    pub(crate) fn add_impersonated(&self, user: &str, groups: &[&str]) -> PathBuf {
        let path = kubeconfig_path(self.folder.path(), user);
        pki::kubeconfig(&path, &self.server, &self.ca.pem(), &self.admin, Some((user, groups)));
        path
    }

    /// Adds a user that holds a bearer token, such as a service account's.
    pub(crate) fn add_token(&self, user: &str, token: &str) -> PathBuf {
        let path = kubeconfig_path(self.folder.path(), user);
        pki::token_kubeconfig(&path, &self.server, &self.ca.pem(), Some(token));
        path
    }

    /// kubectl of the control plane's own version.
    pub(crate) fn kubectl(&self, user: &str) -> Kubectl {
        Kubectl::new(&self.kubectl, &self.kubeconfig(user))
    }

    /// The same, and the kubectl on `PATH` when there is one: usually of another version.
    pub(crate) fn all_kubectls(&self, user: &str) -> Vec<Kubectl> {
        let programs = self.kubectl_programs().into_iter();
        programs
            .map(|program| Kubectl::new(&program, &self.kubeconfig(user)))
            .collect()
    }

    /// The programs of [`ControlPlane::all_kubectls`].
    pub(crate) fn kubectl_programs(&self) -> Vec<PathBuf> {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&folders)
            .map(|f| f.join("kubectl"))
            .find(|p| p.is_file());
        [self.kubectl.clone()].into_iter().chain(found).collect()
    }

    /// A kube-rs client of this test's runtime.
    pub(crate) async fn client(&self, user: &str) -> kube::Client {
        client(&self.kubeconfig(user)).await
    }

    /// A client that talks to a server behind the aggregator directly, showing it the certificate `pair`.
    pub(crate) async fn client_past_aggregator(&self, url: &str, pair: &Pair) -> kube::Client {
        self.direct_client(|path| pki::kubeconfig(path, url, &self.ca.pem(), pair, None))
            .await
    }

    /// The same with a bearer token, or with no credentials at all.
    pub(crate) async fn client_with_token(&self, url: &str, token: Option<&str>) -> kube::Client {
        self.direct_client(|path| pki::token_kubeconfig(path, url, &self.ca.pem(), token))
            .await
    }

    async fn direct_client(&self, write: impl FnOnce(&Path)) -> kube::Client {
        let folder = guardian::temporary("direct");
        let path = kubeconfig_path(folder.path(), "direct");
        write(&path);
        client(&path).await
    }
}

async fn client(kubeconfig: &Path) -> kube::Client {
    pki::install_tls_provider();
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).expect("read our own kubeconfig");
    let options = kube::config::KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .expect("use our own kubeconfig");
    // A test sees what the server answered, also a 503.
    config.default_retry = false;
    kube::Client::try_from(config).expect("make a client")
}

/// The files that the servers read.
struct Files {
    ca: PathBuf,
    serving: (PathBuf, PathBuf),
    front_proxy_ca: PathBuf,
    front_proxy_client: (PathBuf, PathBuf),
    signing_key: PathBuf,
    signing_public: PathBuf,
    audit_policy: PathBuf,
    audit_log: PathBuf,
}

impl Files {
    fn write(folder: &Path, ca: &Authority, front_proxy_ca: &Authority, front_proxy_client: &Pair) -> Files {
        let text = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("write into the control plane's folder");
            path
        };
        let (private, public) = pki::signing_keys();
        let names = [
            "localhost",
            "kubernetes",
            "kubernetes.default.svc",
            "127.0.0.1",
            "10.0.0.1",
        ];
        Files {
            ca: text("ca.crt", ca.pem()),
            serving: ca.serving(&names).write(folder, "apiserver"),
            front_proxy_ca: text("front-proxy-ca.crt", front_proxy_ca.pem()),
            front_proxy_client: front_proxy_client.write(folder, "front-proxy-client"),
            signing_key: text("service-accounts.key", private),
            signing_public: text("service-accounts.pub", public),
            audit_policy: text("audit-policy.yaml", AUDIT_POLICY.to_owned()),
            audit_log: folder.join("audit.log"),
        }
    }
}

fn kubeconfig_path(folder: &Path, user: &str) -> PathBuf {
    // A service account's name has colons, which files may carry but command lines read badly.
    folder.join(format!("{}.kubeconfig", user.replace(':', "-")))
}

/// `--flag=value` with a path.
fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

fn api_server_command(program: &Path, etcd: &str, port: u16, files: &Files) -> Command {
    let mut command = Command::new(program);
    command
        .arg(format!("--etcd-servers={etcd}"))
        .arg(format!("--secure-port={port}"))
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
        // A loopback address is refused as an endpoint of the service `kubernetes`, which nobody needs here.
        .arg("--endpoint-reconciler-type=none")
        .arg(flag("tls-cert-file", &files.serving.0))
        .arg(flag("tls-private-key-file", &files.serving.1))
        .arg(flag("client-ca-file", &files.ca))
        .arg(flag("requestheader-client-ca-file", &files.front_proxy_ca))
        .args([
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
        ])
        .args([
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-uid-headers=X-Remote-Uid",
        ])
        .arg("--requestheader-extra-headers-prefix=X-Remote-Extra-")
        .arg(flag("proxy-client-cert-file", &files.front_proxy_client.0))
        .arg(flag("proxy-client-key-file", &files.front_proxy_client.1))
        // It says when it has read that pair again.
        .arg("--vmodule=dynamic_serving_content=2")
        .arg(flag("audit-policy-file", &files.audit_policy))
        .arg(flag("audit-log-path", &files.audit_log))
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg(flag("service-account-key-file", &files.signing_public))
        .arg(flag("service-account-signing-key-file", &files.signing_key))
        .args(["--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24"])
        // Then a Service of type ExternalName is dialled as it is named, also outside of the cluster: `localhost`.
        .arg("--enable-aggregator-routing=false");
    command
}

fn controller_manager_command(program: &Path, kubeconfig: &Path, files: &Files) -> Command {
    let mut command = Command::new(program);
    command
        .args(
            ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"].map(|name| flag(name, kubeconfig)),
        )
        .arg(flag("service-account-private-key-file", &files.signing_key))
        .arg(flag("root-ca-file", &files.ca))
        .args([
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
        ])
        .arg(format!("--secure-port={}", ports::free()))
        // Namespaces and service accounts come and go with every test; the default of 20 a second would be felt.
        .args(["--kube-api-qps=200", "--kube-api-burst=400"]);
    command
}
