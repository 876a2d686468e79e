//! Patience, exemptions, watches and answers, without a server.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::outbox::Outbox;
use super::watches::Watches;
use super::{Limits, exempt, outgoing, patience};
use crate::flowcontrol::Pool;
use crate::flowcontrol::tests::seats;
use crate::http::body::full;
use crate::http::request_info::RequestInfo;
use crate::telemetry::metrics::Metrics;
use crate::wire::options::Query;
use crate::wire::user::UserInfo;

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_a_quarter_of_their_time() {
    let deadline = |seconds| Some(Instant::now() + Duration::from_secs(seconds));
    assert_eq!(patience(deadline(60)), Duration::from_secs(15));
    assert_eq!(patience(deadline(8)), Duration::from_secs(2));
    assert_eq!(patience(deadline(600)), Duration::from_secs(15));
    assert_eq!(patience(None), Duration::from_secs(15));
}

#[test]
fn watches_are_counted_by_caller() {
    let watches = Watches::new(2);
    let first = watches.begin("alice");
    let _second = watches.begin("alice");
    assert_eq!(watches.begin("alice").err(), Some(2));
    let bob = watches.begin("bob");
    assert!(bob.is_ok());
    assert_eq!(watches.callers(), 2);
    drop((first, bob));
    assert!(watches.begin("alice").is_ok());
    assert_eq!(watches.callers(), 1);
    let any = Watches::new(0);
    let many: Vec<_> = (0..10_000).map(|_| any.begin("alice")).collect();
    assert!(many.iter().all(Result::is_ok));
}

#[tokio::test]
async fn administrators_and_health_are_never_held_up() {
    let info = |path| RequestInfo::parse(&http::Method::GET, path, &Query::parse(""));
    let user = |group: &str| UserInfo {
        name: "u".to_owned(),
        groups: vec![group.to_owned()],
        ..UserInfo::default()
    };
    for path in ["/healthz", "/livez", "/readyz", "/readyz/etcd"] {
        assert!(exempt(&user("system:unauthenticated"), &info(path)), "{path}");
    }
    for path in ["/metrics", "/api", "/apis/g/v1/readyz", "/readyzz", "/"] {
        assert!(!exempt(&user("system:authenticated"), &info(path)), "{path}");
        assert!(exempt(&user("system:masters"), &info(path)), "{path}");
    }
    let allowance = super::Allowance {
        reading: 1,
        ..super::Allowance::default()
    };
    let limits = Limits::new(allowance, Arc::new(Metrics::new()));
    let deadline = Some(Instant::now());
    let held = limits.admit(&user("a"), &info("/version"), deadline).await;
    assert!(held.is_ok());
    let refused = limits.admit(&user("a"), &info("/version"), deadline).await.err();
    let refused = refused.expect("the only seat is taken");
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (429, &"1".parse().expect("a value"))
    );
    assert!(limits.admit(&user("a"), &info("/readyz"), deadline).await.is_ok());
    assert!(
        limits
            .admit(&user("system:masters"), &info("/version"), deadline)
            .await
            .is_ok()
    );
}

/// A large answer keeps its seat until it is read, and loses it when its time is over.
#[tokio::test(start_paused = true)]
async fn answers_keep_their_seats() {
    let pool = Pool::of(4);
    let deadline = Instant::now() + Duration::from_secs(60);
    let text: Bytes = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let answer = |text: Bytes, seat| outgoing::hold(Response::new(full(text)), seat, None, Some(deadline));
    let mut held = seats(&pool, "alice", 2).await;

    drop(answer(text.slice(..100), held.pop()));
    let small = answer(text.slice(..100), None);
    assert_eq!(pool.counts().0, 1);
    assert_eq!(
        small.into_body().collect().await.expect("is sent").to_bytes(),
        text.slice(..100)
    );

    let read = answer(text.clone(), held.pop());
    assert_eq!(pool.counts().0, 1);
    assert_eq!(hyper::body::Body::size_hint(read.body()).exact(), Some(800_000));
    assert_eq!(read.into_body().collect().await.expect("is sent").to_bytes(), text);
    assert_eq!(pool.counts().0, 0);

    let mut unread = answer(text, seats(&pool, "alice", 1).await.pop()).into_body();
    assert!(unread.frame().await.is_some_and(|frame| frame.is_ok()));
    assert_eq!(pool.counts().0, 1);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(pool.counts().0, 0);
    assert!(unread.frame().await.is_some_and(|frame| frame.is_err()));
}

/// Answers are counted until the last byte of them is gone, wherever it is; who does not read has half of the room.
#[tokio::test(start_paused = true)]
async fn unread_answers_are_counted() {
    const STREAM: usize = 4 << 10;
    let outbox = Outbox::new(1 << 20);
    let (alice, bob) = (outbox.name("alice"), outbox.name("bob"));
    let deadline = Instant::now() + Duration::from_secs(60);
    let answer = |size: usize, unsent| {
        let text = Bytes::from(vec![0; size]);
        outgoing::hold(Response::new(full(text)), None, Some(unsent), Some(deadline)).into_body()
    };
    // What is the first may be as large as it likes.
    let unsent = outbox.try_put(alice, 2 << 20).expect("nothing is there");
    let mut unread = answer(2 << 20, unsent);
    assert_eq!(outbox.counts(), ((2 << 20) + STREAM, 1));
    assert!(!outbox.has_room(alice));
    assert!(outbox.try_put(alice, 0).is_none());
    assert!(outbox.has_room(bob));
    // A connection has been handed a piece; the rest is given up.
    let piece = unread.frame().await.expect("a frame").expect("a piece");
    let piece = piece.into_data().expect("data");
    assert_eq!(piece.len(), 64 << 10);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(outbox.counts(), ((64 << 10) + STREAM, 1));
    assert!(outbox.has_room(alice));
    // The stream is gone, and what it had handed on is not.
    drop(unread);
    assert_eq!(outbox.counts(), ((64 << 10) + STREAM, 1));
    drop(piece);
    assert_eq!(outbox.counts(), (0, 0));

    // Small ones count as well, and as more than they are.
    let mut held = Vec::new();
    while let Some(unsent) = outbox.try_put(bob, 100) {
        held.push(answer(100, unsent));
    }
    assert_eq!(held.len(), (512 << 10) / (100 + STREAM));
    assert!(outbox.has_room(alice));
    // A write has happened, whatever there is.
    let written = outbox.put(bob, 1 << 20);
    assert!(outbox.has_room(alice), "who has nothing there is never refused");
    drop((held, written));
    assert_eq!(outbox.counts(), (0, 0));

    let any = Outbox::new(0);
    let _first = any.put(bob, 1 << 30);
    assert!(any.has_room(bob));
}
