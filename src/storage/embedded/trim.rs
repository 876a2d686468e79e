//! Forgetting: when history is old enough, and how it leaves the file without holding up writers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redb::{ReadableTable, WriteTransaction};

use super::tables::{LOG, Standing, VERSIONS, failed};
use crate::storage::{Error, Revision};

/// Rows that one round may delete: some milliseconds.
const PORTION: usize = 512;
/// Points in time by which a retention is divided.
const POINTS: u32 = 10;

/// When history has become old.
#[derive(Debug)]
pub(super) struct Retention {
    period: Option<Duration>,
}

impl Retention {
    pub(super) fn new(period: Option<Duration>) -> Self {
        Self { period }
    }

    /// How often to look.
    pub(super) fn interval(&self) -> Duration {
        let forever = Duration::from_secs(3_600);
        let tenth = self.period.map_or(forever, |period| period / POINTS);
        tenth.clamp(Duration::from_millis(10), forever)
    }

    /// The time and the revision to note now, if it is time to.
    pub(super) fn point(&self, standing: &Standing) -> Option<(u64, Revision)> {
        self.period?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let interval = u64::try_from(self.interval().as_millis()).unwrap_or(u64::MAX);
        let Some((last, revision)) = standing.times.back().copied() else {
            return (standing.revision > standing.compacted).then_some((now, standing.revision));
        };
        // Points stay in order even when the clock is set back; history is then kept for longer.
        let due = now >= last.saturating_add(interval) && standing.revision > revision;
        let over = standing
            .times
            .front()
            .is_some_and(|(first, _)| self.is_over(*first, now));
        (due || over).then_some((now, standing.revision))
    }

    /// Whether what was the newest revision at `point` has been history for long enough.
    pub(super) fn is_over(&self, point: u64, now: u64) -> bool {
        self.period
            .is_some_and(|period| u128::from(now.saturating_sub(point)) >= period.as_millis())
    }
}

/// What a portion of the work came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portion {
    /// Whether the file was changed.
    pub(super) removed: bool,
    /// Whether work is left.
    pub(super) more: bool,
}

/// Deletes a portion of what only reads and watches from before `compacted` need, oldest revision first: what each
/// revision replaced, what it deleted, and its row in the log.
pub(super) fn portion(transaction: &WriteTransaction, compacted: Revision) -> Result<Portion, Error> {
    let mut versions = transaction.open_table(VERSIONS).map_err(failed)?;
    let mut log = transaction.open_table(LOG).map_err(failed)?;
    let mut removed = 0;
    while removed < PORTION {
        let (revision, keys) = match log.first().map_err(failed)? {
            Some((revision, keys)) if revision.value() <= compacted => {
                let keys: Vec<String> = keys.value().into_iter().map(str::to_owned).collect();
                (revision.value(), keys)
            }
            _ => {
                return Ok(Portion {
                    removed: removed > 0,
                    more: false,
                });
            }
        };
        for key in &keys {
            let key = key.as_str();
            let mut gone = Vec::new();
            for row in versions.range((key, 0)..=(key, revision)).map_err(failed)? {
                let (at, value) = row.map_err(failed)?;
                let at = at.value().1;
                if at < revision || value.value().is_none() {
                    gone.push(at);
                }
            }
            for at in gone {
                versions.remove((key, at)).map_err(failed)?;
                removed += 1;
            }
        }
        log.remove(revision).map_err(failed)?;
        removed += 1;
    }
    Ok(Portion {
        removed: true,
        more: true,
    })
}
