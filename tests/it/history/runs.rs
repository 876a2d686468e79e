//! Three replicas over each storage, in this process: one remembers all, one little, one is cut off now and then while the
//! store is compacted.

use std::sync::Arc;
use std::time::Duration;

use bulward::watchcache::log::Bounds;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::check::verify;
use super::drive::{self, Fleet, Plan};
use super::line::Line;
use super::record::{End, History, Listed, Who};
use super::recorder::Recorder;
use crate::harness::in_process::{Caller, InProcess, Opened, Settings, each_storage};

/// A third of what the default run has to come to.
const EVENTS: usize = 16_700;
/// What the forgetful replica remembers.
const LITTLE: usize = 60;
const MUCH: usize = 1_000_000;

/// A bound of the long form, or a seed.
fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs, and says in a line what that was.
pub(super) async fn run(opened: &Opened, events: usize, seed: u64) -> History {
    println!("BULWARD_HISTORY_SEED={seed}");
    let plan = Plan {
        seed,
        events,
        writers: 3,
        readers: 1,
        watchers: 100,
    };
    let recorder = Recorder::new(
        drive::people(),
        opened.again().await,
        vec![Some(MUCH), Some(LITTLE), None],
    );
    let recorder = Arc::new(recorder.await);
    let line = Arc::new(Line::new(opened.again().await));
    let with = |entries| Settings {
        history: Bounds {
            age: Duration::from_secs(24 * 3600),
            entries,
            bytes: 4 << 30,
        },
        ..Settings::default()
    };
    let servers = [
        InProcess::with(opened.storage.clone(), with(MUCH)).await,
        InProcess::with(opened.again().await, with(LITTLE)).await,
        InProcess::with(line.clone(), with(MUCH)).await,
    ];
    let connect = |replica: usize, who: &Who| connect(&servers[replica], who);
    let fleet = Fleet {
        replicas: servers.len(),
        connect: &connect,
    };
    let over = CancellationToken::new();
    let cutting = tokio::spawn(cut(recorder.clone(), line, opened.again().await, over.clone()));
    let began = Instant::now();
    drive::drive(&recorder, &fleet, plan).await;
    over.cancel();
    cutting.await.expect("the line is mended");
    let (took, unanswered) = (began.elapsed(), recorder.unanswered());
    let history = recorder.finish().await;
    let expired = history
        .watches
        .iter()
        .filter(|watch| matches!(watch.end, End::Expired { .. }));
    let refused = history
        .lists
        .iter()
        .filter(|list| matches!(list.listed, Listed::Expired { .. }));
    let expired = expired.count() + refused.count();
    let watched: usize = history.watches.iter().map(|watch| watch.events.len()).sum();
    println!(
        "{} recorded in {took:.1?} ({watched} events of {} watches, {} lists and pages, {} single reads, {} writes, \
         {expired} told 410, {unanswered} without an answer); {} revisions",
        history.len(),
        history.watches.len(),
        history.lists.len(),
        history.looks.len(),
        history.writes.len(),
        history.truth.len()
    );
    history
}

/// With a certificate where the groups fit into one, else through the front proxy.
fn connect(server: &InProcess, who: &Who) -> Caller {
    let own: Vec<&str> = who.groups.iter().map(String::as_str).collect();
    let own = &own[..own.len() - 1];
    if own.len() <= 2 && !who.name.contains(':') {
        server.user(&who.name, own)
    } else {
        server.introduced(&who.name, own)
    }
}

/// Cuts the line, compacts what has happened meanwhile, and mends it: again and again.
async fn cut(
    recorder: Arc<Recorder>,
    line: Arc<Line>,
    storage: Arc<dyn bulward::storage::Storage>,
    over: CancellationToken,
) {
    let more = async |count: usize, at_most: Duration| {
        let goal = recorder.count() + count;
        let reached = async {
            while recorder.count() < goal {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = over.run_until_cancelled(tokio::time::timeout(at_most, reached)).await;
    };
    while !over.is_cancelled() {
        more(3_000, Duration::from_secs(60)).await;
        line.cut();
        more(300, Duration::from_secs(1)).await;
        storage
            .compact(recorder.truth.reached())
            .await
            .expect("what has been seen can be compacted");
        line.mend();
    }
}

/// `BULWARD_HISTORY_SEED` replays, `BULWARD_HISTORY_EVENTS` is how much is to happen on all three storages together.
async fn v01_to_v10_hold_under_churn(opened: Opened) {
    let seed = given("BULWARD_HISTORY_SEED").unwrap_or_else(rand::random);
    let events = given("BULWARD_HISTORY_EVENTS").and_then(|events| usize::try_from(events / 3).ok());
    let history = run(&opened, events.unwrap_or(EVENTS), seed).await;
    let began = Instant::now();
    verify(&history, &format!("BULWARD_HISTORY_SEED={seed}"));
    println!("judged in {:.1?}", began.elapsed());
}
each_storage!(v01_to_v10_hold_under_churn, memory, embedded, etcd_alone);
