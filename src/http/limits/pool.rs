//! Seats, and who gets the next one.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::telemetry::metrics::FlowMetrics;

/// Requests of one caller that may wait.
const QUEUE: usize = 200;
/// Requests of all callers that may wait, for each seat.
const QUEUES: usize = 10;

/// A number of seats. One caller has at most half of them, so that nobody who holds seats for as long as a request may take
/// (a slow upload, an answer that is not read) leaves none to others.
///
/// One short lock, held for two lookups by number and taken twice a request: less than what authentication costs.
pub(super) struct Pool {
    seats: usize,
    share: usize,
    state: Mutex<State>,
    names: RandomState,
    metrics: FlowMetrics,
}

/// There is no place in the queue, or the turn did not come in time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused;

/// A seat, until dropped.
pub(super) struct Seat {
    pool: Arc<Pool>,
    flow: Caller,
}

/// A caller's name as a number that nobody outside can foresee. Two names of one number would be one caller to us.
type Caller = u64;

#[derive(Default)]
struct State {
    taken: usize,
    waiting: usize,
    /// Names the next place in a queue.
    places: u64,
    flows: HashMap<Caller, Flow>,
    /// Callers that wait, each once, in the order of their turns.
    turns: VecDeque<Caller>,
}

/// One caller, as long as it has a seat or waits.
#[derive(Default)]
struct Flow {
    taken: usize,
    queue: VecDeque<(u64, oneshot::Sender<()>)>,
}

/// A place in a queue, which is left when this is dropped.
struct Place {
    pool: Arc<Pool>,
    flow: Caller,
    number: u64,
    seated: bool,
}

// === impl Pool ===

impl Pool {
    pub(super) fn new(seats: usize, metrics: FlowMetrics) -> Arc<Self> {
        metrics.seats(seats);
        Arc::new(Self {
            seats,
            share: seats.div_ceil(2),
            state: Mutex::default(),
            names: RandomState::new(),
            metrics,
        })
    }

    /// A seat for `user`, after at most `patience`.
    pub(super) async fn enter(self: &Arc<Self>, user: &str, patience: Duration) -> Result<Seat, Refused> {
        let flow = self.names.hash_one(user);
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

    fn seat(self: &Arc<Self>, flow: Caller) -> Seat {
        Seat {
            pool: self.clone(),
            flow,
        }
    }

    /// Takes a seat if one is free. Nobody waits then but those who have their share.
    fn sit(&self, state: &mut State, flow: Caller) -> bool {
        if state.taken >= self.seats {
            return false;
        }
        let caller = state.flows.entry(flow).or_default();
        if caller.taken >= self.share {
            return false;
        }
        caller.taken += 1;
        state.taken += 1;
        self.metrics.executing(1);
        true
    }

    fn queue(self: &Arc<Self>, state: &mut State, flow: Caller) -> Option<(Place, oneshot::Receiver<()>)> {
        if state.waiting >= self.seats * QUEUES {
            return None;
        }
        let caller = state.flows.entry(flow).or_default();
        if caller.queue.len() >= QUEUE {
            return None;
        }
        if caller.queue.is_empty() {
            state.turns.push_back(flow);
        }
        let (sender, turn) = oneshot::channel();
        let number = state.places;
        caller.queue.push_back((number, sender));
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
            let Some(caller) = state.flows.get_mut(&flow) else {
                continue;
            };
            if caller.taken >= self.share {
                state.turns.push_back(flow);
                looked += 1;
                continue;
            }
            let Some((_, sender)) = caller.queue.pop_front() else {
                continue;
            };
            caller.taken += 1;
            if !caller.queue.is_empty() {
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

    fn leave(&self, flow: Caller) {
        let mut state = self.state.lock();
        state.taken -= 1;
        self.metrics.executing(-1);
        if let Some(caller) = state.flows.get_mut(&flow) {
            caller.taken -= 1;
        }
        if state.waiting > 0 {
            self.call(&mut state);
        }
        state.forget(flow);
    }

    fn give_up(&self, flow: Caller, number: u64) {
        let mut state = self.state.lock();
        let caller = state.flows.get_mut(&flow);
        let place = caller.and_then(|caller| {
            let at = caller.queue.iter().position(|(other, _)| *other == number)?;
            caller.queue.remove(at);
            Some(caller.queue.is_empty())
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

    /// How many seats are taken, requests wait, and callers are known.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let state = self.state.lock();
        (state.taken, state.waiting, state.flows.len())
    }
}

// === impl State ===

impl State {
    /// A caller without anything costs nothing.
    fn forget(&mut self, flow: Caller) {
        let gone = |caller: &Flow| caller.taken == 0 && caller.queue.is_empty();
        if self.flows.get(&flow).is_some_and(gone) {
            self.flows.remove(&flow);
        }
    }
}

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
