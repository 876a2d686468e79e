//! Killed in the middle of writing: nothing that was acknowledged is lost, and everybody comes back by themselves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use http::Request;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::{FILTERED, SOON, ask, get, organization};
use crate::harness::{Bulward, ControlPlane, Etcd, Informer, Watched, eventually};

/// Creates Organizations one after the other until told to stop; what was acknowledged is kept.
struct Writers {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    /// Half of them write through the aggregator if the server is `registered`, the others directly.
    async fn start(plane: &ControlPlane, server: &Bulward, registered: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::<Mutex<BTreeSet<String>>>::default();
        let mut tasks = Vec::new();
        for number in 0..4 {
            let client = if registered && number % 2 == 0 {
                plane.client("alice").await
            } else {
                plane
                    .client_past_aggregator(&server.url(), &plane.ca().client("alice", &[]))
                    .await
            };
            let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
            tasks.push(tokio::spawn(async move {
                let mut serial = 0;
                while !stop.load(Ordering::Relaxed) {
                    let name = format!("w{number}-{serial}");
                    let request =
                        Request::post(format!("{FILTERED}/organizations")).header("content-type", "application/json");
                    let answer = ask(&client, request, &organization(&name, &["alice"]).to_string()).await;
                    match answer {
                        Ok(answer) if answer.code == 201 => {
                            acknowledged.lock().insert(name);
                            serial += 1;
                        }
                        // Whether it was stored is unknown: the next name is a new one.
                        _ => {
                            serial += 1;
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                }
            }));
        }
        Self {
            stop,
            acknowledged,
            tasks,
        }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().len()
    }

    async fn reach(&self, count: usize) {
        let enough = async || {
            if self.count() >= count {
                Ok(())
            } else {
                Err(self.count())
            }
        };
        eventually("enough was written", SOON, enough).await;
    }

    async fn finish(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.acknowledged.lock().clone()
    }
}

/// Everything that was acknowledged is listed, once.
async fn all_there(plane: &ControlPlane, server: &Bulward, acknowledged: &BTreeSet<String>) {
    let client = plane
        .client_past_aggregator(&server.url(), &plane.ca().client("alice", &[]))
        .await;
    let check = async || {
        let answer = get(&client, &format!("{FILTERED}/organizations")).await;
        if answer.code != 200 {
            return Err(format!("{answer:?}"));
        }
        let list = answer.json();
        let items = list["items"].as_array().unwrap().iter();
        let names: Vec<String> = items
            .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        let unique: BTreeSet<String> = names.iter().cloned().collect();
        assert_eq!(unique.len(), names.len(), "twice in one list");
        let lost: Vec<&String> = acknowledged.difference(&unique).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        Ok(())
    };
    eventually("everything is there", SOON, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_our_server_is_killed() {
    let plane = ControlPlane::start("killed-server").await;
    let server = Bulward::start(&plane, &[]).await;
    server.register(&plane).await;
    let mut informers = Vec::new();
    for watch_list in [true, false] {
        let watched = Watched {
            resource: "apiserver.bulward.io/v1alpha1/organizations",
            namespace: "",
            watch_list,
        };
        let mut informer = Informer::start(&format!("killed-{watch_list}"), &plane.kubeconfig("alice"), watched).await;
        informer.synced(SOON).await;
        informers.push(informer);
    }
    let writers = Writers::start(&plane, &server, true).await;
    for round in 1..=3 {
        writers.reach(round * 40).await;
        server.kill();
        server.restart().await;
    }
    writers.reach(160).await;
    let acknowledged = writers.finish().await;
    all_there(&plane, &server, &acknowledged).await;
    for informer in &mut informers {
        let mut known: BTreeSet<String> = informer.seen().into_iter().map(|event| event.name).collect();
        while let Some(missing) = acknowledged.iter().find(|name| !known.contains(*name)) {
            let event = informer.wait_for(missing, SOON, |_| true).await;
            known.insert(event.name);
        }
        let gone: Vec<_> = informer
            .seen()
            .into_iter()
            .filter(|event| event.kind == "DELETE")
            .collect();
        assert!(gone.is_empty(), "nothing was deleted: {gone:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_etcd_is_killed() {
    let plane = ControlPlane::shared().await;
    let etcd = Etcd::start_durable("killed").await.unwrap();
    let server = Bulward::start(plane, &[&format!("--etcd-servers={}", etcd.endpoint())]).await;
    let client = plane
        .client_past_aggregator(&server.url(), &plane.ca().client("alice", &[]))
        .await;
    let path = format!("{FILTERED}/organizations?watch=true&resourceVersion=0");
    let watch = client
        .send(Request::get(path).body(Vec::new().into()).unwrap())
        .await
        .unwrap();
    let writers = Writers::start(plane, &server, false).await;
    for round in 1..=3 {
        writers.reach(round * 40).await;
        etcd.kill();
        // A read that must be fresh says so and when to come back; it never hangs.
        let away = async || {
            let started = tokio::time::Instant::now();
            let answer = get(&client, &format!("{FILTERED}/organizations")).await;
            assert!(started.elapsed() < Duration::from_secs(30), "a read hangs");
            if matches!(answer.code, 503 | 504) && answer.header("retry-after") == "1" {
                Ok(())
            } else {
                Err(format!("{answer:?}"))
            }
        };
        eventually("reads are refused while etcd is away", SOON, away).await;
        // What need not be fresh is served.
        assert_eq!(
            get(&client, &format!("{FILTERED}/organizations?resourceVersion=0"))
                .await
                .code,
            200
        );
        // What etcd said last holds for a second.
        let told = async || {
            let answer = get(&client, "/readyz?verbose").await;
            let failed = answer.code == 500 && answer.text.contains("[-]etcd failed");
            if failed { Ok(()) } else { Err(format!("{answer:?}")) }
        };
        eventually("it says that etcd is away", SOON, told).await;
        etcd.restart().await.unwrap();
    }
    writers.reach(writers.count() + 20).await;
    let acknowledged = writers.finish().await;
    all_there(plane, &server, &acknowledged).await;
    // The watch was open all the time: it tells of everything, or says that it cannot.
    let mut text = String::new();
    let mut body = watch.into_body().into_data_stream();
    let told = async {
        while let Some(frame) = body.next().await {
            text.push_str(&String::from_utf8_lossy(&frame.unwrap()));
            let expired = text.contains(r#""code":410"#);
            if expired
                || acknowledged
                    .iter()
                    .all(|name| text.contains(&format!(r#""name":"{name}""#)))
            {
                return;
            }
        }
        panic!("the watch ended without a word");
    };
    let told = tokio::time::timeout(SOON, told).await;
    told.expect("the watch goes on when etcd is back");
}
