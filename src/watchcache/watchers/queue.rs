//! What waits for one watcher. An empty queue holds no memory beside itself, as most watchers are idle.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};

use super::{Offer, Offered};
use crate::storage::Revision;

/// Entries that may wait; a watcher that lags further is cut off.
const ENTRIES: usize = 1_000;
/// Bytes of objects that may wait, roughly. A single entry may be larger.
const BYTES: usize = 64 << 20;
/// Places that an empty queue keeps for the next entries.
const SPARE: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Arc<Offered>>,
    bytes: usize,
    end: Option<End>,
    waker: Option<Waker>,
}

/// Why nothing more will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The history has a gap, which the watcher has still to be told, or has been.
    Gap { told: bool },
    /// The watcher was too slow.
    Slow,
}

impl Queue {
    /// Adds an entry. Answers whether the watcher keeps up: it is cut off when too much waits, or what the log has
    /// forgotten (`floor`), so that a watcher holds no history beyond the log's own bounds.
    pub(super) fn push(&self, offered: &Arc<Offered>, floor: Revision) -> bool {
        let mut own = self.0.lock();
        if own.end.is_some() {
            return false;
        }
        let bytes = own.bytes + offered.entry.weight();
        let full = own.entries.len() >= ENTRIES || (bytes > BYTES && !own.entries.is_empty());
        let keeps_up = !full && !own.is_late(floor);
        if keeps_up {
            own.bytes = bytes;
            own.entries.push_back(offered.clone());
        } else {
            own.finish(End::Slow);
        }
        wake(own);
        keeps_up
    }

    /// Answers whether the watcher keeps up, as [`Queue::push`] does.
    pub(super) fn forget(&self, floor: Revision) -> bool {
        let mut own = self.0.lock();
        let late = own.is_late(floor);
        if late {
            own.finish(End::Slow);
            wake(own);
        }
        !late
    }

    /// Nothing that waits leads to the present any more.
    pub(super) fn gap(&self) {
        let mut own = self.0.lock();
        if own.end.is_none() {
            own.finish(End::Gap { told: false });
            wake(own);
        }
    }

    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Offer>> {
        let mut own = self.0.lock();
        if let Some(offered) = own.entries.pop_front() {
            own.bytes -= offered.entry.weight();
            if own.entries.is_empty() && own.entries.capacity() > SPARE {
                own.entries = VecDeque::new();
            }
            return Poll::Ready(Some(Offer::Entry(offered)));
        }
        match own.end {
            Some(End::Gap { told: false }) => {
                own.end = Some(End::Gap { told: true });
                Poll::Ready(Some(Offer::Gap))
            }
            Some(_) => Poll::Ready(None),
            None => {
                if !own.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                    own.waker = Some(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let own = self.0.lock();
        own.entries.is_empty() && own.end.is_none()
    }
}

impl Waiting {
    fn is_late(&self, floor: Revision) -> bool {
        self.entries
            .front()
            .is_some_and(|oldest| oldest.entry.revision <= floor)
    }

    /// What waits is given up: a client resumes from what it has received.
    fn finish(&mut self, end: End) {
        self.entries = VecDeque::new();
        self.bytes = 0;
        self.end = Some(end);
    }
}

/// Wakes the watcher, who will want the lock.
fn wake(mut own: MutexGuard<'_, Waiting>) {
    let waker = own.waker.take();
    drop(own);
    if let Some(waker) = waker {
        waker.wake();
    }
}
