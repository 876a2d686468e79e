//! The visibility rules, each held by tests that carry its number.

mod anonymous;
mod claims;
mod freshness;
mod hidden;
mod leaks;
mod paging;
mod purity;
mod races;
mod smuggling;
mod subjects;
mod through;
mod unfiltered;
mod watches;
mod writes;
