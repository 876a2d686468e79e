//! The only integration test binary: one link, one shared control plane.

mod harness;
mod identity;
mod layering;
mod source;
mod tidy;
