//! One etcd process on loopback.

use std::process::Command;
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;

use super::process::{Log, Process};
use super::{STARTUP, guardian, ports, programs};

/// An etcd with one member and without TLS. Dropping it kills it and removes its data.
pub(crate) struct Etcd {
    name: String,
    program: std::path::PathBuf,
    port: u16,
    peer_port: u16,
    /// Whether it waits for the disk.
    durable: bool,
    data: TempDir,
    log: Log,
    process: Mutex<Option<Process>>,
}

impl Etcd {
    /// Starts an etcd and waits until it answers. `name` names its log: `target/it-logs/<name>-etcd.log`.
    pub(crate) async fn start(name: &str) -> Result<Etcd, String> {
        Etcd::start_as(name, false).await
    }

    /// One that acknowledges only what is on the disk, as in production; its data is below `target/`.
    pub(crate) async fn start_durable(name: &str) -> Result<Etcd, String> {
        Etcd::start_as(name, true).await
    }

    async fn start_as(name: &str, durable: bool) -> Result<Etcd, String> {
        let data = if durable {
            guardian::on_disk("etcd")
        } else {
            guardian::temporary("etcd")
        };
        let etcd = Etcd {
            name: format!("{name}-etcd"),
            program: programs::find("etcd").await?,
            port: ports::free(),
            peer_port: ports::free(),
            durable,
            data,
            log: Log::create(&format!("{name}-etcd")),
            process: Mutex::new(None),
        };
        etcd.restart().await?;
        Ok(etcd)
    }

    /// The client URL.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&self) {
        // Taken out first: dropping a process kills it.
        drop(self.process.lock().take());
    }

    /// Kills it if it runs, starts it again on the same data and port, and waits until it answers.
    pub(crate) async fn restart(&self) -> Result<(), String> {
        self.kill();
        let (client, peer) = (self.endpoint(), format!("http://127.0.0.1:{}", self.peer_port));
        let mut command = Command::new(&self.program);
        command
            .arg("--data-dir")
            .arg(self.data.path())
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")])
            .args(["--log-level", "warn"]);
        if self.durable {
            // The largest that etcd recommends; a million objects take more than the default of 2 GiB.
            command.arg("--quota-backend-bytes=8589934592");
        } else {
            // SIGKILL loses nothing that was handed to the kernel; only the machine's power could.
            command.arg("--unsafe-no-fsync");
        }
        *self.process.lock() = Some(Process::spawn(&self.name, &mut command, &self.log));
        self.answers().await
    }

    async fn answers(&self) -> Result<(), String> {
        let end = tokio::time::Instant::now() + STARTUP;
        loop {
            let ended = self.process.lock().as_ref().and_then(Process::ended);
            if let Some(status) = ended {
                return Err(format!("{} ended with {status}; {}", self.name, self.log.tail()));
            }
            let options = etcd_client::ConnectOptions::new()
                .with_connect_timeout(Duration::from_secs(2))
                .with_timeout(Duration::from_secs(2));
            let state = match etcd_client::Client::connect([self.endpoint()], Some(options)).await {
                // A read goes through the leader, thus it answers only when the member can serve.
                Ok(mut client) => match client.get("readiness", None).await {
                    Ok(_) => return Ok(()),
                    Err(error) => error.to_string(),
                },
                Err(error) => error.to_string(),
            };
            if tokio::time::Instant::now() >= end {
                return Err(format!(
                    "{} did not answer within {STARTUP:?}: {state}; {}",
                    self.name,
                    self.log.tail()
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
