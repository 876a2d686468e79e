//! V2: a list holds everything that was committed anywhere before it was asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bulward::storage::Storage;
use serde_json::json;

use crate::harness::in_process::{InProcess, Opened, each_storage};
use crate::harness::tenancy::{World, all_projects, organization, organizations, user};

const ROUNDS: usize = 200;

/// Keeps writing keys that are none of ours.
struct Foreigner {
    stop: Arc<AtomicBool>,
    task: Option<tokio::task::JoinHandle<usize>>,
}

impl Foreigner {
    fn start(storage: Arc<dyn Storage>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut written = 0;
            while !stopped.load(Ordering::Relaxed) {
                let key = format!("foreign/{}", written % 50);
                let op = bulward::storage::Op {
                    key,
                    expect: bulward::storage::Expect::Any,
                    change: bulward::storage::Change::Put(format!("{written}").into()),
                };
                storage.commit(vec![op]).await.expect("a foreign write");
                written += 1;
            }
            written
        });
        Self { stop, task: Some(task) }
    }

    async fn stop(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.task.take().expect("it runs").await.expect("no panic")
    }
}

/// A write through one replica is in the next list of the other, 200 times, without a pause.
async fn read_your_writes(world: &World) {
    let other = InProcess::start(world.opened().again().await).await;
    let (writer, reader) = (world.user("alice"), other.user("alice", &[]));
    let mut expected = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("o{round:03}");
        let body = crate::harness::tenancy::an_organization(&name, &[user("alice")]);
        let created = writer.post(&organizations(), &body).await;
        created.expect(201);
        expected.push(name.clone());
        let list = reader.get(&organizations()).await;
        assert_eq!(list.names(), expected, "round {round}");
        assert!(list.revision() >= created.revision(), "round {round}");
        // GET, and what changed, too; and what is gone is gone.
        let label = json!({"metadata": {"labels": {"round": round.to_string()}}});
        writer.merge(&organization(&name), &label).await.expect(200);
        let got = reader.get(&organization(&name)).await.expect(200);
        assert_eq!(got["metadata"]["labels"]["round"], round.to_string());
        if round % 4 == 3 {
            writer.delete(&organization(&name)).await.expect(200);
            reader.get(&organization(&name)).await.refused(404, "NotFound");
            expected.pop();
        }
    }
}

async fn v02_a_write_is_in_the_next_list_of_another_replica(opened: Opened) {
    read_your_writes(&World::new(opened).await).await;
}
each_storage!(v02_a_write_is_in_the_next_list_of_another_replica, memory, embedded);

/// The same while somebody else's keys move etcd's revision all the time.
async fn v02_and_foreign_keys_do_not_disturb(opened: Opened) {
    let world = World::new(opened).await;
    let foreigner = Foreigner::start(world.opened().foreign().await);
    read_your_writes(&world).await;
    let written = foreigner.stop().await;
    assert!(written > ROUNDS, "only {written} foreign writes");
}
each_storage!(v02_and_foreign_keys_do_not_disturb, etcd);

/// The list's resourceVersion is the newest revision of the store, also when the list is empty, and also when the last
/// write was somebody else's.
async fn v02_the_list_tells_the_newest_revision(opened: Opened) {
    let world = World::new(opened).await;
    let nobody = world.user("nobody");
    for name in ["a", "b", "c"] {
        let created = world.organization(name, &[user("alice")]).await;
        let list = nobody.get(&organizations()).await;
        assert_eq!(list.expect(200)["items"], json!([]));
        let text = created["metadata"]["resourceVersion"].as_str().unwrap();
        assert!(list.revision() >= text.parse().unwrap());
        assert!(nobody.get(&all_projects()).await.revision() >= list.revision());
    }
}
each_storage!(v02_the_list_tells_the_newest_revision);

/// Foreign writes alone move what a list answers; nobody has to write here.
async fn v02_foreign_writes_are_waited_for(opened: Opened) {
    let world = World::new(opened).await;
    let foreign = world.opened().foreign().await;
    let alice = world.user("alice");
    for round in 0..20 {
        let revision = foreign.create(&format!("foreign/{round}"), "x".into()).await.unwrap();
        let list = alice.get(&organizations()).await;
        assert!(list.revision() >= revision, "round {round}");
    }
}
each_storage!(v02_foreign_writes_are_waited_for, etcd);

/// `resourceVersion=0` answers at once from whatever there is; NotOlderThan waits for the revision.
async fn v02_resource_version_follows_kubernetes(opened: Opened) {
    let world = World::new(opened).await;
    let other = InProcess::start(world.opened().again().await).await;
    let reader = other.user("alice", &[]);
    for round in 0..20 {
        let name = format!("o{round:02}");
        let created = world.organization(&name, &[user("alice")]).await;
        let revision = created["metadata"]["resourceVersion"].as_str().unwrap();
        for query in [
            format!("resourceVersion={revision}"),
            format!("resourceVersion={revision}&resourceVersionMatch=NotOlderThan"),
        ] {
            let list = reader.get(&format!("{}?{query}", organizations())).await;
            assert_eq!(list.names().len(), round + 1, "{query}");
        }
        let got = reader
            .get(&format!("{}?resourceVersion={revision}", organization(&name)))
            .await;
        assert_eq!(got.expect(200)["metadata"]["resourceVersion"], revision);
        let any = reader.get(&format!("{}?resourceVersion=0", organizations())).await;
        assert_eq!(any.names().len(), round + 1, "it has been here already");
    }
}
each_storage!(v02_resource_version_follows_kubernetes);
