//! How many watches each caller has.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts the watches of each caller.
pub(super) struct Watches {
    limit: usize,
    running: Arc<Mutex<HashMap<Arc<str>, usize>>>,
}

/// A watch, until dropped.
pub(super) struct Watch {
    user: Arc<str>,
    running: Arc<Mutex<HashMap<Arc<str>, usize>>>,
}

// === impl Watches ===

impl Watches {
    /// So many for each caller; any number when 0.
    pub(super) fn new(limit: usize) -> Self {
        let limit = if limit == 0 { usize::MAX } else { limit };
        Self {
            limit,
            running: Arc::default(),
        }
    }

    /// # Errors
    /// The limit, when the caller has as many.
    pub(super) fn begin(&self, user: &str) -> Result<Watch, usize> {
        let mut running = self.running.lock();
        let user = running
            .get_key_value(user)
            .map_or_else(|| user.into(), |(known, _)| known.clone());
        let count = running.entry(user.clone()).or_default();
        if *count >= self.limit {
            return Err(self.limit);
        }
        *count += 1;
        Ok(Watch {
            user,
            running: self.running.clone(),
        })
    }

    /// How many callers are known.
    #[cfg(test)]
    pub(super) fn callers(&self) -> usize {
        self.running.lock().len()
    }
}

// === impl Watch ===

impl Drop for Watch {
    fn drop(&mut self) {
        let mut running = self.running.lock();
        if let Some(count) = running.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.user);
            }
        }
    }
}
