//! What is measured, in which order.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use crate::client::{Ask, Connection};
use crate::load::{self, Sample, Until};
use crate::objects::{OWNER, TEN};
use crate::peer::Peer;
use crate::raw::Raw;
use crate::settings::Settings;
use crate::stage::Stage;

/// Objects that are made and removed again before the first figures are taken.
const WARM_UP: usize = 320;

/// Everything that was measured.
pub(crate) struct Results {
    pub(crate) create: Pair,
    pub(crate) raw: Vec<Sample>,
    pub(crate) reads: Vec<(Read, Pair)>,
    /// Resident memory of ours, theirs and etcd, in bytes, at each moment.
    pub(crate) memory: Vec<(&'static str, [u64; 3])>,
}

/// The rounds of one work: ours, theirs.
pub(crate) type Pair = [Vec<Sample>; 2];

/// A read that is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    pub(crate) name: &'static str,
    kind: Kind,
    /// How many clients; 0 for as many as the settings say.
    pub(crate) clients: usize,
    pub(crate) target: Target,
}

/// What issue and design demand of the ratio.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// So many times their rate.
    Rate(f64),
    /// At most this part of their median latency.
    Latency(f64),
    /// Only reported.
    None,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Get,
    Tens,
    All,
}

const READS: [Read; 5] = [
    Read {
        name: "GET",
        kind: Kind::Get,
        clients: 0,
        target: Target::Rate(3.0),
    },
    Read {
        name: "GET",
        kind: Kind::Get,
        clients: 1,
        target: Target::None,
    },
    Read {
        name: "LIST 10 of all",
        kind: Kind::Tens,
        clients: 1,
        target: Target::Latency(0.1),
    },
    Read {
        name: "LIST 10 of all",
        kind: Kind::Tens,
        clients: 8,
        target: Target::Latency(0.1),
    },
    Read {
        name: "LIST all",
        kind: Kind::All,
        clients: 1,
        target: Target::Latency(0.2),
    },
];

struct Creates {
    peer: Arc<Peer>,
    objects: usize,
}

struct RawCreates {
    value: Bytes,
}

struct Reads {
    peer: Arc<Peer>,
    kind: Kind,
    objects: usize,
}

impl load::Work<Connection> for Creates {
    async fn once(&self, client: &mut Connection, number: usize) {
        let (status, length) = client.measure(self.peer.create(number, self.objects)).await;
        assert_eq!(status, StatusCode::CREATED, "{}: {length} bytes", self.peer.name);
    }
}

impl load::Work<Raw> for RawCreates {
    async fn once(&self, client: &mut Raw, number: usize) {
        let fresh = client
            .create(format!("/raw/objects/{number:07}"), self.value.clone())
            .await;
        assert!(fresh, "nobody else writes {number}");
    }
}

impl load::Work<Connection> for Reads {
    async fn once(&self, client: &mut Connection, number: usize) {
        let ask = match self.kind {
            // A large odd stride visits all objects in no order.
            Kind::Get => self.peer.get(number.wrapping_mul(7_919) % self.objects),
            Kind::Tens => Ask::get(self.peer.tens_path()),
            Kind::All => Ask::get(self.peer.collection.to_owned()),
        };
        let (status, length) = client.measure(ask).await;
        assert_eq!(status, StatusCode::OK, "{}: {length} bytes", self.peer.name);
    }
}

/// Measures everything.
pub(crate) async fn run(stage: &Stage, settings: &Settings) -> Results {
    warm_up(stage, settings).await;
    let mut memory = vec![("before the load", resident(stage))];
    let (create, raw) = creates(stage, settings).await;
    memory.push(("with all objects", resident(stage)));
    for peer in stage.peers() {
        peer.check(settings.objects).await;
    }
    let mut reads = Vec::new();
    for read in READS.into_iter().filter(|read| settings.wants(read.name)) {
        reads.push((read, measure(stage, settings, read).await));
    }
    memory.push(("after the reads", resident(stage)));
    Results {
        create,
        raw,
        reads,
        memory,
    }
}

fn resident(stage: &Stage) -> [u64; 3] {
    [&stage.ours.process, &stage.theirs.process, &stage.etcd_process].map(|process| process.resident())
}

async fn warm_up(stage: &Stage, settings: &Settings) {
    for peer in stage.peers() {
        let mut clients = peer.connector.connections(settings.clients, OWNER.0, OWNER.1).await;
        let work = Arc::new(Creates {
            peer: peer.clone(),
            objects: settings.objects,
        });
        let numbers = 9_000_000..9_000_000 + WARM_UP;
        load::run(&mut clients, Until::Done(numbers.clone()), peer.process, &work).await;
        for number in numbers {
            peer.remove(&mut clients[0], number).await;
        }
    }
}

/// Creates all objects, a part in every round.
async fn creates(stage: &Stage, settings: &Settings) -> (Pair, Vec<Sample>) {
    let (mut pair, mut raw_samples) = (Pair::default(), Vec::new());
    let mut raw = Raw::connections(&stage.etcd.endpoint(), settings.clients).await;
    // About as long as what both servers store: without resourceVersion, apiVersion and kind.
    let raw_work = Arc::new(RawCreates {
        value: Bytes::from(vec![b'x'; settings.bytes - settings.bytes.min(100)]),
    });
    let mut clients = Vec::new();
    for peer in stage.peers() {
        clients.push(peer.connector.connections(settings.clients, OWNER.0, OWNER.1).await);
    }
    for round in 0..settings.rounds {
        let part = |round| settings.objects * round / settings.rounds;
        let numbers = part(round)..part(round + 1);
        for (index, peer) in stage.peers().into_iter().enumerate() {
            let work = Arc::new(Creates {
                peer: peer.clone(),
                objects: settings.objects,
            });
            let until = Until::Done(numbers.clone());
            let sample = load::run(&mut clients[index], until, peer.process, &work).await;
            note("create", round, peer.name, &sample);
            pair[index].push(sample);
        }
        let sample = load::run(&mut raw, Until::Done(numbers), stage.etcd_process, &raw_work).await;
        note("create", round, "etcd alone", &sample);
        raw_samples.push(sample);
    }
    (pair, raw_samples)
}

async fn measure(stage: &Stage, settings: &Settings, read: Read) -> Pair {
    let mut pair = Pair::default();
    let (user, group) = match read.kind {
        Kind::Tens => TEN,
        Kind::Get | Kind::All => OWNER,
    };
    let count = if read.clients == 0 {
        settings.clients
    } else {
        read.clients
    };
    let mut clients = Vec::new();
    for peer in stage.peers() {
        clients.push(peer.connector.connections(count, user, group).await);
    }
    // The round before the first one is thrown away.
    for round in 0..=settings.rounds {
        let time = if round == 0 {
            settings.read.min(Duration::from_millis(500))
        } else {
            settings.read
        };
        for (index, peer) in stage.peers().into_iter().enumerate() {
            let work = Arc::new(Reads {
                peer: peer.clone(),
                kind: read.kind,
                objects: settings.objects,
            });
            let sample = load::run(&mut clients[index], Until::Elapsed(time), peer.process, &work).await;
            if round > 0 {
                note(
                    &format!("{}, {count} clients", read.name),
                    round - 1,
                    peer.name,
                    &sample,
                );
                pair[index].push(sample);
            }
        }
    }
    pair
}

/// Progress, for those who wait.
fn note(work: &str, round: usize, name: &str, sample: &Sample) {
    eprintln!(
        "{work}, round {}: {name}: {} requests, {:.0}/s, p50 {:?}, p99 {:?}, processor {:?} each",
        round + 1,
        sample.count,
        sample.rate,
        sample.p50,
        sample.p99,
        sample.processor
    );
}
