//! The `--watch-history*` flags.

use std::time::Duration;

use super::refused;
use crate::config::{Error, parse_duration};
use crate::watchcache::log::Bounds;

#[derive(Debug, clap::Args)]
pub(super) struct HistoryArgs {
    /// For how long a change is kept, so that a watch which broke off goes on where it was instead of listing again
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration, env = "BULWARD_WATCH_HISTORY")]
    watch_history: Duration,
    /// Revisions that are kept at most, whatever their age; each holds what it changed as it was before and after
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = Bounds::default().entries,
        env = "BULWARD_WATCH_HISTORY_EVENTS"
    )]
    watch_history_events: usize,
}

impl HistoryArgs {
    pub(super) fn config(&self) -> Result<Bounds, Error> {
        if self.watch_history_events == 0 {
            let why = "0 would make every watch list again that breaks off, keep at least 1";
            return Err(refused("watch-history-events", why));
        }
        Ok(Bounds {
            age: self.watch_history,
            entries: self.watch_history_events,
            ..Bounds::default()
        })
    }
}
