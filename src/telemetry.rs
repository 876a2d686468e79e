//! What a running server tells about itself: logs, metrics and traces.

pub mod logging;
pub mod metrics;
pub mod traces;
