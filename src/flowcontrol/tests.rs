//! Seats, queues and turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::time::Instant;

use super::{Pool, Refused, Seat, network};

const NEVER: Duration = Duration::from_secs(3600);

/// So many seats of `user`, which are free.
pub(crate) async fn seats(pool: &Arc<Pool>, user: &str, count: usize) -> Vec<Seat> {
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
    let pool = Pool::of(4);
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
    let pool = Pool::of(1);
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
    let pool = Pool::of(2);
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
    let pool = Pool::of(1);
    let held = seats(&pool, "alice", 1).await;
    let began = Instant::now();
    let refused = pool.enter("bob", Duration::from_secs(15)).await;
    assert_eq!(refused.err(), Some(Refused));
    assert_eq!(began.elapsed(), Duration::from_secs(15));
    assert_eq!(pool.counts(), (1, 0, 1));
    drop(held);
}

#[tokio::test]
async fn queues_are_bounded() {
    let pool = Pool::of(100);
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
    let pool = Pool::of(1);
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
    let pool = Pool::of(SEATS);
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
fn a_host_is_taken_for_one_whatever_its_last_bits() {
    for (address, whose) in [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1:2:3:4", "2001:db8::"),
        ("2001:db8:0:1::7", "2001:db8:0:1::"),
    ] {
        let [address, whose] = [address, whose].map(|text| text.parse().unwrap());
        assert_eq!(network(address), whose, "{address}");
    }
}
