//! From a grant to the watcher who sees the object from then on, one at a time, beside one write to etcd.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::{Instant, sleep};

use crate::client::{Ask, Connection, Watch};
use crate::objects::{GUEST, OWNER, name};
use crate::raw::Raw;
use crate::settings::Settings;
use crate::stage::Stage;

/// The system is idle for so long between two measurements.
const PAUSE: Duration = Duration::from_millis(2);
/// The first ones are thrown away.
const WARM_UP: usize = 20;

/// How long each took, sorted.
pub(crate) struct Results {
    /// The transaction of a create, in etcd.
    pub(crate) raw: Vec<Duration>,
    /// From sending the grant to reading ADDED, on each server.
    pub(crate) grants: Vec<Vec<Duration>>,
}

/// Measures them in turns.
pub(crate) async fn run(stage: &Stage, settings: &Settings) -> Results {
    let mut raw = Raw::connections(&stage.etcd.endpoint(), 1).await.remove(0);
    let value = Bytes::from(vec![b'x'; settings.bytes - settings.bytes.min(100)]);
    let peers = stage.peers();
    let mut open = Vec::new();
    for peer in &peers {
        let owner = peer.connector.connect(OWNER.0, OWNER.1).await;
        let mut guest = peer.connector.connect(GUEST, OWNER.1).await;
        let watch = guest
            .watch(&format!("{}?watch=true{}", peer.collection, peer.guests))
            .await;
        open.push((owner, watch));
    }
    let mut results = Results {
        raw: Vec::new(),
        grants: vec![Vec::new(); peers.len()],
    };
    for number in 0..settings.objects.min(settings.grants + WARM_UP) {
        let started = Instant::now();
        raw.create(format!("/raw/grants/{number:07}"), value.clone()).await;
        let wrote = started.elapsed();
        if number >= WARM_UP {
            results.raw.push(wrote);
        }
        sleep(PAUSE).await;
        for (at, peer) in peers.iter().enumerate() {
            let (owner, watch) = &mut open[at];
            let path = format!("{}/{}", peer.collection, name(number));
            let took = grant(owner, watch, path, (peer.grant)(GUEST), &name(number)).await;
            if number >= WARM_UP {
                results.grants[at].push(took);
            }
            sleep(PAUSE).await;
        }
    }
    for times in results.grants.iter_mut().chain([&mut results.raw]) {
        times.sort_unstable();
    }
    for (peer, times) in peers.iter().zip(&results.grants) {
        eprintln!(
            "grant: {}: p50 {:?}, p99 {:?}",
            peer.name,
            load_at(times, 50),
            load_at(times, 99)
        );
    }
    eprintln!(
        "grant: one write: p50 {:?}, p99 {:?}",
        load_at(&results.raw, 50),
        load_at(&results.raw, 99)
    );
    results
}

use crate::load::at as load_at;

async fn grant(owner: &mut Connection, watch: &mut Watch, path: String, patch: String, name: &str) -> Duration {
    let sent = Instant::now();
    let (answer, took) = tokio::join!(owner.text(Ask::merge(path, patch)), async {
        let line = watch.line().await;
        let took = sent.elapsed();
        let line = String::from_utf8_lossy(&line);
        assert!(line.starts_with(r#"{"type":"ADDED""#) && line.contains(name), "{line}");
        took
    });
    assert_eq!(answer.0, StatusCode::OK, "{}", answer.1);
    took
}
