//! The only integration test binary: one link, one shared control plane.

mod harness;
mod layering;
mod source;
mod tidy;
