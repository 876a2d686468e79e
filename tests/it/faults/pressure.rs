//! Watchers that read too slowly, and many that come back at once: bounded memory, and nobody pays for others.

use std::collections::BTreeMap;

use futures::future::join_all;
use tokio::time::Instant;

use super::growth::Seeder;
use super::read;
use super::stage::Stage;
use crate::harness::EtcdCluster;
use crate::harness::in_process::{Caller, Event, Watching};
use crate::harness::tenancy::{group, organizations};

/// Revisions that the server keeps.
const HISTORY: usize = 20;
/// Objects, each of about 20 KiB.
const OBJECTS: usize = 50;
const PADDING: usize = 20_000;
/// Clients that come back together.
const CLIENTS: usize = 200;

/// A server that keeps little history, and objects that everybody sees.
struct World {
    stage: Stage,
    seeder: Seeder,
    written: usize,
}

impl World {
    async fn new(name: &str) -> World {
        let flag = format!("--watch-history-events={HISTORY}");
        let stage = Stage::on(EtcdCluster::single(name).await, 1, &[&flag]).await;
        let seeder = Seeder::new(&stage).await;
        let mut world = World {
            stage,
            seeder,
            written: 0,
        };
        world.change().await;
        world
    }

    /// Changes all objects at one revision, which is answered.
    async fn change(&mut self) -> u64 {
        self.written += 1;
        let object = |number: usize| {
            let name = format!("p{number:03}");
            // As long, but different each time.
            let padding = PADDING + self.written % 10;
            let value = self
                .seeder
                .object(&name, number, group("system:authenticated"), padding);
            (name, value)
        };
        let objects = (0..OBJECTS).map(object).collect();
        self.seeder.write(objects).await
    }

    fn resident(&self) -> u64 {
        self.stage.servers[0].process.resident()
    }
}

fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}

/// Reads until something of `revision` has come.
async fn until(watch: &mut Watching, revision: u64) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let event = watch.event().await;
        assert_eq!(event.kind, "MODIFIED");
        assert!(event.revision() <= revision, "{} is not asked for", event.revision());
        events.push(event);
        // A revision changes all objects.
        let of_last = events.iter().rev().take_while(|event| event.revision() == revision);
        if of_last.count() == OBJECTS {
            return events;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_lags_is_cut_off_alone() {
    let mut world = World::new("lagging").await;
    let alice = world.stage.caller(0, "alice").await;
    let start = read(&alice, &organizations()).await.revision();
    let path = format!("{}?resourceVersion={start}", organizations());
    let mut lagging = alice.watch(&path).await;
    let mut other = alice.watch(&path).await;
    let before = world.resident();
    let mut largest = before;
    let mut revisions = Vec::new();
    // 100 MiB are more than sockets hold.
    for _ in 0..100 {
        let revision = world.change().await;
        revisions.push(revision);
        assert_eq!(until(&mut other, revision).await.len(), OBJECTS, "each once");
        largest = largest.max(world.resident());
    }
    println!("memory: {} MiB, at most {} MiB", mebibytes(before), mebibytes(largest));
    // The history is 20 MiB; what the slow one was not sent would be another 100.
    assert!(mebibytes(largest - before) < 150, "{} MiB", mebibytes(largest - before));

    // What the slow one got is right as far as it goes; then the stream ends, and from there nothing is left.
    let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
    let mut last = start;
    while let Ok(Some(event)) = lagging.try_next().await {
        assert_eq!(event.kind, "MODIFIED");
        assert!(event.revision() >= last, "{} after {last}", event.revision());
        last = event.revision();
        *seen.entry(last).or_default() += 1;
    }
    let told: Vec<u64> = seen.keys().copied().collect();
    assert_eq!(told, revisions[..told.len()], "a beginning without gaps");
    assert!(
        told.len() < revisions.len() - HISTORY,
        "it was cut off: {} revisions came",
        told.len()
    );
    let mut again = alice
        .watch(&format!("{}?resourceVersion={last}", organizations()))
        .await;
    let event = again.event().await;
    assert_eq!(
        (event.kind.as_str(), &event.object["code"]),
        ("ERROR", &serde_json::json!(410))
    );
    // The other one is still there.
    let revision = world.change().await;
    assert_eq!(until(&mut other, revision).await.len(), OBJECTS);
}

/// A client that has everything, and where it stands.
struct Client {
    watch: Watching,
    position: u64,
}

impl Client {
    /// With everything that there is, as an informer begins.
    async fn anew(caller: &Caller) -> Client {
        // As fresh as the server is: how fresh that must be is not what this is about.
        let query =
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0&allowWatchBookmarks=true";
        let watch = caller.watch(&format!("{}?{query}", organizations())).await;
        Client { watch, position: 0 }
    }

    /// Reads the initial events; they must be all.
    async fn initial(mut self) -> Client {
        let (names, position) = self.watch.initial().await;
        assert_eq!(names.len(), OBJECTS);
        self.position = position;
        self
    }

    /// Goes on where it was.
    async fn back(self, caller: &Caller) -> Client {
        let query = format!("resourceVersion={}&allowWatchBookmarks=true", self.position);
        let watch = caller.watch(&format!("{}?{query}", organizations())).await;
        Client { watch, ..self }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_come_back_at_once() {
    let mut world = World::new("herd").await;
    let users = ["alice", "bob", "carol", "erin"];
    let callers = join_all(users.map(|user| world.stage.caller(0, user))).await;
    let caller = |number: usize| &callers[number % callers.len()];
    for caller in &callers {
        assert_eq!(read(caller, &organizations()).await.names().len(), OBJECTS);
    }
    let before = world.resident();
    let started = Instant::now();
    let clients = join_all((0..CLIENTS).map(|number| Client::anew(caller(number)))).await;
    // All are being served, and have read nothing: what the server holds for them is what it ever will.
    let held = world.resident();
    let clients = join_all(clients.into_iter().map(Client::initial)).await;
    let after = world.resident();
    let all = (CLIENTS * OBJECTS * PADDING) as u64;
    println!(
        "{CLIENTS} clients have {} MiB together after {:?}; memory: {} MiB before, {} MiB while they waited, {} MiB after",
        mebibytes(all),
        started.elapsed(),
        mebibytes(before),
        mebibytes(held),
        mebibytes(after)
    );
    for now in [held, after] {
        assert!(now < before + all / 3, "memory grows with clients × objects");
    }

    // The server is killed, and all of them come back together.
    let server = &world.stage.servers[0].process;
    server.kill();
    server.restart().await;
    let started = Instant::now();
    let numbered = clients.into_iter().enumerate();
    let back = join_all(numbered.map(|(number, client)| client.back(caller(number)))).await;
    println!("all are back after {:?}", started.elapsed());
    // Nothing was written meanwhile, so that the server, which knows nothing older, lets everybody go on.
    let revision = world.change().await;
    let told = back
        .into_iter()
        .map(|mut client| async move { until(&mut client.watch, revision).await.len() });
    for count in join_all(told).await {
        assert_eq!(count, OBJECTS, "everybody is told of each change once");
    }
    println!("memory after the restart: {} MiB", mebibytes(world.resident()));
}
