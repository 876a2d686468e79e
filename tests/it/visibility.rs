//! The visibility rules, each held by tests that carry its number.

mod anonymous;
mod freshness;
mod hidden;
mod purity;
mod through;
mod watches;
