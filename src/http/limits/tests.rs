//! Seats, queues, turns and watches, without a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::pool::{Pool, Refused, Seat};
use super::watches::Watches;
use super::{Limits, exempt, outgoing, patience};
use crate::http::body::full;
use crate::http::request_info::RequestInfo;
use crate::telemetry::metrics::Metrics;
use crate::wire::options::Query;
use crate::wire::user::UserInfo;

const NEVER: Duration = Duration::from_secs(3600);

fn pool(seats: usize) -> Arc<Pool> {
    Pool::new(seats, Metrics::new().flow("readOnly"))
}

async fn seats(pool: &Arc<Pool>, user: &str, count: usize) -> Vec<Seat> {
    let mut seats = Vec::new();
    for _ in 0..count {
        let seat = pool.enter(user, Duration::ZERO).await;
        seats.push(seat.unwrap_or_else(|_| panic!("a seat is free")));
    }
    seats
}

/// Requests of `user` that wait, each noting its name when its turn comes.
async fn queue(pool: &Arc<Pool>, user: &'static str, count: usize, turns: &Arc<parking_lot::Mutex<Vec<&'static str>>>) {
    let (_, already, _) = pool.counts();
    for _ in 0..count {
        let (pool, turns) = (pool.clone(), turns.clone());
        tokio::spawn(async move {
            if let Ok(seat) = pool.enter(user, NEVER).await {
                turns.lock().push(user);
                drop(seat);
            }
        });
    }
    while pool.counts().1 < already + count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_caller_has_half_of_the_seats() {
    let pool = pool(4);
    let mallory = seats(&pool, "mallory", 2).await;
    assert_eq!(pool.enter("mallory", Duration::ZERO).await.err(), Some(Refused));
    let alice = seats(&pool, "alice", 2).await;
    assert_eq!(pool.counts(), (4, 0, 2));
    assert_eq!(pool.enter("bob", Duration::ZERO).await.err(), Some(Refused));
    drop(mallory);
    drop(seats(&pool, "bob", 2).await);
    drop(alice);
    assert_eq!(pool.counts(), (0, 0, 0));
}

#[tokio::test]
async fn turns_go_round_the_callers() {
    let pool = pool(1);
    let held = seats(&pool, "carol", 1).await;
    let turns = Arc::default();
    queue(&pool, "mallory", 5, &turns).await;
    queue(&pool, "alice", 1, &turns).await;
    queue(&pool, "bob", 2, &turns).await;
    drop(held);
    while pool.counts().2 > 0 {
        tokio::task::yield_now().await;
    }
    let expected = [
        "mallory", "alice", "bob", "mallory", "bob", "mallory", "mallory", "mallory",
    ];
    assert_eq!(*turns.lock(), expected);
    assert_eq!(pool.counts(), (0, 0, 0));
}

#[tokio::test]
async fn who_has_their_share_lets_others_pass() {
    let pool = pool(2);
    let mut held = seats(&pool, "mallory", 1).await;
    held.extend(seats(&pool, "carol", 1).await);
    let turns = Arc::default();
    queue(&pool, "mallory", 3, &turns).await;
    queue(&pool, "alice", 1, &turns).await;
    held.pop();
    while turns.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(*turns.lock(), ["alice"]);
    assert_eq!(pool.counts(), (1, 3, 1));
    held.clear();
    while pool.counts().2 > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(turns.lock().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_longer_than_their_patience() {
    let pool = pool(1);
    let held = seats(&pool, "alice", 1).await;
    let began = Instant::now();
    let refused = pool.enter("bob", Duration::from_secs(15)).await;
    assert_eq!(refused.err(), Some(Refused));
    assert_eq!(began.elapsed(), Duration::from_secs(15));
    assert_eq!(pool.counts(), (1, 0, 1));
    drop(held);
    let deadline = |seconds| Some(Instant::now() + Duration::from_secs(seconds));
    assert_eq!(patience(deadline(60)), Duration::from_secs(15));
    assert_eq!(patience(deadline(8)), Duration::from_secs(2));
    assert_eq!(patience(deadline(600)), Duration::from_secs(15));
    assert_eq!(patience(None), Duration::from_secs(15));
}

#[tokio::test]
async fn queues_are_bounded() {
    let pool = pool(100);
    let mut held = seats(&pool, "mallory", 50).await;
    held.extend(seats(&pool, "carol", 50).await);
    let turns = Arc::default();
    queue(&pool, "mallory", 200, &turns).await;
    assert_eq!(pool.enter("mallory", NEVER).await.err(), Some(Refused));
    for user in ["a", "b", "c", "d"] {
        queue(&pool, user, 200, &turns).await;
    }
    assert_eq!(pool.counts(), (100, 1_000, 6));
    assert_eq!(pool.enter("e", NEVER).await.err(), Some(Refused));
    drop(held);
    while pool.counts().2 > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(turns.lock().len(), 1_000);
}

/// Whoever goes away while waiting, or in the moment in which their turn comes, leaves nothing behind.
#[tokio::test]
async fn who_goes_away_leaves_its_place() {
    let pool = pool(1);
    let held = seats(&pool, "alice", 1).await;
    let waits = |user: &'static str| {
        let pool = pool.clone();
        tokio::spawn(async move { pool.enter(user, NEVER).await.is_ok() })
    };
    let (bob, carol) = (waits("bob"), waits("carol"));
    while pool.counts().1 < 2 {
        tokio::task::yield_now().await;
    }
    bob.abort();
    assert!(bob.await.is_err());
    assert_eq!(pool.counts(), (1, 1, 2));
    // Its turn comes, but it is ended before it can notice.
    drop(held);
    carol.abort();
    let _ = carol.await;
    assert_eq!(pool.counts(), (0, 0, 0));
}

/// A seat that is counted for as long as it is held.
struct Sitting {
    inside: Arc<AtomicUsize>,
    _seat: Seat,
}

impl Drop for Sitting {
    fn drop(&mut self) {
        self.inside.fetch_sub(1, SeqCst);
    }
}

/// Random arrivals, departures and ends of waiting: never more seats than there are, and nothing is left.
#[tokio::test]
async fn no_seat_is_lost_or_made_up() {
    const SEATS: usize = 8;
    let pool = pool(SEATS);
    let inside = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for number in 0..2_000_u64 {
        let (pool, inside) = (pool.clone(), inside.clone());
        let user = format!("user-{}", number % 7);
        tasks.push(tokio::spawn(async move {
            let Ok(seat) = pool.enter(&user, NEVER).await else {
                return;
            };
            let now = inside.fetch_add(1, SeqCst) + 1;
            let sitting = Sitting { inside, _seat: seat };
            assert!(now <= SEATS);
            for _ in 0..number % 5 {
                tokio::task::yield_now().await;
            }
            drop(sitting);
        }));
        if number % 3 == 0 {
            tokio::task::yield_now().await;
        }
        if number % 11 == 0 {
            tasks[usize::try_from(number / 2).expect("a number")].abort();
        }
    }
    for task in tasks {
        assert!(!task.await.is_err_and(|error| error.is_panic()));
    }
    assert_eq!(pool.counts(), (0, 0, 0));
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
    let pool = pool(4);
    let deadline = Instant::now() + Duration::from_secs(60);
    let text: Bytes = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let answer = |text: Bytes, seat| outgoing::hold(Response::new(full(text)), seat, Some(deadline));
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
