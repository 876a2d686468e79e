//! What was asked of the server, by whom, and how it was answered: events in the form of `audit.k8s.io/v1`.
//!
//! A [`Policy`] says how much is recorded of which request, a [`Recording`] follows one request through its stages, and
//! [`Backend`]s write down or send off what it says. Nothing here knows HTTP. Ported in spirit from k8s.io/apiserver pkg/audit
//! and plugin/pkg/audit.

mod auditor;
mod backend;
mod batch;
mod delivering;
mod event;
mod log;
pub mod policy;
mod rotate;
#[cfg(test)]
mod tests;
mod webhook;

pub use auditor::{Arrival, Auditor, Recording};
pub use backend::{Backend, BatchOptions, Delivery, Failure, Mode, Truncate};
pub use event::{Event, Level, ObjectRef, Stage};
pub use log::LogFile;
pub use policy::Policy;
pub use rotate::Rotation;
pub use webhook::Webhook;
