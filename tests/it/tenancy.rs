//! The tenancy controllers on a real control plane: kube-apiserver with our server behind it, kube-controller-manager for the
//! deletion of namespaces, and `bulward controller-manager` as a process with the rights of its manifest.

mod guards;
mod lifecycle;
mod members;
mod operation;
mod roles;
pub(crate) mod stage;
