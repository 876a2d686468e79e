//! Requests for as long as it is let: whatever is not answered as it should be is a failure. The machine's slowness is none.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use http::Request;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DynamicObject, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use parking_lot::{Mutex, RwLock};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::fronts::Fronts;
use crate::harness::ControlPlane;
use crate::harness::pki::{Pair, encode};
use crate::live::install::NAMESPACE;
use crate::live::{Answer, FILTERED, SOON, ask};

/// What is asked for; alice owns it.
const INSTALLED: &str = "installed";
/// The annotation in which a writer counts.
const COUNT: &str = "rotation.example.com/count";
/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(30);
/// How often a request is tried (client-go rest/with_retry.go), and what Retry-After says.
const REPEATS: usize = 10;
const AGAIN: Duration = Duration::from_secs(1);
/// Answers that every client has had when everything asked before has been answered.
const BETWEEN: usize = 2;

/// One kind of requests.
struct Tally {
    what: String,
    done: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

pub(super) struct Load {
    stop: Arc<AtomicBool>,
    /// Nothing is written any more.
    over: Arc<AtomicBool>,
    tallies: Vec<Arc<Tally>>,
    tasks: Vec<JoinHandle<()>>,
    watches: Vec<JoinHandle<Vec<u64>>>,
    written: Arc<Mutex<Vec<u64>>>,
    /// Requests that were repeated, and why: 503 with Retry-After, upon which client-go and kubectl do the same.
    repeated: Arc<Repeated>,
    /// Connections that were tried again: the client had read the authorities before they were exchanged.
    outdated: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Repeated(Mutex<Vec<String>>);

impl Repeated {
    /// Asks until the answer is another one than 503 with Retry-After: a member of etcd is starting again, or has no time.
    async fn ask<A>(&self, what: &str, mut ask: impl FnMut() -> A) -> Result<Answer, String>
    where
        A: Future<Output = Result<Answer, String>>,
    {
        for _ in 1..REPEATS {
            let answer = ask().await?;
            if answer.code != 503 || answer.header("retry-after").is_empty() {
                return Ok(answer);
            }
            self.0.lock().push(format!("{what}: {}", answer.message()));
            tokio::time::sleep(AGAIN).await;
        }
        ask().await
    }
}

fn path() -> String {
    format!("{FILTERED}/organizations/{INSTALLED}")
}

fn good(answer: Result<Answer, String>) -> Result<(), String> {
    let answer = answer?;
    if answer.code == 200 && answer.json()["metadata"]["name"] == INSTALLED {
        Ok(())
    } else {
        Err(format!("{answer:?}"))
    }
}

/// A client past the aggregator that trusts `bundle`, and shows `pair`.
pub(super) async fn direct(port: u16, bundle: &str, pair: &Pair) -> Client {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "tls-server-name": "bulward-apiserver.bulward-system.svc",
            "certificate-authority-data": encode(bundle),
        }}],
        "users": [{"name": "it", "user": {
            "client-certificate-data": encode(&pair.certificate), "client-key-data": encode(&pair.key),
        }}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    });
    let config = Kubeconfig::from_yaml(&config.to_string()).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
        .await
        .unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// The authorities that a client of ours is to trust, as it would read them.
pub(super) async fn bundle(admin: &Client) -> String {
    let secrets: Api<Secret> = Api::namespaced(admin.clone(), NAMESPACE);
    let secret = secrets.get("bulward-ca").await.unwrap();
    String::from_utf8(secret.data.unwrap()["ca.crt"].0.clone()).unwrap()
}

/// One request on a connection of its own.
pub(super) async fn once(port: u16, bundle: &str, pair: &Pair, front: bool) -> Result<Answer, String> {
    let client = direct(port, bundle, pair).await;
    let mut request = Request::get(path());
    if front {
        request = request
            .header("X-Remote-User", "alice")
            .header("X-Remote-Group", "system:authenticated");
    }
    ask(&client, request, "").await
}

impl Load {
    pub(super) async fn start(plane: &ControlPlane, fronts: &Fronts) -> Load {
        let mut load = Load {
            stop: Arc::default(),
            over: Arc::default(),
            tallies: Vec::new(),
            tasks: Vec::new(),
            watches: Vec::new(),
            written: Arc::default(),
            repeated: Arc::default(),
            outdated: Arc::default(),
        };
        let alice = plane.client("alice").await;
        load.watch(alice.clone()).await;
        let (reader, repeated) = (alice.clone(), load.repeated.clone());
        load.go("reads through the aggregator", move || {
            let (client, repeated) = (reader.clone(), repeated.clone());
            async move {
                let read = || ask(&client, Request::get(path()), "");
                good(repeated.ask("read", read).await)
            }
        });
        let (written, next) = (load.written.clone(), Arc::new(AtomicUsize::new(1)));
        let repeated = load.repeated.clone();
        load.go("writes through the aggregator", move || {
            let (client, written, repeated) = (alice.clone(), written.clone(), repeated.clone());
            let count = next.fetch_add(1, Ordering::Relaxed) as u64;
            async move {
                let patch = json!({"metadata": {"annotations": {COUNT: count.to_string()}}}).to_string();
                let write = || {
                    let request = Request::patch(path()).header("Content-Type", "application/merge-patch+json");
                    ask(&client, request, &patch)
                };
                good(repeated.ask("write", write).await)?;
                written.lock().push(count);
                Ok(())
            }
        });
        let admin = plane.client("admin").await;
        for port in fronts.ports {
            load.direct(port, &admin, &fronts.client, false);
            load.direct(port, &admin, &fronts.front, true);
        }
        load
    }

    fn direct(&mut self, port: u16, admin: &Client, pair: &Arc<RwLock<Pair>>, front: bool) {
        let (admin, pair) = (admin.clone(), pair.clone());
        let (outdated, repeated) = (self.outdated.clone(), self.repeated.clone());
        let what = if front {
            "as the front proxy"
        } else {
            "with a client certificate"
        };
        self.go(&format!("direct {what}, each on its own connection"), move || {
            let (admin, pair) = (admin.clone(), pair.clone());
            let (outdated, repeated) = (outdated.clone(), repeated.clone());
            async move {
                loop {
                    let trusted = bundle(&admin).await;
                    let shown = pair.read().clone();
                    let answer = repeated.ask("read", || once(port, &trusted, &shown, front)).await;
                    // A client that was slower than two steps of the keeper has to read them again.
                    let refused = answer.as_ref().is_err_and(|why| why.contains("certificate"));
                    if refused && bundle(&admin).await != trusted {
                        outdated.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    return good(answer);
                }
            }
        });
    }

    fn go<F, A>(&mut self, what: &str, mut request: F)
    where
        F: FnMut() -> A + Send + 'static,
        A: Future<Output = Result<(), String>> + Send,
    {
        let tally = Arc::new(Tally {
            what: what.to_owned(),
            done: AtomicUsize::new(0),
            failures: Mutex::default(),
        });
        self.tallies.push(tally.clone());
        let stop = self.stop.clone();
        self.tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if let Err(why) = request().await {
                    let at = jiff::Timestamp::now();
                    tally.failures.lock().push(format!("{at}: {why}"));
                }
                tally.done.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        }));
    }

    /// One watch, and no second one: it has to last until the last write.
    async fn watch(&mut self, client: Client) {
        let kind = GroupVersionKind::gvk("apiserver.bulward.io", "v1alpha1", "Organization");
        let api: Api<DynamicObject> = Api::all_with(client, &ApiResource::from_gvk_with_plural(&kind, "organizations"));
        let version = api.get(INSTALLED).await.unwrap().metadata.resource_version.unwrap();
        let params = WatchParams::default().fields("metadata.name=installed").timeout(290);
        let (stop, written) = (self.over.clone(), self.written.clone());
        self.watches.push(tokio::spawn(async move {
            let (mut seen, mut version) = (Vec::new(), version);
            let over = |seen: &Vec<u64>| stop.load(Ordering::Relaxed) && seen.last() >= written.lock().last();
            loop {
                let mut events = pin!(api.watch(&params, &version).await.unwrap());
                loop {
                    if over(&seen) {
                        return seen;
                    }
                    let event = match tokio::time::timeout(PAUSE, events.try_next()).await {
                        Err(_) => continue,
                        Ok(event) => event.unwrap(),
                    };
                    match event {
                        Some(WatchEvent::Modified(object)) => {
                            let count = object.metadata.annotations.as_ref().and_then(|all| all.get(COUNT));
                            seen.extend(count.map(|count| count.parse::<u64>().unwrap()));
                            version = object.metadata.resource_version.unwrap();
                        }
                        Some(WatchEvent::Bookmark(_)) => {}
                        Some(other) => panic!("{other:?}"),
                        // After its time.
                        None => break,
                    }
                }
            }
        }));
    }

    /// Until every request of before has been answered.
    pub(super) async fn advance(&self) {
        let before: Vec<usize> = self
            .tallies
            .iter()
            .map(|tally| tally.done.load(Ordering::Relaxed))
            .collect();
        let on = async || {
            let mut behind = self
                .tallies
                .iter()
                .zip(&before)
                .filter(|(tally, before)| tally.done.load(Ordering::Relaxed) < *before + BETWEEN);
            behind.next().map_or(Ok(()), |(tally, _)| Err(tally.what.clone()))
        };
        crate::harness::eventually("every client is answered", SOON * 2, on).await;
    }

    /// Nothing was lost.
    pub(super) async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.over.store(true, Ordering::Relaxed);
        let (mut done, mut failures) = (0, Vec::new());
        for tally in &self.tallies {
            let (count, failed) = (tally.done.load(Ordering::Relaxed), tally.failures.lock().clone());
            eprintln!("{}: {count} requests, {} failed", tally.what, failed.len());
            for why in &failed {
                eprintln!("  {}", why.chars().take(600).collect::<String>());
            }
            done += count;
            failures.extend(failed.into_iter().map(|why| format!("{}: {why}", tally.what)));
        }
        let written = self.written.lock().clone();
        for watch in self.watches {
            let mut seen = tokio::time::timeout(SOON, watch)
                .await
                .expect("the watch goes on")
                .unwrap();
            // Controllers write as well.
            seen.dedup();
            let lost: Vec<_> = written.iter().filter(|count| !seen.contains(count)).collect();
            assert!(lost.is_empty(), "the watch missed {lost:?} of {}", written.len());
            eprintln!(
                "a watch through the aggregator: {} writes seen, none missed",
                seen.len()
            );
        }
        let repeated = self.repeated.0.lock();
        eprintln!(
            "{} requests repeated after 503 with Retry-After: {repeated:?}",
            repeated.len()
        );
        eprintln!(
            "{done} requests, {} failed; {} connections by clients with authorities of before were tried again",
            failures.len(),
            self.outdated.load(Ordering::Relaxed)
        );
        assert!(
            failures.is_empty(),
            "{} of {done} failed: {:#?}",
            failures.len(),
            &failures[..failures.len().min(8)]
        );
        assert!(self.tallies.iter().all(|tally| tally.done.load(Ordering::Relaxed) > 20));
    }
}

/// Of a test that looks at the answer.
pub(super) fn refused(answer: Result<Answer, String>) -> Result<(), Value> {
    match answer {
        Ok(answer) if answer.code == 401 => Ok(()),
        other => Err(json!(format!("{other:?}"))),
    }
}

/// Of a test that waits for it.
pub(super) fn accepted(answer: Result<Answer, String>) -> Result<(), String> {
    good(answer)
}
