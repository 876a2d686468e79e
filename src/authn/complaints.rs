//! The log's side of a 401: strangers must not be able to fill the disk with refusals.

use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

/// Refusals that are logged at once.
const BURST: u32 = 20;
/// One more after each such time.
const REFILL: Duration = Duration::from_secs(1);

/// A bucket of lines.
#[derive(Debug)]
pub(super) struct Complaints(Mutex<State>);

#[derive(Debug)]
struct State {
    left: u32,
    filled: Instant,
    unsaid: u64,
}

impl Default for Complaints {
    fn default() -> Self {
        Self(Mutex::new(State {
            left: BURST,
            filled: Instant::now(),
            unsaid: 0,
        }))
    }
}

impl Complaints {
    /// What to log: `why`, with the number of refusals that were not logged before it; or nothing for now.
    pub(super) fn say(&self, why: String) -> Option<String> {
        let mut state = self.0.lock();
        let periods = state.filled.elapsed().as_millis() / REFILL.as_millis();
        if let Ok(periods) = u32::try_from(periods)
            && periods > 0
        {
            state.left = state.left.saturating_add(periods).min(BURST);
            state.filled = Instant::now();
        }
        if state.left == 0 {
            state.unsaid += 1;
            return None;
        }
        state.left -= 1;
        match std::mem::take(&mut state.unsaid) {
            0 => Some(why),
            unsaid => Some(format!(
                "{why} ({unsaid} more refusals before this one were not logged)"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_bounded_and_nothing_is_hidden() {
        let complaints = Complaints::default();
        let said = (0..1_000).filter(|_| complaints.say("no".to_owned()).is_some()).count();
        assert_eq!(said, 20);
        tokio::time::advance(Duration::from_secs(3)).await;
        let next = complaints.say("no".to_owned()).unwrap();
        assert_eq!(next, "no (980 more refusals before this one were not logged)");
        let said = (0..1_000).filter(|_| complaints.say("no".to_owned()).is_some()).count();
        assert_eq!(said, 2);
    }
}
