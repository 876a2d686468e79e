//! The storages: one suite for all three, and what is particular to each.

// clippy.toml allows it in test functions; here most of the tests are functions that several tests call.

mod compact;
mod conformance;
mod drill;
mod embedded;
mod encrypted;
mod etcd;
mod memory;
mod model;
