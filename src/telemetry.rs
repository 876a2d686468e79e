//! What a running server tells about itself: logs and metrics.

pub mod logging;
pub mod metrics;
