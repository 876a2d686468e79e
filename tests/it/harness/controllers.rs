//! `bulward controller-manager` as a process, under the service account and the roles that our manifests give it.

use std::process::Command;
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;

use super::bulward::override_flags;
use super::process::{Log, Process};
use super::{ControlPlane, guardian, pki, ports, serving};

/// Where and what our manifests call it.
const NAMESPACE: &str = "bulward-system";
const ACCOUNT: &str = "bulward-controller-manager";

/// A running controller manager. Dropping it kills it.
pub(crate) struct Controllers {
    name: String,
    args: Vec<String>,
    port: u16,
    log: Log,
    process: Mutex<Option<Process>>,
    _folder: TempDir,
}

impl Controllers {
    /// Starts one on a plane on which a server of ours has been started: that has applied the manifests.
    pub(crate) async fn start(plane: &ControlPlane, flags: &[&str]) -> Controllers {
        let folder = guardian::temporary("controllers");
        let admin = plane.kubectl("admin");
        let token = admin.run(["create", "token", ACCOUNT, "-n", NAMESPACE]).await.ok();
        let kubeconfig = folder.path().join("kubeconfig");
        pki::token_kubeconfig(&kubeconfig, plane.server(), &plane.ca().pem(), Some(token.trim()));
        let port = ports::free();
        let mut args = vec![
            "controller-manager".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--secure-port={port}"),
            format!("--cert-dir={}", folder.path().join("certificates").display()),
            "--v=4".to_owned(),
        ];
        override_flags(&mut args, flags);
        let name = format!("{}-controllers-{port}", plane.name());
        let controllers = Controllers {
            log: Log::create(&name),
            name,
            args,
            port,
            process: Mutex::new(None),
            _folder: folder,
        };
        controllers.restart().await;
        controllers
    }

    /// Kills it if it runs, starts it again with the same arguments, and waits until it answers.
    pub(crate) async fn restart(&self) {
        self.kill();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
        command.args(&self.args);
        let process = Process::spawn(&self.name, &mut command, &self.log);
        let ready = serving(&process, self.port).await;
        *self.process.lock() = Some(process);
        ready.unwrap_or_else(|why| panic!("{why}"));
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&self) {
        drop(self.process.lock().take());
    }

    /// SIGTERM, and waits until it has ended.
    pub(crate) async fn stop(&self, deadline: Duration) -> std::process::ExitStatus {
        self.process
            .lock()
            .as_ref()
            .expect("a process that runs")
            .signal("TERM");
        self.ended(deadline).await
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&self, deadline: Duration) -> std::process::ExitStatus {
        let process = self.process.lock().take().expect("a process that runs");
        let ended = process.wait(deadline).await;
        ended.unwrap_or_else(|why| panic!("{why}; {}", self.log.tail()))
    }

    /// Everything it has logged.
    pub(crate) fn logged(&self) -> String {
        self.log.text()
    }

    /// What `/metrics` answers.
    pub(crate) async fn metrics(&self) -> Result<String, String> {
        let url = format!("https://127.0.0.1:{}", self.port).parse().expect("a URL");
        let mut config = kube::Config::new(url);
        config.accept_invalid_certs = true;
        let client = kube::Client::try_from(config).map_err(|e| e.to_string())?;
        let request = http::Request::get("/metrics").body(Vec::new()).expect("a request");
        client.request_text(request).await.map_err(|e| e.to_string())
    }

    /// The sum of a metric's samples whose line begins so, such as `workqueue_adds_total{name="project"}`.
    pub(crate) async fn metric(&self, begins: &str) -> Result<f64, String> {
        let text = self.metrics().await?;
        let samples = text.lines().filter(|line| line.starts_with(begins));
        Ok(samples
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }
}
