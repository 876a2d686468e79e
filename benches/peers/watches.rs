//! Idle watches: what they cost in memory, and what a change costs that few of them see.
//!
//! Two of our servers on the same objects, one with few watchers and one with many, get the same changes from etcd, as from
//! another replica: so that nothing is measured but taking in a change and delivering it.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::client::{Ask, Connection, Watch};
use crate::machine::Watched;
use crate::objects::{self, OWNER};
use crate::program::Program;
use crate::raw::Raw;
use crate::settings::Settings;
use crate::stage::Stage;

/// Connections that the watches are spread over.
const CONNECTIONS: usize = 100;
/// Watchers that see the change.
pub(crate) const SEEING: usize = 10;
/// Opened at once.
const AT_ONCE: usize = 500;
/// How long memory may settle before it is read.
const SETTLE: Duration = Duration::from_secs(3);
/// Between two changes, so that one is delivered before the next.
const PACE: Duration = Duration::from_millis(5);
/// Of the changes, and of the quiet that is taken off.
const ROUND: Duration = Duration::from_secs(3);
/// Where its objects are.
const PREFIX: &str = "/watches";
/// The changed object.
const NAME: &str = "fan-out";
/// Digits of the number that every change has.
const DIGITS: usize = 8;

/// What idle watches take.
pub(crate) struct Memory {
    pub(crate) watches: usize,
    /// Bytes of the server with its connections, idle, and with the watches on them.
    pub(crate) before: u64,
    pub(crate) after: u64,
}

/// What one server did in all rounds.
#[derive(Default)]
pub(crate) struct Fanned {
    /// From sending the change to etcd, and from its acknowledgement, to one watcher having it.
    pub(crate) sent: Vec<Duration>,
    pub(crate) acknowledged: Vec<Duration>,
    /// Processor time for one change, a round each; what the server takes when nothing happens is taken off.
    pub(crate) processor: Vec<Duration>,
    /// What was taken off, for one change.
    pub(crate) idle: Vec<Duration>,
}

/// Everything found.
pub(crate) struct Results {
    pub(crate) memory: Memory,
    pub(crate) few: Fanned,
    pub(crate) many: Fanned,
    pub(crate) changes: usize,
}

/// An event that a watcher got.
struct Arrival {
    server: usize,
    number: usize,
    at: Instant,
}

/// Measures both.
pub(crate) async fn run(stage: &Stage, settings: &Settings) -> Results {
    let server = |name| {
        let ours = &stage.ours;
        Program::like(ours.process, &ours.connector, name, &[("etcd-prefix", PREFIX)])
    };
    let (mut few, mut many) = (server("few-watchers"), server("many-watchers"));
    few.start().await;
    many.start().await;
    let collection = stage.ours.collection;
    let watch = format!("{collection}?watch=true");

    // One request has been answered on each connection.
    let mut connections = many.connector.connections(CONNECTIONS, OWNER.0, OWNER.1).await;
    for connection in &mut connections {
        connection.measure(Ask::get(collection.to_owned())).await;
    }
    sleep(SETTLE).await;
    let before = many.process().resident();
    let idle = settings.watchers.saturating_sub(SEEING);
    let kept = open(&connections, idle, &watch).await;
    sleep(SETTLE).await;
    let memory = Memory {
        watches: idle,
        before,
        after: many.process().resident(),
    };
    eprintln!(
        "{idle} idle watches: {} bytes each",
        memory.after.saturating_sub(memory.before) / idle.max(1) as u64
    );

    let stored = store(&few, stage).await;
    let (arrivals, mut arrived) = mpsc::unbounded_channel();
    let mut watching_tasks = JoinSet::new();
    for (server, program) in [&few, &many].into_iter().enumerate() {
        let connection = program.connector.connect(OWNER.0, OWNER.1).await;
        for number in 0..SEEING {
            let mut watching = connection.speaking_for(&seeing(number)).watch(&watch).await;
            let arrivals = arrivals.clone();
            watching_tasks.spawn(async move {
                loop {
                    let line = watching.line().await;
                    let (at, number) = (Instant::now(), number_of(&line));
                    if arrivals.send(Arrival { server, number, at }).is_err() {
                        return;
                    }
                }
            });
        }
    }
    // Each of them is told of the object that is there.
    for _ in 0..2 * SEEING {
        arrived.recv().await.expect("an event");
    }
    let mut raw = Raw::connections(&stage.etcd.endpoint(), 1).await.remove(0);
    let processes = [few.process(), many.process()];
    let mut fanned = [Fanned::default(), Fanned::default()];
    let mut number = 0;
    // The round before the first one is thrown away.
    for round in 0..=settings.rounds {
        let before = processes.map(Watched::used);
        sleep(ROUND).await;
        let quiet = [0, 1].map(|at| processes[at].since(&before[at]));
        let before = processes.map(Watched::used);
        let first = number;
        let mut next = Instant::now();
        let end = next + ROUND;
        while next < end {
            sleep_until(next).await;
            next = Instant::now() + PACE;
            number += 1;
            change(&mut raw, &stored, number, &mut arrived, round > 0, &mut fanned).await;
        }
        let count = u32::try_from(number - first).unwrap_or(u32::MAX);
        let spent = [0, 1].map(|at| processes[at].since(&before[at]));
        let elapsed = ROUND.max(Instant::now() - (end - ROUND)).as_secs_f64() / ROUND.as_secs_f64();
        if round == 0 {
            continue;
        }
        for at in [0, 1] {
            let quiet = quiet[at].mul_f64(elapsed);
            fanned[at].processor.push(spent[at].saturating_sub(quiet) / count);
            fanned[at].idle.push(quiet / count);
        }
        let [few, many] = [0, 1].map(|at| (fanned[at].processor[round - 1], fanned[at].idle[round - 1]));
        eprintln!("fan-out, round {round}: {count} changes; processor (and idle) each: few {few:?}, many {many:?}");
    }
    // Before the servers, whose end would be a failure to those who watch.
    watching_tasks.shutdown().await;
    drop(kept);
    for times in fanned.iter_mut().flat_map(|one| [&mut one.sent, &mut one.acknowledged]) {
        times.sort_unstable();
    }
    let [few, many] = fanned;
    Results {
        memory,
        few,
        many,
        changes: number,
    }
}

/// Writes the object once more and waits until everybody who sees it has it.
async fn change(
    raw: &mut Raw,
    stored: &(String, Vec<u8>, usize),
    number: usize,
    arrived: &mut mpsc::UnboundedReceiver<Arrival>,
    counts: bool,
    fanned: &mut [Fanned; 2],
) {
    let (key, value, at) = stored;
    let mut value = value.clone();
    value[*at..at + DIGITS].copy_from_slice(format!("{number:0DIGITS$}").as_bytes());
    let sent = Instant::now();
    raw.put(key.clone(), Bytes::from(value)).await;
    let acknowledged = Instant::now();
    let mut missing = 2 * SEEING;
    while missing > 0 {
        let arrival = arrived.recv().await.expect("an event");
        assert_eq!(arrival.number, number, "every change comes once, in order");
        missing -= 1;
        if counts {
            let fanned = &mut fanned[arrival.server];
            fanned.sent.push(arrival.at.duration_since(sent));
            fanned
                .acknowledged
                .push(arrival.at.saturating_duration_since(acknowledged));
        }
    }
}

/// Opens `count` watches of users who see nothing.
async fn open(connections: &[Connection], count: usize, path: &str) -> Vec<Watch> {
    let mut kept = Vec::with_capacity(count);
    let numbers: Vec<usize> = (0..count).collect();
    for part in numbers.chunks(AT_ONCE) {
        let opening = part.iter().map(|number| async move {
            let connection = &connections[number % connections.len()];
            let mut connection = connection.speaking_for(&format!("idle-{number:05}"));
            connection.watch(path).await
        });
        kept.extend(futures::future::join_all(opening).await);
    }
    kept
}

fn seeing(number: usize) -> String {
    format!("seeing-{number}")
}

/// Has a server store the object: its key, its bytes, and where in them the number stands.
async fn store(server: &Program, stage: &Stage) -> (String, Vec<u8>, usize) {
    let owners: Vec<String> = (0..SEEING).map(seeing).collect();
    let body = objects::shared_organization(NAME, &marked(0), &owners, stage.ours.padding);
    let mut owner = server.connector.connect(OWNER.0, OWNER.1).await;
    let ask = Ask::post(stage.ours.collection.to_owned(), body);
    let (status, text) = owner.text(ask).await;
    assert_eq!(status, http::StatusCode::CREATED, "{text}");
    let mut raw = Raw::connections(&stage.etcd.endpoint(), 1).await.remove(0);
    let (key, value) = raw.find(&format!("{PREFIX}/"), NAME).await;
    let text = String::from_utf8_lossy(&value).into_owned();
    let at = text.find(&marked(0)).expect("the display name is stored") + marked(0).len() - DIGITS;
    (key, value, at)
}

/// A display name with a number.
fn marked(number: usize) -> String {
    format!("change-{number:0DIGITS$}")
}

/// The number in an event.
fn number_of(line: &[u8]) -> usize {
    let mark = b"change-";
    let at = line.windows(mark.len()).position(|window| window == mark);
    let digits = at.and_then(|at| line.get(at + mark.len()..at + mark.len() + DIGITS));
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    let number = digits.and_then(|digits| digits.parse().ok());
    number.unwrap_or_else(|| panic!("an event without a number: {}", String::from_utf8_lossy(line)))
}
