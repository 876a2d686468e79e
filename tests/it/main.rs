//! The one integration-test binary: real sockets, real stores, a real control plane.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod admission;
mod apply;
mod audit;
mod cluster;
mod differential;
mod documents;
mod faults;
mod flags;
mod fuzz;
mod harness;
mod history;
mod hostile;
mod identity;
mod layering;
mod limits;
mod live;
mod metrics;
mod policies;
mod serving;
mod soak;
mod source;
mod storage;
mod tenancy;
mod tidy;
mod traces;
mod verbs;
mod visibility;
mod wardle;
mod wire;
