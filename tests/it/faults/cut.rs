//! A server that cannot reach etcd, and does not learn so: its lines swallow everything without a word.

use std::time::Duration;

use http::Method;
use tokio::time::Instant;

use super::members::refuses_what_cannot_be_fresh;
use super::stage::{Server, Stage};
use super::{SOON, create, read, rounds, watch};
use crate::harness::in_process::Caller;
use crate::harness::tenancy::{an_organization, as_stored, organizations, stored, user};
use crate::harness::{Proxy, eventually};

/// How long the lines are silent at least. In any case until something has been refused, which takes 5 s: by then the
/// server has given up its watch of etcd, too, which asks for a sign of life and gets none.
const SILENT: [Duration; 2] = [Duration::ZERO; 2];
/// In the long form.
const LONG: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(30)];
/// Reads past a silent watch, of which one must be answered in time.
const TRIES: usize = 5;

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
    let mut open = watch(&alice, &format!("{}?allowWatchBookmarks=true", organizations())).await;
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
            open = watch(&alice, &format!("{}?allowWatchBookmarks=true", organizations())).await;
        }
    }
    // And this one has gone on: it tells of something that was written after all of it.
    let name = "the-last";
    stage.populate([name.to_owned()].into_iter(), "alice").await;
    while open.event().await.key() != name {}
}

/// A write gets no answer from etcd: whether it came about is unknown. The time that it took to say so; the caller panics
/// when it hangs.
async fn refuses_a_write(admin: &Caller, name: String) -> Duration {
    let started = Instant::now();
    let body = as_stored(an_organization(&name, &[user("alice")]));
    let answer = admin.post(&stored(&organizations()), &body).await;
    assert!(matches!(answer.code, 503 | 504), "{}: {}", answer.code, answer.text());
    started.elapsed()
}

/// One line of three falls silent, the one in use: the server moves to another member by itself. So it does when only the
/// watch is on that line.
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
    silence_where_only_the_watch_is(&stage, &alice).await;
    stage.converged(&followers, "after silent members").await;
}

/// Requests have left a member for the next one, and the watch has stayed. When that member falls silent, requests do not
/// notice: a read waits for the watch, which has to find out by itself.
async fn silence_where_only_the_watch_is(stage: &Stage, alice: &Caller) {
    let server = &stage.servers[0];
    // A busy machine may be too slow for the server's patience of 3 s, but not each time; the keepalive takes 9 s always.
    for attempt in 0..TRIES {
        let line = &server.lines[leave_to_the_watch(stage, server, attempt).await];
        line.silence();
        // Something new, or the read would not need the watch.
        let name = format!("unseen-{attempt}");
        stage.populate([name.clone()].into_iter(), "alice").await;
        let started = Instant::now();
        let answer = alice.get(&organizations()).await;
        println!("only the watch: {} after {:?}", answer.code, started.elapsed());
        line.mend();
        match answer.code {
            200 => {
                assert!(answer.names().contains(&name), "{}", answer.text());
                return;
            }
            503 | 504 => {}
            code => panic!("{code}: {}", answer.text()),
        }
    }
    panic!("a read was refused each time");
}

/// Makes the requests of the server move on from the member that its watch uses; that member.
async fn leave_to_the_watch(stage: &Stage, server: &Server, attempt: usize) -> usize {
    let admin = &stage.admins().await[0];
    let mut serial = 0;
    // The lines on which something came with each of three writes: of the requests, and of the watch.
    let mut used = async || {
        let mut used = vec![true; server.lines.len()];
        for _ in 0..3 {
            let before: Vec<u64> = server.lines.iter().map(Proxy::answered).collect();
            serial += 1;
            let name = format!("used-{attempt}-{serial}");
            let body = as_stored(an_organization(&name, &[user("alice")]));
            create(admin, &stored(&organizations()), &body).await;
            read(admin, &stored(&organizations())).await.expect(200);
            for (number, line) in server.lines.iter().enumerate() {
                used[number] &= line.answered() > before[number];
            }
        }
        let used = used.into_iter().enumerate().filter(|(_, used)| *used);
        used.map(|(number, _)| number).collect::<Vec<_>>()
    };
    eventually("requests and the watch part", SOON, async || {
        server.mend();
        let [both] = used().await[..] else {
            // They are apart, but who is where is not known: everybody connects again.
            server.cut();
            return Err("they do not come together".to_owned());
        };
        let next = (both + 1) % server.lines.len();
        let (line, other) = (&server.lines[both], &server.lines[next]);
        // Until the read is sent to the next member; in time for the watch, which is asked for a sign of life just then.
        let before = other.answered();
        line.silence();
        let asked = eventually("another member is asked", SOON, async || match other.answered() {
            now if now > before => Ok(()),
            _ => Err("not yet"),
        });
        let mended = async {
            asked.await;
            line.mend();
        };
        let path = organizations();
        tokio::join!(admin.get(&path), mended);
        match used().await {
            now if now.len() == 2 && now.contains(&both) && now.contains(&next) => Ok(both),
            now => Err(format!("{both} was used, now {now:?}")),
        }
    })
    .await
}
