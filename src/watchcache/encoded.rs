//! Events as bytes, each encoded once for all watchers that are sent the same.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::wire::negotiate::Representation;

/// Which watchers are sent the same bytes: the address of the resource that they watch, and how they want it written.
pub type Form = (usize, Representation);

/// The events of one entry that have been encoded. It lives as long as a watcher has the entry before it, so that the log
/// holds no bytes twice.
#[derive(Debug, Default)]
pub struct Encoded(Mutex<HashMap<Which, Bytes>>);

/// An event: the place of the change in its entry, the type of the event, and the form.
type Which = (usize, &'static str, Form);

impl Encoded {
    /// The event's bytes; `encode` makes them for the first who asks.
    pub fn get(&self, change: usize, event: &'static str, form: Form, encode: impl FnOnce() -> Vec<u8>) -> Bytes {
        let mut known = self.0.lock();
        let bytes = known.entry((change, event, form)).or_insert_with(|| encode().into());
        bytes.clone()
    }
}
