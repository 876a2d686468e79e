//! Two keepers, to one of which everything belongs.

use std::process::Command;
use std::time::Duration;

use super::{NAMESPACE, WEBHOOK, object};
use crate::harness::ControlPlane;
use crate::harness::process::{Log, Process};

pub(super) struct Keepers {
    running: Vec<(Process, Log)>,
    flags: Vec<String>,
    started: usize,
    pub(super) killed: usize,
}

impl Keepers {
    /// For which every certificate ends soon, with further flags.
    pub(super) fn two(plane: &ControlPlane, flags: &[&str]) -> Keepers {
        let mut keepers = Keepers {
            running: Vec::new(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            started: 0,
            killed: 0,
        };
        keepers.start(plane);
        keepers.start(plane);
        keepers
    }

    fn start(&mut self, plane: &ControlPlane) {
        let name = format!("rotation-keeper-{}", self.started);
        self.started += 1;
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
        command
            .args(["certs", "bootstrap", "--keep", "--interval=1s"])
            .arg(format!("--validating-webhook={WEBHOOK}"))
            .arg(format!("--mutating-webhook={WEBHOOK}"))
            .args(["--lifetime=8760h", "--renew-before=8759h59m50s"])
            .args(&self.flags)
            .arg("--kubeconfig")
            .arg(plane.kubeconfig("admin"));
        let log = Log::create(&name);
        self.running.push((Process::spawn(&name, &mut command, &log), log));
    }

    /// Kills the one that holds the lease, and starts another. Whether one of them held it.
    pub(super) async fn kill_leader(&mut self, plane: &ControlPlane) -> bool {
        let lease = object(&plane.kubectl("admin"), &["lease", "bulward-certs", "-n", NAMESPACE]).await;
        let Some(holder) = lease["spec"]["holderIdentity"]
            .as_str()
            .filter(|holder| !holder.is_empty())
        else {
            return false;
        };
        let leads = |(_, log): &(Process, Log)| log.text().contains(holder);
        let Some(leader) = self.running.iter().position(leads) else {
            return false;
        };
        self.running.remove(leader).0.kill();
        self.killed += 1;
        self.start(plane);
        true
    }

    pub(super) async fn end(&self) {
        for (process, _) in &self.running {
            process.signal("TERM");
        }
        for (process, _) in &self.running {
            process.wait(Duration::from_secs(60)).await.unwrap();
        }
    }
}
