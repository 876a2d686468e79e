//! Everything that a hostile client may do, all at once, to a server as in production: it goes on serving others, and its
//! memory stays within bounds.
//!
//! The test is a short replay. `BULWARD_SOAK_SECONDS=1800 cargo test --test it -- soak --nocapture` is the long form.

mod abuse;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::harness::raw::Door;
use crate::harness::tenancy::{organization, organizations, user};
use crate::harness::{Bulward, ControlPlane, eventually};
use abuse::{Target, ask};
use tally::Tally;

/// How long the test abuses the server.
const SECONDS: u64 = 5;
/// What the server may need more than before while it is abused, in bytes.
const PEAK: u64 = 512 << 20;
/// What it may keep of it afterwards, in bytes.
const KEPT: u64 = 192 << 20;
/// An honest client that gets nothing for so long is refused for good.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn mixed_abuse() {
    let plane = ControlPlane::shared().await;
    let server = Bulward::start(plane, &["--max-watches-per-user=3"]).await;
    let alice = server.caller(plane, "soak-alice", &[]).await.kube();
    let seconds = std::env::var("BULWARD_SOAK_SECONDS").map_or(SECONDS, |text| text.parse().expect("seconds"));
    let seconds = Duration::from_secs(seconds);
    let stop = CancellationToken::new();
    let target = Target {
        port: server.url().rsplit(':').next().unwrap().parse().unwrap(),
        door: door(plane, &server, "soak-mallory"),
        reader: door(plane, &server, "soak-reader"),
        mallory: server.caller(plane, "soak-mallory", &[]).await.kube(),
        hoarder: server.caller(plane, "soak-hoarder", &[]).await.kube(),
        nobody: Door {
            certificate: String::new(),
            ..door(plane, &server, "soak-nobody")
        },
        tally: Arc::new(Tally::new(seconds)),
        stop: stop.clone(),
    };
    let tally = target.tally.clone();

    // An answer that is worth being read slowly.
    for number in 0..=20 {
        // The honest client's own is small: what it writes is remembered for watches, whoever abuses the server.
        let padding = if number == 0 { 0 } else { 50 << 10 };
        let object = json!({
            "apiVersion": "apiserver.bulward.io/v1alpha1",
            "kind": "Organization",
            "metadata": {"name": format!("soak-{number}"), "annotations": {"padding": "x".repeat(padding)}},
            "spec": {"owners": [user("soak-mallory"), user("soak-alice"), user("soak-reader")]},
        });
        let made = ask(&alice, Method::POST, &organizations(), object.to_string()).await;
        assert!(matches!(made, Ok(201)), "{made:?}");
    }
    let before = server.resident();
    let started = Instant::now();
    let tasks = abuse::begin(Arc::new(target));
    let mut peak = before;
    let mut longest = Duration::ZERO;
    // On a busy machine it takes longer until each abuse has been met with what it is to be met with.
    while started.elapsed() < seconds || (!tally.missing().is_empty() && started.elapsed() < seconds + PATIENCE) {
        longest = longest.max(honest(&alice, &tally).await);
        peak = peak.max(server.resident());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.cancel();
    for task in tasks {
        task.await.expect("an abuser ends in order");
    }
    honest(&alice, &tally).await;
    println!("{seconds:?} of abuse\n{tally}");
    // The allocator gives back when it is used: a server that is asked nothing keeps what it has.
    let settled = eventually("memory comes back", PATIENCE, async || {
        honest(&alice, &tally).await;
        let now = server.resident();
        if now <= before + KEPT {
            Ok(now)
        } else {
            Err(format!("{now} of {before}"))
        }
    });
    let after = settled.await;
    let mebibytes = |bytes: u64| bytes >> 20;
    println!(
        "memory before, at most, after: {}, {}, {} MiB; the longest that an honest request took, repeated where it was refused: {longest:?}",
        mebibytes(before),
        mebibytes(peak),
        mebibytes(after)
    );
    assert!(peak <= before + PEAK, "{peak} of {before}");
    assert!(tally.missing().is_empty(), "{:?}\n{tally}", tally.missing());
    assert_eq!(tally.faults(), 0, "{tally}");
}

fn door(plane: &ControlPlane, server: &Bulward, user: &str) -> Door {
    let pair = plane.ca().client(user, &[]);
    Door {
        port: server.url().rsplit(':').next().unwrap().parse().unwrap(),
        authority: plane.ca().pem(),
        certificate: pair.certificate,
        key: pair.key,
        identity: "",
    }
}

/// A read and a write that succeed in the end; how long both took.
async fn honest(client: &kube::Client, tally: &Tally) -> Duration {
    let began = Instant::now();
    let path = organization("soak-0");
    let label = json!({"metadata": {"labels": {"at": began.elapsed().as_nanos().to_string()}}});
    for (method, body) in [(Method::GET, String::new()), (Method::PATCH, label.to_string())] {
        loop {
            let answer = ask(client, method.clone(), &path, body.clone()).await;
            let done = matches!(answer, Ok(200));
            tally.count("honest", answer);
            if done {
                break;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "an honest client is refused for good:\n{tally}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    began.elapsed()
}
