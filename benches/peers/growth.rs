//! What depends on how much there is: starting, memory, and a list of ten of all.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::load::{self, Sample, Until};
use crate::objects::TEN;
use crate::peer::Peer;
use crate::program::{Program, Started};
use crate::seed::Pattern;
use crate::settings::Settings;
use crate::stage::Stage;
use crate::works::{Kind, Reads};

/// How long a server may settle before its memory is read.
const SETTLE: Duration = Duration::from_secs(10);

/// What was found; of two servers ours is the first, and the only one in the long form.
pub(crate) struct Results {
    /// The largest number of objects.
    pub(crate) objects: usize,
    /// Rounds of starts with that many, of each server.
    pub(crate) starts: Vec<Vec<Started>>,
    /// Resident memory of each with that many: loaded and idle, right after a list of all, and idle again.
    pub(crate) memory: Vec<[u64; 3]>,
    /// A list of ten of all.
    pub(crate) sizes: Vec<Size>,
}

/// The rounds of a list of ten with one client, and with eight.
pub(crate) struct Size {
    pub(crate) server: &'static str,
    pub(crate) objects: usize,
    pub(crate) rounds: [Vec<Sample>; 2],
}

/// Clients of the lists.
pub(crate) const CLIENTS: [usize; 2] = [1, 8];

/// One of the servers at one size.
struct Grown {
    peer: Arc<Peer>,
    program: Program,
    objects: usize,
}

impl Grown {
    async fn new(stage: &Stage, peer: &Arc<Peer>, pattern: &Pattern, objects: usize) -> Grown {
        let prefix = format!("/{}-{objects}", peer.name);
        pattern.sow(&stage.etcd.endpoint(), &prefix, objects).await;
        let flags = [("etcd-prefix", prefix.as_str())];
        Grown {
            peer: peer.clone(),
            program: Program::like(
                peer.process,
                &peer.connector,
                &format!("{}-{objects}", peer.name),
                &flags,
            ),
            objects,
        }
    }

    /// A list of all has at least as many; Go's library leaves out apiVersion and kind of the items.
    fn least_bytes(&self, settings: &Settings) -> usize {
        self.objects * settings.bytes / 10 * 9
    }
}

/// Measures all of it.
pub(crate) async fn run(stage: &Stage, settings: &Settings) -> Results {
    let etcd = stage.etcd.endpoint();
    let pattern = Pattern::learn(&stage.ours, &etcd).await;
    let objects = settings.sizes.last().copied().unwrap_or(settings.objects);
    let mut large = vec![Grown::new(stage, &stage.ours, &pattern, objects).await];
    if let Some(theirs) = &stage.theirs {
        let pattern = Pattern::learn(theirs, &etcd).await;
        large.push(Grown::new(stage, theirs, &pattern, objects).await);
    }
    let starts = starts(&mut large, settings).await;
    let mut memory = Vec::new();
    for grown in &mut large {
        memory.push(footprint(grown, settings).await);
    }
    let mut small = Vec::new();
    for size in settings.sizes.iter().rev().skip(1).rev() {
        let mut grown = Grown::new(stage, &stage.ours, &pattern, *size).await;
        grown.program.start().await;
        small.push(grown);
    }
    let all: Vec<Grown> = small.into_iter().chain(large).collect();
    let sizes = lists(&all, settings).await;
    Results {
        objects,
        starts,
        memory,
        sizes,
    }
}

/// Every server is killed and started, in turns.
async fn starts(large: &mut [Grown], settings: &Settings) -> Vec<Vec<Started>> {
    let mut starts = vec![Vec::new(); large.len()];
    for round in 0..settings.starts {
        for (at, grown) in large.iter_mut().enumerate() {
            let bytes = grown.least_bytes(settings);
            let started = grown.program.start_and_list(grown.peer.collection, bytes).await;
            grown.program.kill();
            eprintln!("start, round {}: {}: {started:?}", round + 1, grown.peer.name);
            starts[at].push(started);
        }
    }
    starts
}

async fn footprint(grown: &mut Grown, settings: &Settings) -> [u64; 3] {
    grown.program.start().await;
    let process = grown.program.process();
    sleep(SETTLE).await;
    let loaded = process.resident();
    let bytes = grown.least_bytes(settings);
    grown.program.list(grown.peer.collection, bytes).await;
    let listed = process.resident();
    sleep(SETTLE).await;
    let memory = [loaded, listed, process.resident()];
    eprintln!(
        "memory of {} with {} objects: {memory:?}",
        grown.peer.name, grown.objects
    );
    memory
}

/// Lists ten of all at every size, in turns.
async fn lists(all: &[Grown], settings: &Settings) -> Vec<Size> {
    let mut found: Vec<Size> = Vec::new();
    let mut clients = Vec::new();
    for grown in all {
        let connector = &grown.program.connector;
        let mut own = Vec::new();
        for count in CLIENTS {
            own.push(connector.connections(count, TEN.0, TEN.1).await);
        }
        clients.push(own);
        found.push(Size {
            server: grown.peer.name,
            objects: grown.objects,
            rounds: Default::default(),
        });
    }
    // The round before the first one is thrown away.
    for round in 0..=settings.rounds {
        for (at, grown) in all.iter().enumerate() {
            for (which, count) in CLIENTS.into_iter().enumerate() {
                let work = Arc::new(Reads {
                    peer: grown.peer.clone(),
                    kind: Kind::Tens,
                    objects: grown.objects,
                });
                let time = settings.read.min(Duration::from_secs(1));
                let process = grown.program.process();
                let sample = load::run(&mut clients[at][which], Until::Elapsed(time), process, &work).await;
                if round > 0 {
                    let what = format!("LIST 10 of {}, {count} clients", grown.objects);
                    crate::works::note(&what, round - 1, grown.peer.name, &sample);
                    found[at].rounds[which].push(sample);
                }
            }
        }
    }
    found
}
