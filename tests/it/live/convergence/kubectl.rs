//! `kubectl get --watch`, started again whenever it ends, as people do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::picture::{Follower, Picture, compare, known};
use crate::harness::{Kubectl, programs};

/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(24 * 3600);
/// Between two starts, so that a server that is away is not besieged.
const PAUSE: Duration = Duration::from_millis(500);

/// A watching kubectl. Dropping it kills it.
pub(super) struct Watching {
    picture: Arc<Mutex<Picture>>,
    running: JoinHandle<()>,
}

impl Watching {
    /// Watches `resource` in every namespace through `kubeconfig`.
    pub(super) async fn start(kubeconfig: &Path, resource: &str) -> Watching {
        let program = programs::find("kubectl").await.unwrap_or_else(|e| panic!("{e}"));
        let kubectl = Kubectl::new(&program, kubeconfig);
        let picture = Arc::<Mutex<Picture>>::default();
        let (seen, resource) = (picture.clone(), resource.to_owned());
        let running = tokio::spawn(async move {
            let watch = ["get", &resource, "-A", "--watch", "--output-watch-events", "-o", "json"];
            loop {
                let mut running = kubectl.spawn(watch);
                seen.lock().clear();
                while let Ok(line) = running.stdout.next(Instant::now() + FOREVER).await {
                    if !hear(&mut seen.lock(), &line) {
                        break;
                    }
                }
                drop(running);
                tokio::time::sleep(PAUSE).await;
            }
        });
        Watching { picture, running }
    }

    /// To be compared with lists at `path`.
    pub(super) fn follower(&self, user: &'static str, path: &'static str) -> Follower {
        let (picture, running) = (self.picture.clone(), self.running.abort_handle());
        Follower {
            name: format!("kubectl get --watch of {path}"),
            user,
            path,
            check: Box::new(move |listed| {
                assert!(!running.is_finished(), "what kubectl printed cannot be read");
                compare(&picture.lock(), &listed.picture)
            }),
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// `false` for the event that ends a watch for good.
fn hear(picture: &mut Picture, line: &str) -> bool {
    let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("kubectl printed {line:?}: {e}"));
    let (key, known) = known(&event["object"]);
    match event["type"].as_str() {
        Some("ADDED" | "MODIFIED") => {
            picture.insert(key, known);
        }
        Some("DELETED") => {
            picture.remove(&key);
        }
        Some("ERROR") => return false,
        other => panic!("kubectl printed an event of type {other:?}: {line}"),
    }
    true
}
