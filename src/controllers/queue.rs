//! Keys that wait to be reconciled, each at most once, and never two workers at one key (client-go
//! util/workqueue/queue.go, rate_limiting_queue.go).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

use super::Key;
use crate::telemetry::metrics::controllers::{ControllerMetrics, QueueMetrics};

/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The queue of one controller.
#[derive(Debug)]
pub struct Queue {
    name: &'static str,
    metrics: QueueMetrics,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// While it is closed, nothing is taken in.
    closed: bool,
    /// Keys that a worker may take.
    ready: VecDeque<Key>,
    /// Keys that are to be reconciled, with the time since when; those that a worker is at are not in `ready`.
    dirty: HashMap<Key, Instant>,
    processing: HashSet<Key>,
    /// Keys that are to be added later, each once: at the earliest of its times.
    later: BinaryHeap<Reverse<(Instant, Key)>>,
    due: HashMap<Key, Instant>,
    failures: HashMap<Key, u32>,
}

/// A key that a worker has to reconcile, and then [`Queue::done`].
#[derive(Debug, PartialEq, Eq)]
pub struct Item {
    /// The key.
    pub key: Key,
}

impl Queue {
    /// An empty queue; `name` is its label in the metrics.
    pub fn new(name: &'static str, metrics: &ControllerMetrics) -> Arc<Self> {
        Arc::new(Self {
            name,
            metrics: metrics.queue(name),
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Takes nothing in until [`Queue::open`]: nobody works here yet, and keys would pile up.
    pub fn close(&self) {
        self.state.lock().closed = true;
    }

    /// Takes keys in from now on.
    pub fn open(&self) {
        self.state.lock().closed = false;
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The key is to be reconciled: once, however often it is added before a worker takes it, and once more if it is added
    /// while a worker is at it.
    pub fn add(&self, key: Key) {
        let mut state = self.state.lock();
        self.add_locked(&mut state, key);
    }

    fn add_locked(&self, state: &mut State, key: Key) {
        if state.closed || state.dirty.contains_key(&key) {
            return;
        }
        self.metrics.added();
        state.dirty.insert(key.clone(), Instant::now());
        if !state.processing.contains(&key) {
            state.ready.push_back(key);
            self.metrics.depth(state.ready.len());
            self.changed.notify_one();
        }
    }

    /// The same, after `pause`.
    pub fn add_after(&self, key: Key, pause: Duration) {
        if pause.is_zero() {
            return self.add(key);
        }
        let due = Instant::now() + pause;
        let mut state = self.state.lock();
        if state.due.get(&key).is_none_or(|earlier| due < *earlier) {
            state.due.insert(key.clone(), due);
            state.later.push(Reverse((due, key)));
            self.changed.notify_one();
        }
    }

    /// The key failed: it is added again after a pause that doubles each time until [`Queue::forget`]. Answers the pause.
    pub fn add_rate_limited(&self, key: Key) -> Duration {
        self.metrics.retried();
        let pause = {
            let mut state = self.state.lock();
            let failures = state.failures.entry(key.clone()).or_default();
            let doubled = FIRST_PAUSE.saturating_mul(1 << (*failures).min(20));
            *failures += 1;
            doubled.min(LONGEST_PAUSE)
        };
        self.add_after(key, pause);
        pause
    }

    /// The key's failures no longer count.
    pub fn forget(&self, key: &Key) {
        self.state.lock().failures.remove(key);
    }

    /// The next key, as soon as there is one.
    pub async fn next(&self) -> Item {
        loop {
            let changed = self.changed.notified();
            if let Some(item) = self.try_next() {
                return item;
            }
            let due = self.state.lock().later.peek().map(|Reverse((due, _))| *due);
            match due {
                Some(due) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => changed.await,
            }
        }
    }

    /// The next key, if there is one now.
    pub fn try_next(&self) -> Option<Item> {
        let mut state = self.state.lock();
        let now = Instant::now();
        while state.later.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            let Some(Reverse((due, key))) = state.later.pop() else {
                break;
            };
            // Otherwise it has been added at an earlier time.
            if state.due.get(&key) == Some(&due) {
                state.due.remove(&key);
                self.add_locked(&mut state, key);
            }
        }
        let key = state.ready.pop_front()?;
        self.metrics.depth(state.ready.len());
        if let Some(since) = state.dirty.remove(&key) {
            self.metrics.waited(now.duration_since(since));
        }
        state.processing.insert(key.clone());
        self.metrics.began(&key.to_string());
        // A notification may have been spent on a worker that came too late for its key.
        if !state.ready.is_empty() || !state.later.is_empty() {
            self.changed.notify_one();
        }
        Some(Item { key })
    }

    /// A worker has done with the key; whoever added it meanwhile gets it reconciled again.
    pub fn done(&self, key: &Key) {
        let mut state = self.state.lock();
        state.processing.remove(key);
        self.metrics.ended(&key.to_string());
        if state.dirty.contains_key(key) {
            state.ready.push_back(key.clone());
            self.metrics.depth(state.ready.len());
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
