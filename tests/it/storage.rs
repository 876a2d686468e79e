//! The storages: one suite for all three, and what is particular to each.

mod conformance;
mod embedded;
mod etcd;
mod etcd_process;
mod memory;
mod model;
