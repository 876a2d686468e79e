//! What one server has acknowledged is in the next read of the other, with nothing in between (visibility rule V2).

use std::collections::BTreeSet;

use serde_json::json;

use super::stage::Stage;
use super::{create, merge, read, rounds, watch};
use crate::harness::tenancy;
use crate::harness::tenancy::{group, organization, organizations, stored, user};

/// Grants and revocations, in turns through one server and the other.
const ROUNDS: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_through_one_server_is_in_the_next_read_of_the_other() {
    let stage = Stage::start("freshness", 2, &[]).await;
    let (admins, alices) = (stage.admins().await, stage.callers("alice").await);
    stage.populate((0..5).map(|n| format!("o{n}")), "dave").await;
    let list = read(&alices[0], &organizations()).await;
    assert_eq!(list.names(), Vec::<String>::new());
    let mut before = list.revision();
    let mut watches = Vec::new();
    for alice in &alices {
        watches.push(watch(alice, &format!("{}?resourceVersion={before}", organizations())).await);
    }
    for round in 0..rounds(1) * ROUNDS {
        let (writer, reader) = (&admins[round % 2], &alices[(round + 1) % 2]);
        // Five are granted, then the same five are taken away.
        let name = format!("o{}", round % 5);
        let granted = round / 5 % 2 == 0;
        // Through the user or a group of hers, which every user has.
        let subject = if round % 3 == 0 {
            group("system:authenticated")
        } else {
            user("alice")
        };
        let members = if granted { vec![subject] } else { Vec::new() };
        let path = format!("{}/status", stored(&organization(&name)));
        let written = merge(writer, &path, &json!({"status": {"members": members}})).await;
        written.expect(200);

        // The three ways to read take turns in being the first.
        for way in 0..3 {
            match (round + way) % 3 {
                0 => {
                    let list = read(reader, &organizations()).await;
                    assert_eq!(list.names().contains(&name), granted, "round {round}: {}", list.text());
                    assert!(list.revision() >= written.revision(), "round {round}");
                }
                1 => {
                    let got = read(reader, &organization(&name)).await;
                    assert_eq!(
                        got.code,
                        if granted { 200 } else { 404 },
                        "round {round}: {}",
                        got.text()
                    );
                }
                _ => {
                    let query = format!("{}?resourceVersion={before}", organizations());
                    let event = watch(reader, &query).await.event().await;
                    let expected = if granted { "ADDED" } else { "DELETED" };
                    assert_eq!(
                        (event.kind.as_str(), event.key()),
                        (expected, name.clone()),
                        "round {round}"
                    );
                    assert_eq!(event.revision(), written.revision(), "round {round}");
                }
            }
        }
        before = written.revision();
        for watch in &mut watches {
            watch.expect(if granted { "ADDED" } else { "DELETED" }, &name).await;
        }
    }
}

/// The same while other keys of the cluster change all the time, and one member after the other is killed: a read may
/// then be refused, but is never old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_never_older_than_an_acknowledged_write_whoever_dies() {
    let stage = Stage::start("never-old", 2, &[]).await;
    let (admins, alices) = (stage.admins().await, stage.callers("alice").await);
    let members = stage.etcd.size();
    let mut refused = 0;
    let mut answered = 0;
    for round in 0..rounds(1) * 30 {
        let victim = round / 10 % members;
        match round % 10 {
            2 => stage.etcd.kill(victim),
            7 => stage.etcd.restart(victim).await,
            _ => {}
        }
        let name = format!("o{round}");
        let body = tenancy::as_stored(tenancy::an_organization(&name, &[user("alice")]));
        let writer = &admins[round % 2];
        let made = create(writer, &stored(&organizations()), &body).await;
        // Of one that is there already only the name is compared below, and the revision is not known.
        let made = if made.code == 201 { made.revision() } else { 0 };
        let reader = &alices[(round + 1) % 2];
        let answer = reader.get(&organizations()).await;
        match answer.code {
            200 => {
                answered += 1;
                assert!(
                    answer.names().contains(&name),
                    "round {round}: {name} is not in {}",
                    answer.text()
                );
                assert!(answer.revision() >= made, "round {round}");
            }
            503 | 504 => refused += 1,
            code => panic!("round {round}: {code} {}", answer.text()),
        }
    }
    println!("{answered} fresh lists, {refused} refused");
    let all: BTreeSet<String> = (0..rounds(1) * 30).map(|round| format!("o{round}")).collect();
    for alice in &alices {
        let list = read(alice, &organizations()).await;
        assert_eq!(list.names().into_iter().collect::<BTreeSet<_>>(), all);
    }
}
