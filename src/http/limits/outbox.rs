//! How many bytes of answers wait for their callers to read them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use parking_lot::Mutex;

/// What an answer costs beside its bytes: a stream, and the task that answers on it.
const STREAM: usize = 4 << 10;

/// Counts what is not sent yet, of all and of each caller.
///
/// A caller who has nothing there may have an answer of any size, so that no list is too large to be read.
pub(super) struct Outbox {
    bytes: usize,
    share: usize,
    state: Mutex<State>,
    names: RandomState,
}

#[derive(Default)]
struct State {
    total: usize,
    callers: HashMap<Name, usize>,
}

/// A caller's name as a number that nobody outside can foresee.
pub(super) type Name = u64;

/// An answer of which something waits, until dropped.
pub(super) struct Unsent {
    outbox: Arc<Outbox>,
    caller: Name,
    bytes: AtomicUsize,
}

/// Bytes that are counted for as long as somebody has them.
struct Counted {
    bytes: Bytes,
    _unsent: Arc<Unsent>,
}

// === impl Outbox ===

impl Outbox {
    /// So many bytes of all callers, half of them of one; no bound when 0.
    pub(super) fn new(bytes: usize) -> Arc<Self> {
        let bytes = if bytes == 0 { usize::MAX } else { bytes };
        Arc::new(Self {
            bytes,
            share: bytes / 2,
            state: Mutex::default(),
            names: RandomState::new(),
        })
    }

    pub(super) fn name(&self, user: &str) -> Name {
        self.names.hash_one(user)
    }

    /// Whether there is room for one more answer of the caller's.
    pub(super) fn has_room(&self, caller: Name) -> bool {
        self.fits(&self.state.lock(), caller, STREAM)
    }

    /// Counts an answer of so many bytes, if there is room for it.
    pub(super) fn try_put(self: &Arc<Self>, caller: Name, bytes: usize) -> Option<Arc<Unsent>> {
        let bytes = bytes.saturating_add(STREAM);
        let mut state = self.state.lock();
        self.fits(&state, caller, bytes)
            .then(|| self.add(&mut state, caller, bytes))
    }

    /// Counts an answer that has to be given.
    pub(super) fn put(self: &Arc<Self>, caller: Name, bytes: usize) -> Arc<Unsent> {
        self.add(&mut self.state.lock(), caller, bytes.saturating_add(STREAM))
    }

    fn fits(&self, state: &State, caller: Name, bytes: usize) -> bool {
        let own = state.callers.get(&caller).copied().unwrap_or_default();
        let within = |taken: usize, bound: usize| taken.saturating_add(bytes) <= bound;
        own == 0 || within(own, self.share) && within(state.total, self.bytes)
    }

    fn add(self: &Arc<Self>, state: &mut State, caller: Name, bytes: usize) -> Arc<Unsent> {
        state.total += bytes;
        *state.callers.entry(caller).or_default() += bytes;
        Arc::new(Unsent {
            outbox: self.clone(),
            caller,
            bytes: AtomicUsize::new(bytes),
        })
    }

    fn remove(&self, caller: Name, bytes: usize) {
        let mut state = self.state.lock();
        state.total -= bytes;
        if let Some(own) = state.callers.get_mut(&caller) {
            *own -= bytes;
            if *own == 0 {
                state.callers.remove(&caller);
            }
        }
    }

    /// The bytes of all, and how many callers have some.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.total, state.callers.len())
    }
}

// === impl Unsent ===

impl Unsent {
    /// No more than this is left of it.
    pub(super) fn shrink(&self, bytes: usize) {
        let bytes = bytes.saturating_add(STREAM);
        let before = self.bytes.fetch_min(bytes, Relaxed);
        if before > bytes {
            self.outbox.remove(self.caller, before - bytes);
        }
    }

    /// The same bytes, counted until the last who has them is done with them: a connection may have them for long.
    pub(super) fn counting(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Counted {
            bytes,
            _unsent: self.clone(),
        })
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.outbox.remove(self.caller, *self.bytes.get_mut());
    }
}

// === impl Counted ===

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
