//! Seats, and who gets the next one: what k8s.io/apiserver pkg/util/flowcontrol does, in one small form. A flow queues behind
//! itself, and seats that become free go round the flows.

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::telemetry::metrics::FlowMetrics;

/// Requests of one flow that may wait.
const QUEUE: usize = 200;
/// Requests of all flows that may wait, for each seat.
const QUEUES: usize = 10;

/// Who is taken for one, by where they come from: an address, of IPv6 the 64 bits that somebody has to themselves.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address => address,
    }
}

/// A number of seats. One flow (a caller, or an address) has at most half of them, so that nobody who holds seats for as long
/// as a request may take (a slow upload, an answer that is not read) leaves none to others.
///
/// One short lock, held for two lookups by number and taken twice a request: less than what authentication costs.
pub struct Pool {
    seats: usize,
    share: usize,
    state: Mutex<State>,
    names: RandomState,
    metrics: FlowMetrics,
}

/// There is no place in the queue, or the turn did not come in time.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused;

/// A seat, until dropped.
pub struct Seat {
    pool: Arc<Pool>,
    flow: Name,
}

/// A flow's name as a number that nobody outside can foresee. Two names of one number would be one flow to us.
type Name = u64;

#[derive(Default)]
struct State {
    taken: usize,
    waiting: usize,
    /// Names the next place in a queue.
    places: u64,
    flows: HashMap<Name, Flow>,
    /// Flows that wait, each once, in the order of their turns.
    turns: VecDeque<Name>,
}

/// A flow, as long as it has a seat or waits.
#[derive(Default)]
struct Flow {
    taken: usize,
    queue: VecDeque<(u64, oneshot::Sender<()>)>,
}

/// A place in a queue, which is left when this is dropped.
struct Place {
    pool: Arc<Pool>,
    flow: Name,
    number: u64,
    seated: bool,
}

// === impl Pool ===

impl Pool {
    /// So many seats; what becomes of them is counted by `metrics`.
    pub fn new(seats: usize, metrics: FlowMetrics) -> Arc<Self> {
        metrics.seats(seats);
        Arc::new(Self {
            seats,
            share: seats.div_ceil(2),
            state: Mutex::default(),
            names: RandomState::new(),
            metrics,
        })
    }

    /// A seat for a request of `flow`, after at most `patience`.
    ///
    /// # Errors
    /// Too many wait already, or the turn did not come in time.
    pub async fn enter(self: &Arc<Self>, flow: &(impl Hash + ?Sized), patience: Duration) -> Result<Seat, Refused> {
        let flow = self.names.hash_one(flow);
        let (mut place, turn) = {
            let mut state = self.state.lock();
            if self.sit(&mut state, flow) {
                drop(state);
                self.metrics.dispatched();
                return Ok(self.seat(flow));
            }
            match self.queue(&mut state, flow) {
                Some(queued) => queued,
                None => {
                    drop(state);
                    self.metrics.refused("queue-full");
                    return Err(Refused);
                }
            }
        };
        let began = Instant::now();
        let came = tokio::time::timeout(patience, turn).await;
        self.metrics.waited(began.elapsed(), came.is_ok());
        let Ok(Ok(())) = came else {
            self.metrics.refused("time-out");
            return Err(Refused);
        };
        place.seated = true;
        Ok(self.seat(flow))
    }

    fn seat(self: &Arc<Self>, flow: Name) -> Seat {
        Seat {
            pool: self.clone(),
            flow,
        }
    }

    /// Takes a seat if one is free. Nobody waits then but those who have their share.
    fn sit(&self, state: &mut State, flow: Name) -> bool {
        if state.taken >= self.seats {
            return false;
        }
        let own = state.flows.entry(flow).or_default();
        if own.taken >= self.share {
            return false;
        }
        own.taken += 1;
        state.taken += 1;
        self.metrics.executing(1);
        true
    }

    fn queue(self: &Arc<Self>, state: &mut State, flow: Name) -> Option<(Place, oneshot::Receiver<()>)> {
        if state.waiting >= self.seats.saturating_mul(QUEUES) {
            return None;
        }
        let own = state.flows.entry(flow).or_default();
        if own.queue.len() >= QUEUE {
            return None;
        }
        if own.queue.is_empty() {
            state.turns.push_back(flow);
        }
        let (sender, turn) = oneshot::channel();
        let number = state.places;
        own.queue.push_back((number, sender));
        state.places += 1;
        state.waiting += 1;
        self.metrics.in_queue(1);
        let place = Place {
            pool: self.clone(),
            flow,
            number,
            seated: false,
        };
        Some((place, turn))
    }

    /// Gives free seats to those whose turn it is.
    fn call(&self, state: &mut State) {
        let mut looked = 0;
        while state.taken < self.seats && looked < state.turns.len() {
            let Some(flow) = state.turns.pop_front() else { return };
            let Some(own) = state.flows.get_mut(&flow) else {
                continue;
            };
            if own.taken >= self.share {
                state.turns.push_back(flow);
                looked += 1;
                continue;
            }
            let Some((_, sender)) = own.queue.pop_front() else {
                continue;
            };
            own.taken += 1;
            if !own.queue.is_empty() {
                state.turns.push_back(flow);
            }
            state.taken += 1;
            state.waiting -= 1;
            self.metrics.in_queue(-1);
            self.metrics.executing(1);
            self.metrics.dispatched();
            // Who does not wait any more gives the seat back when its place is dropped.
            let _ = sender.send(());
        }
    }

    fn leave(&self, flow: Name) {
        let mut state = self.state.lock();
        state.taken -= 1;
        self.metrics.executing(-1);
        if let Some(own) = state.flows.get_mut(&flow) {
            own.taken -= 1;
        }
        if state.waiting > 0 {
            self.call(&mut state);
        }
        state.forget(flow);
    }

    fn give_up(&self, flow: Name, number: u64) {
        let mut state = self.state.lock();
        let own = state.flows.get_mut(&flow);
        let place = own.and_then(|own| {
            let at = own.queue.iter().position(|(other, _)| *other == number)?;
            own.queue.remove(at);
            Some(own.queue.is_empty())
        });
        let Some(last) = place else {
            // It had been called already.
            drop(state);
            return self.leave(flow);
        };
        state.waiting -= 1;
        self.metrics.in_queue(-1);
        if last {
            state.turns.retain(|waiting| *waiting != flow);
        }
        state.forget(flow);
    }

    /// So many seats, which nobody looks at.
    #[cfg(test)]
    pub(crate) fn of(seats: usize) -> Arc<Self> {
        Self::new(seats, crate::telemetry::metrics::Metrics::new().token_review_flow())
    }

    /// How many seats are taken, requests wait, and flows are known.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let state = self.state.lock();
        (state.taken, state.waiting, state.flows.len())
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("seats", &self.seats)
            .finish_non_exhaustive()
    }
}

// === impl State ===

impl State {
    /// A flow without anything costs nothing.
    fn forget(&mut self, flow: Name) {
        let gone = |own: &Flow| own.taken == 0 && own.queue.is_empty();
        if self.flows.get(&flow).is_some_and(gone) {
            self.flows.remove(&flow);
        }
    }
}

// === impl Refused ===

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("too many wait already, or the turn did not come in time")
    }
}

impl std::error::Error for Refused {}

// === impl Seat ===

impl Drop for Seat {
    fn drop(&mut self) {
        self.pool.leave(self.flow);
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        if !self.seated {
            self.pool.give_up(self.flow, self.number);
        }
    }
}
