//! What a caller that floods the server costs another: the other's latency without the flood and with it.
//!
//! `cargo bench --bench fairness`, shorter with `-- --seconds 2 --rounds 3`. The server, the flood and the other caller run on
//! threads of their own; all share the machine, so that the ratios include what the flood's own client costs: the last column says how
//! much of it each took.

#[expect(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "shared with the tests; a benchmark needs a part of it"
)]
#[path = "../../tests/it"]
mod it {
    pub(crate) mod harness;
}

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use it::harness;
use tokio::time::Instant;

use harness::in_process::{Caller, memory};
use harness::tenancy::{World, organization, organizations, user};

/// The caller who is measured asks so often.
const PACE: Duration = Duration::from_millis(5);
/// The flood's requests at once.
const AT_ONCE: u64 = 64;
/// Organizations of each caller.
const OBJECTS: usize = 20;

/// What the flood does.
#[derive(Clone, Copy)]
enum Flood {
    None,
    /// So many requests a second.
    Paced(u32),
    /// The next as soon as one is answered.
    Unbound,
}

struct Settings {
    seconds: f64,
    rounds: usize,
}

/// What one caller has seen.
struct Latencies {
    median: Duration,
    p99: Duration,
    /// The flood's requests a second, and how many of them were refused.
    flood: (f64, u64),
    /// How many processors the server, the flood's client and the other's client kept busy.
    busy: [f64; 3],
}

fn main() {
    let settings = Settings::from_arguments();
    let server = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let server = server.expect("a runtime");
    let world = server.block_on(async {
        let world = World::new(memory().await).await;
        for caller in ["alice", "mallory"] {
            for number in 0..OBJECTS {
                world.organization(&format!("{caller}-{number}"), &[user(caller)]).await;
            }
        }
        world
    });
    let floods = [
        ("nobody else", Flood::None),
        ("1,000 requests a second", Flood::Paced(1_000)),
        ("as many as it can", Flood::Unbound),
    ];
    let mut seen: Vec<Vec<Latencies>> = floods.iter().map(|_| Vec::new()).collect();
    for _ in 0..settings.rounds {
        // One after the other in each round: what else the machine does meets all of them.
        for (at, (_, flood)) in floods.iter().enumerate() {
            seen[at].push(measure(&world, *flood, settings.seconds));
        }
    }
    println!(
        "| the flood | its requests a second, refused | the other's median | its p99 | p99 against no flood | processors: server, \
         flood's client, other's client |"
    );
    println!("|---|---|---|---|---|---|");
    let of = |rounds: &[Latencies], what: fn(&Latencies) -> f64| middle(rounds.iter().map(what).collect());
    let alone = of(&seen[0], |it| it.p99.as_secs_f64());
    for ((name, _), rounds) in floods.iter().zip(&seen) {
        let p99 = of(rounds, |it| it.p99.as_secs_f64());
        println!(
            "| {name} | {:.0}, {:.0} | {:.2} ms | {:.2} ms | {:.2} | {:.2}, {:.2}, {:.2} |",
            of(rounds, |it| it.flood.0),
            of(rounds, |it| {
                #[expect(clippy::cast_precision_loss, reason = "a count to print")]
                let refused = it.flood.1 as f64;
                refused
            }),
            of(rounds, |it| it.median.as_secs_f64()) * 1e3,
            p99 * 1e3,
            p99 / alone,
            of(rounds, |it| it.busy[0]),
            of(rounds, |it| it.busy[1]),
            of(rounds, |it| it.busy[2]),
        );
    }
    server.block_on(async { drop(world) });
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn measure(world: &World, flood: Flood, seconds: f64) -> Latencies {
    let stop = AtomicBool::new(false);
    let counts = (AtomicU64::new(0), AtomicU64::new(0));
    let (began, before) = (Instant::now(), busy("self"));
    // Each has connections of its own, driven by its own thread.
    let ((mut taken, asker), elapsed, flooder) = thread::scope(|scope| {
        let flooding =
            scope.spawn(|| on_one_thread(async { flooding(world.user("mallory"), flood, &stop, &counts).await }));
        let asking = scope.spawn(|| on_one_thread(async { asking(world.user("alice"), seconds).await }));
        let asked = asking.join().expect("asks");
        let elapsed = began.elapsed().as_secs_f64();
        stop.store(true, Relaxed);
        let ((), flooder) = flooding.join().expect("floods");
        (asked, elapsed, flooder)
    });
    // The flood ends a moment after the other: both are part of what is there.
    let (all, whole) = (busy("self") - before, began.elapsed().as_secs_f64());
    taken.sort();
    #[expect(clippy::cast_precision_loss, reason = "a count to print")]
    let flooded = counts.0.load(Relaxed) as f64 / elapsed;
    Latencies {
        median: taken[taken.len() / 2],
        p99: taken[taken.len() * 99 / 100],
        flood: (flooded, counts.1.load(Relaxed)),
        busy: [all - flooder - asker, flooder, asker].map(|seconds| seconds.max(0.0) / whole),
    }
}

/// What comes of it, and the seconds of a processor that it took.
fn on_one_thread<F: Future>(work: F) -> (F::Output, f64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.expect("a runtime").block_on(work);
    (outcome, busy("thread-self"))
}

/// The seconds of a processor that a process, or a thread, has taken so far.
fn busy(whose: &str) -> f64 {
    // Of a second; so it is on every Linux.
    const TICKS: f64 = 100.0;
    let text = std::fs::read_to_string(format!("/proc/{whose}/stat")).expect("Linux tells");
    let (_, fields) = text.rsplit_once(')').expect("the name stands in parentheses");
    let numbers = fields.split_whitespace().skip(11).take(2);
    numbers
        .map(|ticks| ticks.parse::<f64>().expect("a number"))
        .sum::<f64>()
        / TICKS
}

/// How long each of one caller's requests took.
async fn asking(caller: Caller, seconds: f64) -> Vec<Duration> {
    // Connections are made before anything is measured.
    for _ in 0..20 {
        caller.get(&organizations()).await.expect(200);
    }
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut taken = Vec::new();
    let mut tick = tokio::time::interval(PACE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while Instant::now() < until {
        tick.tick().await;
        let began = Instant::now();
        let path = if taken.len() % 2 == 0 {
            organizations()
        } else {
            organization("alice-1")
        };
        let answer = caller.get(&path).await;
        taken.push(began.elapsed());
        answer.expect(200);
    }
    taken
}

/// Lists until told to stop; counts the answers, and the refusals among them.
async fn flooding(caller: Caller, flood: Flood, stop: &AtomicBool, counts: &(AtomicU64, AtomicU64)) {
    let pause = match flood {
        Flood::None => return,
        Flood::Paced(a_second) => Duration::from_secs(AT_ONCE) / a_second,
        Flood::Unbound => Duration::ZERO,
    };
    let one = async |number: u64| {
        tokio::time::sleep(pause.mul_f64(number as f64 / AT_ONCE as f64)).await;
        let mut tick = tokio::time::interval(pause.max(Duration::from_nanos(1)));
        while !stop.load(Relaxed) {
            if !pause.is_zero() {
                tick.tick().await;
            }
            if let Ok(answer) = caller.attempt(http::Method::GET, &organizations(), &[], "").await {
                counts.0.fetch_add(1, Relaxed);
                counts.1.fetch_add(u64::from(answer.code == 429), Relaxed);
            }
        }
    };
    futures::future::join_all((0..AT_ONCE).map(one)).await;
}

impl Settings {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let of = |flag: &str| {
            let at = arguments.iter().position(|word| word == flag)?;
            arguments.get(at + 1)?.parse::<f64>().ok()
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number of rounds"
        )]
        let rounds = of("--rounds").unwrap_or(5.0).max(1.0) as usize;
        Self {
            seconds: of("--seconds").unwrap_or(10.0),
            rounds,
        }
    }
}
