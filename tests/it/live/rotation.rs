//! Certificates and authorities are exchanged under a running installation, while clients ask through the aggregator and
//! directly: ours by two keepers at once, of which the one that acts is killed in the middle; the cluster's by kube-apiserver.
//! Nothing really ends: "soon" begins right after a certificate is made, so that an exchange takes the time of its steps alone.

mod fronts;
mod judge;
mod load;
mod told;

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use self::fronts::Fronts;
use self::load::Load;
use self::told::Told;
use super::install::{NAMESPACE, SERVICES};
use super::object;
use crate::harness::kubelet::Kubelet;
use crate::harness::process::{Log, Process};
use crate::harness::{ControlPlane, eventually};

/// How long one exchange may take when others use the machine: etcd's members start again twice, and a lease has to end.
const EXCHANGE: Duration = Duration::from_secs(400);
/// How often: the suite does without it, since it takes minutes.
const EXCHANGES: &str = "BULWARD_EXCHANGES";
/// Both webhook configurations that lead to us.
pub(super) const WEBHOOK: &str = "rotation.bulward.io";

/// They are asked about nothing that there is.
fn webhooks() -> [Value; 2] {
    ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"].map(|kind| {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": WEBHOOK},
            "webhooks": [{
                "name": WEBHOOK,
                "clientConfig": {"service": {"namespace": NAMESPACE, "name": "bulward-apiserver", "path": "/nothing"}},
                "rules": [{
                    "apiGroups": ["nothing.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"],
                    "resources": ["nothings"],
                }],
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
            }],
        })
    })
}

/// Two keepers, to one of which everything belongs.
struct Keepers {
    running: Vec<(Process, Log)>,
    started: usize,
    killed: usize,
}

impl Keepers {
    /// For which everything ends soon: what the Deployment's made lasts a year, and ten.
    fn start(&mut self, plane: &ControlPlane) {
        let name = format!("rotation-keeper-{}", self.started);
        self.started += 1;
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
        command
            .args(["certs", "bootstrap", "--keep", "--interval=1s", "--settle=15s"])
            .arg(format!("--validating-webhook={WEBHOOK}"))
            .arg(format!("--mutating-webhook={WEBHOOK}"))
            .args(["--lifetime=8760h", "--renew-before=8759h59m50s"])
            .args(["--authority-lifetime=87600h", "--authority-renew-before=87599h59m50s"])
            .arg("--kubeconfig")
            .arg(plane.kubeconfig("admin"));
        let log = Log::create(&name);
        self.running.push((Process::spawn(&name, &mut command, &log), log));
    }

    /// Kills the one that holds the lease, and starts another. Whether one of them held it.
    async fn kill_leader(&mut self, plane: &ControlPlane) -> bool {
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

    async fn end(&self) {
        for (process, _) in &self.running {
            process.signal("TERM");
        }
        for (process, _) in &self.running {
            process.wait(Duration::from_secs(60)).await.unwrap();
        }
    }
}

/// What a Secret with authorities says of their exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Alone,
    /// The next one is trusted, and does not sign yet.
    Announced,
    /// It signs, and the one before is trusted still.
    Promoted,
}

async fn scale(plane: &ControlPlane, replicas: usize) {
    let replicas = format!("--replicas={replicas}");
    let scale = ["scale", "deployment/bulward-certs", &replicas, "-n", NAMESPACE];
    plane.kubectl("admin").run(scale).await.ok();
}

/// Until so many authorities were followed by another. In the middle of each whoever works on it dies: early the first time, late the
/// second.
async fn ours(plane: &ControlPlane, told: &Told, keepers: &mut Keepers, exchanges: usize) {
    for exchange in 0..exchanges {
        let middle = if exchange % 2 == 0 {
            Phase::Announced
        } else {
            Phase::Promoted
        };
        let mut killed = false;
        let done = async || {
            if !killed && told.phase() == middle {
                killed = keepers.kill_leader(plane).await;
            }
            let state = told.state();
            if killed && told.retired() > exchange {
                Ok(())
            } else {
                Err(state)
            }
        };
        eventually("another authority has taken over", EXCHANGE, done).await;
    }
}

/// How often an authority is to be exchanged; not at all when nobody says.
pub(super) fn exchanges() -> usize {
    std::env::var(EXCHANGES).map_or(0, |count| count.parse().expect("a number of exchanges"))
}

/// The Deployment's keepers are sent away, and come back when all is over.
pub(super) async fn rotate(plane: &ControlPlane, kubelet: &Kubelet, exchanges: usize) {
    scale(plane, 0).await;
    plane.apply(&webhooks()).await;
    let told = Told::follow(plane).await;
    let mut fronts = Fronts::new(plane, kubelet).await;
    let load = Load::start(plane, &fronts).await;
    let begun = tokio::time::Instant::now();

    let mut keepers = Keepers {
        running: Vec::new(),
        started: 0,
        killed: 0,
    };
    keepers.start(plane);
    keepers.start(plane);
    {
        let mut ours = std::pin::pin!(ours(plane, &told, &mut keepers, exchanges));
        // The cluster's change meanwhile, as long as ours do.
        let mut going = true;
        while going {
            let mut cluster = std::pin::pin!(fronts.exchange(plane, &load));
            tokio::select! {
                () = &mut cluster => {}
                () = &mut ours => {
                    cluster.await;
                    going = false;
                }
            }
        }
    }
    keepers.end().await;
    // What is there at the end is whole: the Deployment's keepers finish it.
    scale(plane, 2).await;
    let admin = plane.kubectl("admin");
    let whole = async || {
        let bundle = told.bundle();
        for name in SERVICES {
            let service = object(&admin, &["apiservice", name]).await;
            if service["spec"]["caBundle"] != bundle {
                return Err(format!("{name} trusts others"));
            }
        }
        told.leaves_by_the_first()
    };
    eventually("all is by the new authority", EXCHANGE, whole).await;
    load.advance().await;
    let took = begun.elapsed().as_secs();
    eprintln!(
        "exchanged under load in {took} s: {}, {} keepers killed",
        told.figures(),
        keepers.killed
    );
    eprintln!(
        "the cluster's, by kube-apiserver: {} client and front-proxy authorities each",
        fronts.exchanges
    );
    told.end();
    load.end().await;
    keepers.running.clear();
}
