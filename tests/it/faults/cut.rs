//! A server that cannot reach etcd, and does not learn so: its lines swallow everything without a word.

use std::time::Duration;

use http::Method;
use tokio::time::Instant;

use super::members::{BOUND, refuses_what_cannot_be_fresh};
use super::stage::Stage;
use super::{SOON, rounds};
use crate::harness::eventually;
use crate::harness::in_process::Caller;
use crate::harness::tenancy::{an_organization, as_stored, organizations, stored, user};

/// How long the lines are silent: once so that the server notices a dead connection, which takes 9 s, as the last
/// request within this time takes 5; once so that everything goes on as if nothing had been.
const SILENT: [Duration; 2] = [Duration::from_secs(6), Duration::from_millis(500)];
/// In the long form.
const LONG: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(30)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_cut_off_refuses_and_catches_up() {
    let stage = Stage::start("cut", 2, &["--watch-history-events=5000"]).await;
    let followers = stage.followers().await;
    for follower in &followers {
        follower.begun().await;
    }
    let alice = stage.caller(0, "alice").await;
    let admins = stage.admins().await;
    // Its watch stays open all the time.
    let mut open = alice
        .watch(&format!("{}?allowWatchBookmarks=true", organizations()))
        .await;
    let lengths = if rounds(1) > 1 { LONG } else { SILENT };
    // Once with the history compacted meanwhile, once without.
    for (length, compacted) in lengths.into_iter().zip([true, false]) {
        let writers = stage.writers(4).await;
        writers.advance(40).await;
        let server = &stage.servers[0];
        server.silence();
        let end = Instant::now() + length;
        let mut slowest = Duration::ZERO;
        let mut refused = 0;
        while refused == 0 || Instant::now() < end {
            let read = refuses_what_cannot_be_fresh(&alice);
            let write = refuses_a_write(&admins[0], format!("unknown-{compacted}-{refused}"));
            let (read, write) = tokio::join!(read, write);
            slowest = slowest.max(read).max(write);
            refused += 1;
        }
        // Meanwhile the other one serves, and history goes away.
        writers.advance(40).await;
        if compacted {
            stage.etcd.compact().await;
        }
        println!("silent for {length:?}: {refused} reads and writes refused, the slowest after {slowest:?}");
        server.mend();
        let mended = Instant::now();
        let fresh = eventually("the server answers again", SOON, async || {
            let answer = alice.attempt(Method::GET, &organizations(), &[], "").await?;
            if answer.code == 200 {
                Ok(answer.revision())
            } else {
                Err(answer.text())
            }
        })
        .await;
        println!(
            "fresh again {:?} after the line was mended, at {fresh}",
            mended.elapsed()
        );
        writers.advance(40).await;
        let ledger = writers.finish().await;
        ledger.holds(&admins).await;
        stage.converged(&followers, "after the silence").await;
        if compacted {
            // The watch that was open says that it cannot go on, and how.
            loop {
                let event = open.event().await;
                if event.kind == "ERROR" {
                    assert_eq!(event.object["code"], 410, "{}", event.object);
                    break;
                }
            }
            open = alice
                .watch(&format!("{}?allowWatchBookmarks=true", organizations()))
                .await;
        }
    }
    // And this one has gone on: it tells of something that was written after all of it.
    let name = "the-last";
    stage.populate([name.to_owned()].into_iter(), "alice").await;
    while open.event().await.key() != name {}
}

/// A write gets no answer from etcd: whether it came about is unknown. The time that it took to say so.
async fn refuses_a_write(admin: &Caller, name: String) -> Duration {
    let started = Instant::now();
    let body = as_stored(an_organization(&name, &[user("alice")]));
    let answer = admin.post(&stored(&organizations()), &body).await;
    assert!(matches!(answer.code, 503 | 504), "{}: {}", answer.code, answer.text());
    assert!(started.elapsed() < BOUND, "a write hangs");
    started.elapsed()
}

/// One line of three falls silent, the one in use: the server moves to another member by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_silent_member_is_left_for_another() {
    let stage = Stage::start("one-silent", 1, &[]).await;
    let alice = stage.caller(0, "alice").await;
    let followers = stage.followers().await;
    let writers = stage.writers(2).await;
    let server = &stage.servers[0];
    for round in 0..rounds(1) {
        writers.advance(20).await;
        let line = &server.lines[round % server.lines.len()];
        line.silence();
        let started = Instant::now();
        let mut refused = 0;
        // Until everything works for a while: reads, writes, and the watch below.
        let mut longest = Duration::ZERO;
        let mut good = 0;
        while good < 20 {
            let asked = Instant::now();
            let answer = alice.get(&organizations()).await;
            longest = longest.max(asked.elapsed());
            match answer.code {
                200 => good += 1,
                503 | 504 => {
                    refused += 1;
                    good = 0;
                }
                code => panic!("{code}: {}", answer.text()),
            }
            assert!(started.elapsed() < SOON, "{refused} reads refused, and no end");
        }
        writers.advance(10).await;
        println!(
            "line {round}: fresh reads again after {:?}, {refused} refused, the longest took {longest:?}",
            started.elapsed()
        );
        line.mend();
    }
    let ledger = writers.finish().await;
    ledger.holds(&stage.admins().await).await;
    stage.converged(&followers, "after silent members").await;
}
