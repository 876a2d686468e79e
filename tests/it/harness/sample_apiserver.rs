//! `k8s.io/sample-apiserver`: what Kubernetes' own library answers, as the oracle and the peer of our server.

use std::process::Command;

use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::process::{Log, Process};
use super::{ControlPlane, Etcd, Registration, guardian, ports, programs, serving, started_once};

/// A running sample-apiserver, serving `flunders` and `fischers` in `wardle.example.com`. Dropping it kills it.
pub(crate) struct SampleApiserver {
    port: u16,
    process: Process,
    ca: String,
    _folder: TempDir,
}

impl SampleApiserver {
    /// What it serves, as it is registered: group, version, the group's priority.
    pub(crate) const VERSIONS: [(&str, &str, i32); 2] = [
        ("wardle.example.com", "v1alpha1", 1000),
        ("wardle.example.com", "v1beta1", 1000),
    ];

    /// The one on the shared control plane, registered there.
    pub(crate) async fn shared() -> &'static SampleApiserver {
        static SHARED: OnceCell<Result<SampleApiserver, String>> = OnceCell::const_new();
        let start = async || {
            let plane = ControlPlane::shared().await;
            let server = SampleApiserver::start(plane).await?;
            server.registration().apply(plane).await;
            Ok(server)
        };
        started_once("the shared sample-apiserver", &SHARED, start).await
    }

    /// Starts it on the control plane's etcd, under a prefix of its own, and waits until it is ready.
    pub(crate) async fn start(plane: &ControlPlane) -> Result<SampleApiserver, String> {
        SampleApiserver::start_on(plane, plane.etcd()).await
    }

    /// The same with its objects in another etcd than the control plane's.
    pub(crate) async fn start_on(plane: &ControlPlane, etcd: &Etcd) -> Result<SampleApiserver, String> {
        SampleApiserver::start_with(plane, etcd, &[]).await
    }

    /// The same with further flags.
    pub(crate) async fn start_with(
        plane: &ControlPlane,
        etcd: &Etcd,
        flags: &[String],
    ) -> Result<SampleApiserver, String> {
        let program = programs::find("sample-apiserver").await?;
        let folder = guardian::temporary("sample");
        let port = ports::free();
        let names = ["api.wardle.svc", "localhost", "127.0.0.1"];
        let (certificate, key) = plane.ca().serving(&names).write(folder.path(), "serving");
        let kubeconfig = plane.kubeconfig("admin");
        let mut command = Command::new(program);
        for name in ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"] {
            command.arg(format!("--{name}")).arg(&kubeconfig);
        }
        command
            .arg(format!("--etcd-servers={}", etcd.endpoint()))
            .arg(format!("--etcd-prefix=/wardle-{port}"))
            .arg(format!("--secure-port={port}"))
            .arg("--bind-address=127.0.0.1")
            .arg("--tls-cert-file")
            .arg(certificate)
            .arg("--tls-private-key-file")
            .arg(key)
            .args(flags);
        let log_name = format!("{}-sample-apiserver", plane.name());
        let process = Process::spawn(&log_name, &mut command, &Log::create(&log_name));
        serving(&process, port).await?;
        Ok(SampleApiserver {
            port,
            process,
            ca: plane.ca().pem(),
            _folder: folder,
        })
    }

    /// How it is registered.
    pub(crate) fn registration(&self) -> Registration<'_> {
        Registration {
            namespace: "wardle",
            service: "api",
            port: self.port,
            versions: &Self::VERSIONS,
            ca: Some(&self.ca),
        }
    }

    /// `https://127.0.0.1:<port>`, past the aggregator.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The process, to look at or to stop.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }
}
