//! How many connections each address has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts connections by where they come from.
#[derive(Clone, Default)]
pub(super) struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection, until dropped.
pub(super) struct Counted {
    address: IpAddr,
    addresses: Addresses,
}

impl Addresses {
    /// Counts one more connection from `address`, unless it has `limit` already.
    pub(super) fn count(&self, address: IpAddr, limit: usize) -> Option<Counted> {
        let mut addresses = self.0.lock();
        let count = addresses.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Counted {
            address,
            addresses: self.clone(),
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut addresses = self.addresses.0.lock();
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}
