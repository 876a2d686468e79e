//! Writers, readers and watchers that do as a seed says, on any number of replicas.
//!
//! What each of them does next follows from the seed; how they are interleaved does not. So a seed replays the same
//! load, and with it most failures, but no history to the letter.

mod cast;
mod readers;
mod watchers;
mod writers;

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch as signal;
use tokio::task::JoinSet;

use super::client::Client;
use super::record::Who;
use super::recorder::Recorder;
use super::watching::Closing;
use crate::harness::in_process::Caller;

pub(crate) use cast::people;

/// How to reach the replicas.
pub(crate) struct Fleet<'a> {
    pub(crate) replicas: usize,
    pub(crate) connect: &'a dyn Fn(usize, &Who) -> Caller,
}

/// How much is to happen.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Until so much has been recorded, as [`super::record::History::len`] counts.
    pub(crate) events: usize,
    pub(crate) writers: usize,
    pub(crate) readers: usize,
    pub(crate) watchers: usize,
}

/// What all of them share.
struct Stage {
    recorder: Arc<Recorder>,
    /// By replica and caller.
    clients: Vec<Vec<Client>>,
    plan: Plan,
}

impl Stage {
    fn enough(&self) -> bool {
        self.recorder.count() >= self.plan.events
    }

    /// The caller at any replica.
    fn anywhere(&self, who: usize, random: &mut StdRng) -> &Client {
        &self.clients[random.random_range(0..self.clients.len())][who]
    }

    /// Somebody who is filtered; less often one with hundreds of groups, whose every request costs as much as many others.
    fn anybody(&self, random: &mut StdRng) -> usize {
        let filtered = self.recorder.who.len() - 1;
        match random.random_range(0..filtered) {
            who if self.recorder.who[who].groups.len() > 100 => random.random_range(0..filtered),
            who => who,
        }
    }

    /// Who sees everything comes last.
    fn admin(&self) -> usize {
        self.recorder.who.len() - 1
    }

    fn random(&self, role: u64, number: usize) -> StdRng {
        StdRng::seed_from_u64(self.plan.seed ^ (role << 32) ^ (number as u64) << 8)
    }
}

/// Drives the fleet until enough has been recorded, and all watches until they have heard the last write.
pub(crate) async fn drive(recorder: &Arc<Recorder>, fleet: &Fleet<'_>, plan: Plan) {
    let of_replica = |replica| {
        let who = recorder.who.iter().enumerate();
        who.map(|(number, who)| Client::new(recorder, number, replica, (fleet.connect)(replica, who)))
            .collect()
    };
    let stage = Arc::new(Stage {
        recorder: recorder.clone(),
        clients: (0..fleet.replicas).map(of_replica).collect(),
        plan,
    });
    let (closing, closer) = signal::channel(None);
    let mut watchers = JoinSet::new();
    for number in 0..stage.plan.watchers {
        watchers.spawn(watchers::watch(stage.clone(), number, closer.clone()));
    }
    let mut others = JoinSet::new();
    for number in 0..stage.plan.writers {
        others.spawn(writers::write(stage.clone(), number));
    }
    for number in 0..stage.plan.readers {
        others.spawn(readers::read(stage.clone(), number));
    }
    while let Some(ended) = others.join_next().await {
        ended.expect("no writer and no reader panics");
    }
    let last = writers::close(&stage).await;
    closing.send_replace(Some(Arc::new(Closing(last))));
    while let Some(ended) = watchers.join_next().await {
        ended.expect("no watcher panics");
    }
}
