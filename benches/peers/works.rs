//! What is measured, in which order.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use crate::client::{Ask, Connection};
use crate::load::{self, Sample, Until};
use crate::machine::Watched;
use crate::objects::{OWNER, TEN};
use crate::peer::Peer;
use crate::raw::Raw;
use crate::seed::Pattern;
use crate::settings::Settings;
use crate::stage::Stage;

/// Objects that are made and removed again before the first figures are taken.
const WARM_UP: usize = 320;

/// Everything that was measured.
pub(crate) struct Results {
    /// Empty where the objects were written straight into etcd.
    pub(crate) create: Rounds,
    pub(crate) raw: Vec<Sample>,
    pub(crate) reads: Vec<(Read, Rounds)>,
    /// Resident memory of each server and of etcd, in bytes, at each moment.
    pub(crate) memory: Vec<(&'static str, Vec<u64>)>,
}

/// The rounds of one work on each server, ours first.
pub(crate) type Rounds = Vec<Vec<Sample>>;

/// A read that is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
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

/// What is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
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

/// Reads of a server, with its own connections.
pub(crate) struct Reads {
    pub(crate) peer: Arc<Peer>,
    pub(crate) kind: Kind,
    pub(crate) objects: usize,
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

/// Makes the objects and measures what is done with them.
pub(crate) async fn run(stage: &Stage, settings: &Settings) -> Results {
    warm_up(stage, settings).await;
    let mut results = Results {
        create: Vec::new(),
        raw: Vec::new(),
        reads: Vec::new(),
        memory: vec![("before the load", resident(stage))],
    };
    if settings.wants("create") {
        (results.create, results.raw) = creates(stage, settings).await;
    } else {
        for peer in stage.peers() {
            let etcd = stage.etcd.endpoint();
            let pattern = Pattern::learn(&peer, &etcd).await;
            let prefix = peer.process.flag("etcd-prefix");
            pattern.sow(&etcd, &prefix, settings.objects).await;
        }
    }
    results.memory.push(("with all objects", resident(stage)));
    for peer in stage.peers() {
        peer.check(settings.objects).await;
    }
    for read in READS.into_iter().filter(|read| settings.wants(read.name)) {
        results.reads.push((read, measure(stage, settings, read).await));
    }
    results.memory.push(("after the reads", resident(stage)));
    results
}

fn resident(stage: &Stage) -> Vec<u64> {
    let peers = stage.peers();
    let processes = peers.iter().map(|peer| peer.process).chain([stage.etcd_process]);
    processes.map(Watched::resident).collect()
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

/// Creates all objects, in small parts: on each server in turn, beside the bare transactions.
async fn creates(stage: &Stage, settings: &Settings) -> (Rounds, Vec<Sample>) {
    let peers = stage.peers();
    let (mut rounds, mut raw_samples) = (vec![Vec::new(); peers.len()], Vec::new());
    let mut raw = Raw::connections(&stage.etcd.endpoint(), settings.clients).await;
    // About as long as what the servers store: without resourceVersion, apiVersion and kind.
    let raw_work = Arc::new(RawCreates {
        value: Bytes::from(vec![b'x'; settings.bytes - settings.bytes.min(100)]),
    });
    let mut clients = Vec::new();
    for peer in &peers {
        clients.push(peer.connector.connections(settings.clients, OWNER.0, OWNER.1).await);
    }
    for round in 0..settings.parts {
        let part = |round| settings.objects * round / settings.parts;
        let numbers = part(round)..part(round + 1);
        for (index, peer) in peers.iter().enumerate() {
            let work = Arc::new(Creates {
                peer: peer.clone(),
                objects: settings.objects,
            });
            let until = Until::Done(numbers.clone());
            let sample = load::run(&mut clients[index], until, peer.process, &work).await;
            note("create", round, peer.name, &sample);
            rounds[index].push(sample);
        }
        let sample = load::run(&mut raw, Until::Done(numbers), stage.etcd_process, &raw_work).await;
        note("create", round, "etcd alone", &sample);
        raw_samples.push(sample);
    }
    (rounds, raw_samples)
}

async fn measure(stage: &Stage, settings: &Settings, read: Read) -> Rounds {
    let peers = stage.peers();
    let mut rounds = vec![Vec::new(); peers.len()];
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
    for peer in &peers {
        clients.push(peer.connector.connections(count, user, group).await);
    }
    // The round before the first one is thrown away.
    for round in 0..=settings.rounds {
        let time = if round == 0 {
            settings.read.min(Duration::from_millis(500))
        } else {
            settings.read
        };
        for (index, peer) in peers.iter().enumerate() {
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
                rounds[index].push(sample);
            }
        }
    }
    rounds
}

/// Progress, for those who wait.
pub(crate) fn note(work: &str, round: usize, name: &str, sample: &Sample) {
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
