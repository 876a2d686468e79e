//! One ordered log for all resources, and immutable snapshots of what it adds up to.
//!
//! A single writer ([`reflector`]) applies the storage's batches in revision order: it builds the next [`Snapshot`] from
//! the last one (persistent maps share what did not change), offers the [`log::Entry`] to the watchers that the visibility
//! index names, and publishes the snapshot. Readers load the newest snapshot and never block the writer.

pub mod cache;
pub mod encoded;
pub mod log;
pub mod object;
mod page;
pub mod reflector;
pub mod snapshot;
pub mod watchers;
pub mod written;

pub use crate::storage::Revision;
pub use cache::Cache;
pub use log::Entry;
pub use object::Object;
pub use snapshot::{KindSpec, Snapshot};
pub use watchers::{Interest, Subscription};

#[cfg(test)]
mod tests;
