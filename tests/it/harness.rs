//! What the tests talk to: a real control plane, kubectl, a client-go informer, and our own binary as a process.
//!
//! Everything here is asynchronous and waits on conditions with a deadline; a failed wait says what was seen last and
//! where the logs are (`target/it-logs/`). Processes end with the test process, however that ends.

mod aggregation;
mod bulward;
mod control_plane;
mod controllers;
pub(crate) mod custom_resource;
mod etcd;
pub(crate) mod etcd_cluster;
pub(crate) mod frames;
pub(crate) mod guardian;
pub(crate) mod in_process;
mod informer;
mod kubectl;
pub(crate) mod kubelet;
pub(crate) mod lines;
pub(crate) mod pki;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod programs;
mod proxy;
pub(crate) mod raw;
mod sample_apiserver;
pub(crate) mod tenancy;
mod tests;
pub(crate) mod twin;
mod waiting;
pub(crate) mod webhooks;

pub(crate) use aggregation::Registration;
pub(crate) use bulward::{Bulward, GROUPS};
pub(crate) use control_plane::{AUDIT_POLICY, ControlPlane};
pub(crate) use controllers::Controllers;
pub(crate) use etcd::Etcd;
pub(crate) use etcd_cluster::EtcdCluster;
pub(crate) use informer::{Informer, Watched};
pub(crate) use kubectl::Kubectl;
pub(crate) use proxy::Proxy;
pub(crate) use sample_apiserver::SampleApiserver;
pub(crate) use waiting::{STARTUP, eventually, serving, started_once};
