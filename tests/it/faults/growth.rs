//! A server that starts on a store which is large already, while others write and history goes away.

use std::collections::BTreeMap;

use etcd_client::{Client, GetOptions, Txn, TxnOp};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::follower::items;
use super::stage::{Server, Stage};
use super::{SOON, merge, read, watch};
use crate::harness::in_process::Caller;
use crate::harness::tenancy::{organization, organizations, stored, user};
use crate::harness::{EtcdCluster, eventually};

/// Objects in the store.
fn objects() -> usize {
    let given = std::env::var("BULWARD_FAULTS_OBJECTS").ok();
    given.map_or(10_000, |text| text.parse().expect("BULWARD_FAULTS_OBJECTS is a number"))
}

/// Writes objects straight into etcd, past every server.
pub(super) struct Seeder {
    etcd: Client,
    template: Value,
}

impl Seeder {
    /// Learns from an object that a server has written what a stored one looks like.
    pub(super) async fn new(stage: &Stage) -> Seeder {
        stage.populate(["template".to_owned()].into_iter(), "dave").await;
        let mut etcd = Client::connect(stage.etcd.endpoints(), None).await.unwrap();
        let got = etcd.get("/faults/organizations/template", None).await.unwrap();
        let template = serde_json::from_slice(got.kvs()[0].value()).unwrap();
        Seeder { etcd, template }
    }

    /// An object's bytes.
    pub(super) fn object(&self, name: &str, number: usize, owner: Value, padding: usize) -> Vec<u8> {
        let mut object = self.template.clone();
        object["metadata"]["name"] = json!(name);
        object["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{number:012}"));
        object["metadata"]["annotations"] = json!({"padding": "x".repeat(padding)});
        object["spec"]["owners"] = json!([owner]);
        object.to_string().into_bytes()
    }

    /// One transaction: all at one revision.
    pub(super) async fn write(&mut self, objects: Vec<(String, Vec<u8>)>) -> u64 {
        let puts = objects
            .into_iter()
            .map(|(name, bytes)| TxnOp::put(format!("/faults/organizations/{name}"), bytes, None));
        let answer = self
            .etcd
            .txn(Txn::new().and_then(puts.collect::<Vec<_>>()))
            .await
            .unwrap();
        u64::try_from(answer.header().unwrap().revision()).unwrap()
    }

    /// What etcd holds: names with revisions.
    async fn stored(&mut self) -> BTreeMap<String, u64> {
        let options = GetOptions::new().with_prefix().with_keys_only();
        let got = self.etcd.get("/faults/organizations/", Some(options)).await.unwrap();
        let pair = |kv: &etcd_client::KeyValue| {
            let key = kv
                .key_str()
                .unwrap()
                .trim_start_matches("/faults/organizations/")
                .to_owned();
            (key, u64::try_from(kv.mod_revision()).unwrap())
        };
        got.kvs().iter().map(pair).collect()
    }
}

/// Labels objects until told to stop; how many writes were acknowledged.
async fn label_all(admin: Caller, mut stop: tokio::sync::oneshot::Receiver<()>) -> usize {
    let (mut turn, mut done) = (0, 0);
    while stop.try_recv().is_err() {
        let path = stored(&organization(&format!("g{:06}", turn * 37 % objects())));
        let change = json!({"metadata": {"labels": {"turn": turn.to_string()}}});
        let answer = admin.merge(&path, &change).await;
        turn += 1;
        done += usize::from(answer.code == 200);
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_store_is_read_at_one_revision_while_others_write() {
    let stage = Stage::on(EtcdCluster::single("growth").await, 1, &[]).await;
    let mut seeder = Seeder::new(&stage).await;
    let mut bytes = 0;
    let numbers: Vec<usize> = (0..objects()).collect();
    for chunk in numbers.chunks(100) {
        let object = |number: &usize| {
            // Every hundredth is alice's.
            let owner = if number.is_multiple_of(100) { "alice" } else { "dave" };
            let name = format!("g{number:06}");
            let value = seeder.object(&name, *number, user(owner), 0);
            (name, value)
        };
        let objects: Vec<_> = chunk.iter().map(object).collect();
        bytes += objects.iter().map(|(_, value)| value.len() as u64).sum::<u64>();
        seeder.write(objects).await;
    }
    let admin = &stage.admins().await[0];
    let last = organization(&format!("g{:06}", objects() - 1));
    eventually("the running server has everything", SOON, async || {
        match admin.get(&stored(&last)).await.code {
            200 => Ok(()),
            code => Err(code),
        }
    })
    .await;

    let (stop, stopped) = tokio::sync::oneshot::channel();
    let writing = tokio::spawn(label_all(admin.clone(), stopped));
    let lines = Server::lines_to(&stage.etcd).await;
    // In the middle of its reading nothing comes any more, and when it does, that revision is gone.
    let started = Instant::now();
    lines[0].silence_after(bytes / 3);
    let line = lines[0].clone();
    let interfere = async {
        line.silent().await;
        // Whatever the others manage meanwhile: the revision that is read is not the newest any more.
        let further = seeder.object("further", objects(), user("dave"), 0);
        seeder.write(vec![("further".to_owned(), further)]).await;
        stage.etcd.compact().await;
        line.mend();
    };
    let (server, ()) = tokio::join!(Server::behind(stage.plane, lines, &[]), interfere);
    println!(
        "{} objects, {} KiB: ready after {:?}",
        objects(),
        bytes >> 10,
        started.elapsed()
    );
    let logged = server.process.logged();
    assert!(
        logged.contains("history was compacted away") || logged.contains("following the storage failed"),
        "nothing interfered: {logged}"
    );

    let alice = server.process.caller(stage.plane, "alice", &[]).await;
    // Now that it is up to date, it is so at once.
    read(&alice, &organizations()).await.expect(200);
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=0";
    let mut watch = watch(&alice, &format!("{}?{query}", organizations())).await;
    let (names, at) = watch.initial().await;
    let expected: Vec<String> = (0..objects())
        .step_by(100)
        .map(|number| format!("g{number:06}"))
        .collect();
    assert_eq!(names, expected);
    stop.send(()).unwrap();
    let writes = writing.await.unwrap();
    assert!(writes > 0);

    // What the new server lists is what etcd holds, with the same revisions; nothing of the writes meanwhile was lost.
    let own = server.process.caller(stage.plane, "admin", &["system:masters"]).await;
    let truth = seeder.stored().await;
    let list = read(&own, &stored(&organizations())).await;
    assert_eq!(list.code, 200, "{}", list.text());
    assert!(
        items(&list) == truth,
        "{} listed, {} stored",
        items(&list).len(),
        truth.len()
    );
    // And what alice's watch has told since the beginning comes to the same.
    let mut seen: BTreeMap<String, u64> = names.into_iter().map(|name| (name, 0)).collect();
    let marker = "g000000";
    let change = json!({"metadata": {"labels": {"last": "yes"}}});
    let last = merge(admin, &stored(&organization(marker)), &change).await;
    let last = (last.expect(200), last.revision()).1;
    let mut newest = at;
    while newest < last {
        let event = watch.event().await;
        if event.kind != "BOOKMARK" {
            assert_eq!(event.kind, "MODIFIED");
            assert!(event.revision() > newest, "twice, or out of order");
            seen.insert(event.key(), event.revision());
        }
        newest = event.revision();
    }
    let truth = seeder.stored().await;
    for (name, revision) in seen {
        let stored = truth[&name];
        assert!(
            revision == stored || revision == 0 && stored <= at,
            "{name}: {revision}, but {stored} is stored"
        );
    }
    println!("{writes} writes meanwhile");
}
