//! How much of a kind lists and watches have shown, and how much they have not.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the server began.
#[derive(Debug, Default)]
pub struct Seen {
    /// Lists.
    pub lists: Total,
    /// Objects that lists looked at; of filtered ones, those that exist for the caller.
    pub fetched: Total,
    /// Objects that matched.
    pub returned: Total,
    /// Objects that were there and did not exist for the caller, in filtered lists of everything.
    pub hidden: Total,
    /// Events of watches for objects that became visible.
    pub gained: Total,
    /// Events of watches for objects that became invisible.
    pub lost: Total,
}

/// Only grows.
#[derive(Debug, Default)]
pub struct Total(AtomicU64);

impl Total {
    /// So many more.
    pub fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// All so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
