//! The cluster that we ask: clients of its kube-apiserver, and questions that a request has to wait for.

mod client;
pub mod impersonate;
pub mod webhook;

pub use client::{ClusterError, client};
