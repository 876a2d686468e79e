//! Writes that may wait a little, so that a burst of causes becomes a few of them.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

use super::Key;

/// The pause after a first write.
const SHORTEST: Duration = Duration::from_millis(50);
/// The longest pause: with it, what waits is still written within a second.
const LONGEST: Duration = Duration::from_millis(700);
/// What has been quiet for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// When each key was written last: the first write goes at once, those that follow closely wait longer and longer.
#[derive(Debug, Default)]
pub struct Pace {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last write, and the pause after it.
    written: HashMap<Key, (Instant, Duration)>,
    cleaned: Option<Instant>,
}

impl Pace {
    /// How long the key has to wait, nothing if it may be written now.
    pub fn wait(&self, key: &Key) -> Option<Duration> {
        let state = self.state.lock();
        let (last, pause) = state.written.get(key)?;
        let wait = (*last + *pause).saturating_duration_since(Instant::now());
        (!wait.is_zero()).then_some(wait)
    }

    /// The key was written.
    pub fn wrote(&self, key: &Key) {
        let now = Instant::now();
        let mut state = self.state.lock();
        if state.cleaned.is_none_or(|at| now - at > FORGOTTEN) {
            state.written.retain(|_, (last, _)| now - *last < FORGOTTEN);
            state.cleaned = Some(now);
        }
        let pause = match state.written.get(key) {
            Some((last, pause)) if now - *last < *pause * 3 => (*pause * 2).min(LONGEST),
            _ => SHORTEST,
        };
        state.written.insert(key.clone(), (now, pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Causes come every 5 ms for 5 s: how many writes, and how long the slowest cause waited.
    #[tokio::test(start_paused = true)]
    async fn a_burst_of_a_thousand_is_a_handful() {
        let (pace, key) = (Pace::default(), Key::cluster("a"));
        let (mut writes, mut waiting, mut slowest) = (0, None, Duration::ZERO);
        for cause in 0..1_300 {
            if cause < 1_000 {
                waiting.get_or_insert_with(Instant::now);
            }
            if let Some(since) = waiting
                && pace.wait(&key).is_none()
            {
                slowest = slowest.max(since.elapsed());
                pace.wrote(&key);
                (writes, waiting) = (writes + 1, None);
            }
            tokio::time::advance(Duration::from_millis(5)).await;
        }
        assert_eq!(waiting, None, "the last cause was written");
        assert!((5..=13).contains(&writes), "{writes}");
        assert!(slowest <= LONGEST, "{slowest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_cause_never_waits() {
        let (pace, key) = (Pace::default(), Key::cluster("a"));
        for _ in 0..10 {
            assert_eq!(pace.wait(&key), None);
            pace.wrote(&key);
            assert_eq!(pace.wait(&key), Some(SHORTEST));
            assert_eq!(pace.wait(&Key::cluster("b")), None);
            tokio::time::advance(Duration::from_secs(2)).await;
        }
    }
}
