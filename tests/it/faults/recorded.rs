//! The model checker on real servers: what many callers saw while processes died and lines broke.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bulward::storage::Storage;
use bulward::storage::etcd::{Config, Etcd};
use tokio::time::Instant;

use super::random::Schedule;
use super::stage::{PREFIX, Stage};
use super::{SOON, rounds, seed};
use crate::harness::eventually;
use crate::harness::in_process::Caller;
use crate::history::check::verify;
use crate::history::drive::{self, Fleet, Plan};
use crate::history::record::Who;
use crate::history::recorder::Recorder;

/// What a round records; a trouble comes every so often.
const EVENTS: usize = 6_000;
const BETWEEN: usize = 1_500;
/// Somebody whose answer takes longer goes on: the server may be cut off.
const PATIENCE: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v01_to_v10_hold_in_what_is_recorded_under_random_troubles() {
    let started = Instant::now();
    let mut schedule = Schedule::new();
    let stage = Stage::start("recorded", 2, &[]).await;
    let storage = own_way(&stage).await;
    let mut recorder = Recorder::new(drive::people(), storage.clone(), vec![None; stage.servers.len()]).await;
    recorder.patience = PATIENCE;
    let recorder = Arc::new(recorder);
    let callers = callers(&stage, &recorder.who).await;
    let connect = |replica: usize, who: &Who| callers[&(replica, who.name.clone())].clone();
    let fleet = Fleet {
        replicas: stage.servers.len(),
        connect: &connect,
    };
    let events = EVENTS * rounds(1);
    let plan = Plan {
        seed: seed(),
        events,
        writers: 3,
        readers: 1,
        watchers: 40,
    };
    // What has not been recorded yet must stay in the store.
    let forget = async || {
        let reached = recorder.truth.reached();
        eventually("etcd takes the compaction", SOON, async || {
            storage.compact(reached).await
        })
        .await;
    };
    let troubles = async {
        let mut count = 0;
        while recorder.count() + BETWEEN < events {
            let goal = recorder.count() + BETWEEN;
            while recorder.count() < goal {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let what = schedule.trouble(&stage, forget).await;
            println!("{:>4} s: {what}", started.elapsed().as_secs());
            count += 1;
        }
        count
    };
    let ((), troubles) = tokio::join!(drive::drive(&recorder, &fleet, plan), troubles);
    let unanswered = recorder.unanswered();
    let history = recorder.finish().await;
    println!(
        "{} recorded under {troubles} troubles in {:.1?}, {} writes, {} watches, {unanswered} without an answer",
        history.len(),
        started.elapsed(),
        history.writes.len(),
        history.watches.len()
    );
    assert!(troubles > 0, "there was trouble");
    verify(&history, &format!("BULWARD_FAULTS_SEED={}", seed()));
}

/// A way to the store that no trouble is made of, but those of its members.
async fn own_way(stage: &Stage) -> Arc<dyn Storage> {
    let config = Config {
        endpoints: stage.etcd.endpoints(),
        prefix: PREFIX.to_owned(),
        ..Config::default()
    };
    Arc::new(Etcd::connect(config).await.expect("etcd answers"))
}

/// Everybody at every server.
async fn callers(stage: &Stage, people: &[Who]) -> HashMap<(usize, String), Caller> {
    let mut callers = HashMap::new();
    for (number, server) in stage.servers.iter().enumerate() {
        for who in people {
            // Everybody who has an identity is in the last one.
            let own: Vec<&str> = who.groups[..who.groups.len() - 1].iter().map(String::as_str).collect();
            let caller = server.process.introduced(stage.plane, &who.name, &own).await;
            callers.insert((number, who.name.clone()), caller);
        }
    }
    callers
}
