//! Certificates and authorities are exchanged under a running installation, while clients ask through the aggregator and
//! directly: ours by two keepers at once, of which the one that acts is killed in the middle; the cluster's by kube-apiserver.
//! Nothing really ends: "soon" begins right after a certificate is made, so that an exchange takes the time of its steps alone.
//!
//! [`rotate_serving`] is in every test run: one exchange of what the API servers show, with etcd left alone. [`rotate`] exchanges all there
//! is, and takes minutes.

mod fronts;
pub(super) mod judge;
mod keepers;
mod load;
mod told;

use std::time::Duration;

use serde_json::{Value, json};

use self::fronts::Fronts;
use self::keepers::Keepers;
use self::load::Load;
use self::told::Told;
use super::install::{NAMESPACE, SERVICES};
use super::{SOON, object};
use crate::harness::kubelet::Kubelet;
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

/// Until so many authorities were followed by another. In the middle of the last exchange whoever works on it dies.
async fn exchange(plane: &ControlPlane, told: &Told, keepers: &mut Keepers, count: usize, middle: impl Fn() -> bool) {
    let mut killed = false;
    let done = async || {
        if !killed && middle() {
            killed = keepers.kill_leader(plane).await;
        }
        let state = told.state();
        if killed && told.retired() >= count {
            Ok(())
        } else {
            Err(state)
        }
    };
    eventually("another authority has taken over", EXCHANGE, done).await;
}

/// How often an authority is to be exchanged; not at all when nobody says.
pub(super) fn exchanges() -> usize {
    std::env::var(EXCHANGES).map_or(0, |count| count.parse().expect("a number of exchanges"))
}

/// The Deployment's keepers are sent away, and come back when all is over.
pub(super) async fn rotate(plane: &ControlPlane, kubelet: &Kubelet, exchanges: usize) {
    scale(plane, 0).await;
    plane.apply(&webhooks()).await;
    let told = Told::follow(plane, &judge::ALL).await;
    let mut fronts = Fronts::new(plane, kubelet).await;
    let load = Load::start(plane, &fronts).await;
    let begun = tokio::time::Instant::now();

    // "Soon" is ten seconds after a certificate or an authority was made; the Deployment's last a year, and ten.
    let flags = [
        "--settle=15s",
        "--authority-lifetime=87600h",
        "--authority-renew-before=87599h59m50s",
    ];
    let mut keepers = Keepers::two(plane, &flags);
    {
        let ours = async {
            for count in 1..=exchanges {
                // Early the first time, late the second.
                let middle = [Phase::Promoted, Phase::Announced][count % 2];
                exchange(plane, &told, &mut keepers, count, || told.phase() == middle).await;
            }
        };
        let mut ours = std::pin::pin!(ours);
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
    eventually("all is by the new authority", EXCHANGE, async || {
        whole(plane, &told).await
    })
    .await;
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
}

/// Whether everybody trusts just the authorities that there are, and the one that signs has signed everything.
async fn whole(plane: &ControlPlane, told: &Told) -> Result<(), String> {
    let bundle = told.bundle();
    for name in SERVICES {
        let service = object(&plane.kubectl("admin"), &["apiservice", name]).await;
        if service["spec"]["caBundle"] != bundle {
            return Err(format!("{name} trusts others"));
        }
    }
    told.leaves_by_the_first()
}

/// One exchange of our authority with an etcd that is somebody else's, so that nothing starts again: one keeper dies between the second step
/// and the third, the other goes on. All is asked meanwhile, and no request fails.
pub(super) async fn rotate_serving(plane: &ControlPlane, kubelet: &Kubelet) {
    scale(plane, 0).await;
    plane.apply(&webhooks()).await;
    let told = Told::follow(plane, &[judge::SERVING]).await;
    let fronts = Fronts::new(plane, kubelet).await;
    let load = Load::start(plane, &fronts).await;
    let begun = tokio::time::Instant::now();

    // The authority that is there has never as long left as is asked for, and its successor has for a year: there is one exchange.
    let flags = [
        "--external-etcd",
        "--settle=10s",
        "--authority-lifetime=96360h",
        "--authority-renew-before=87600h1m",
    ];
    let mut keepers = Keepers::two(plane, &flags);
    // The API servers have the time of a lease and of `--settle` to take up what has been signed by then.
    let signed = || told.phase() == Phase::Promoted && told.leaves_by_the_first().is_ok();
    exchange(plane, &told, &mut keepers, 1, signed).await;
    let all = async || {
        whole(plane, &told).await?;
        told.webhooks_trust_the_same()
    };
    eventually("all is by the new authority", SOON, all).await;
    load.advance().await;
    keepers.end().await;
    let took = begun.elapsed().as_secs();
    eprintln!(
        "exchanged under load in {took} s: {}, one keeper killed",
        told.figures()
    );
    assert_eq!((told.retired(), keepers.killed), (1, 1));
    told.end();
    load.end().await;
    scale(plane, 2).await;
}
