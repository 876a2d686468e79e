//! What clients saw, recorded and judged: the model checker of the visibility rules.
//!
//! A [`record::History`] is plain data: every write with its outcome, every list, page, single read and watch event of
//! every client, and the order in which the store itself has committed everything. [`check::check`] is a pure function of
//! it; what it answers is named by one of the guarantees:
//!
//! | guarantee | what it says |
//! |---|---|
//! | Complete | everything that the caller should see came |
//! | Exact | nothing else came: no object, no state, no count, no cell of a table |
//! | Ordered | in the order of revisions, and lists in the order of keys |
//! | Once | each change once |
//! | Resumable | what goes on (a watch, a page) goes on exactly there, or is an honest 410 |
//! | ReadYourWrites | a read holds everything that anybody knew before it began, on every replica |
//! | Durable | what was acknowledged is in the store, at its revision, and nothing else is |
//!
//! To use it from another test: a [`recorder::Recorder`] on a way to the storage (of its own, and begun before the first
//! write), a [`client::Client`] for each caller and replica over any [`crate::harness::in_process::Caller`], and at the end
//! `recorder.finish().await` and [`check::verify`]. [`drive`] has writers, readers and watchers that
//! need nothing but a [`drive::Fleet`]: how to reach the replicas. Nothing panics because a server is away:
//! a write without an answer is [`record::Outcome::Unknown`], a read without one is not counted.

pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod drive;
mod line;
mod model;
mod mutations;
mod print;
pub(crate) mod record;
pub(crate) mod recorder;
mod runs;
mod truth;
pub(crate) mod watching;
