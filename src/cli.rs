//! To be written.

pub mod manifests;
