//! What was tried, and what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;

/// What has to come of each abuse in any run.
const EXPECTED: [(&str, &str); 14] = [
    ("honest", "200"),
    ("flood", "200"),
    ("huge body", "413"),
    ("bad JSON", "400"),
    ("bad token", "401"),
    ("watches", "200"),
    ("watches", "429"),
    ("resets", "sent"),
    ("pings", "sent"),
    ("headers without end", "cut"),
    ("half a head", "sent"),
    ("half-open", "opened"),
    ("unread lists", "sent"),
    ("slow uploads", "sent"),
];
/// What has to come of those whose time has to run out first: a head's 32 s, a handshake's 10 s, a request's 60 s.
const LATER: [(&str, &str); 3] = [("half a head", "cut"), ("half-open", "cut"), ("slow uploads", "cut")];
/// A run of more than this has them as well.
const LONG: Duration = Duration::from_secs(120);

/// Counts by abuse and outcome: a code, or words.
pub(super) struct Tally {
    counts: Mutex<BTreeMap<(&'static str, String), u64>>,
    expected: Vec<(&'static str, &'static str)>,
}

impl Tally {
    /// For a run of so long.
    pub(super) fn new(run: Duration) -> Tally {
        let later = LATER.iter().filter(|_| run > LONG);
        Tally {
            counts: Mutex::default(),
            expected: EXPECTED.iter().chain(later).copied().collect(),
        }
    }

    /// One answer, or why there was none.
    pub(super) fn count(&self, what: &'static str, answer: Result<u16, &'static str>) {
        let outcome = answer.map_or_else(str::to_owned, |code| code.to_string());
        self.note(what, outcome, 1);
    }

    pub(super) fn note(&self, what: &'static str, outcome: impl Into<String>, count: u64) {
        *self.counts.lock().entry((what, outcome.into())).or_default() += count;
    }

    /// Abuses that have not been met with what they are to be met with.
    pub(super) fn missing(&self) -> Vec<(&'static str, &'static str)> {
        let counts = self.counts.lock();
        let mut expected = self.expected.clone();
        expected.retain(|(what, outcome)| !counts.contains_key(&(*what, (*outcome).to_owned())));
        expected
    }

    /// Answers that are a fault of the server's own.
    pub(super) fn faults(&self) -> u64 {
        let counts = self.counts.lock();
        let faults = counts
            .iter()
            .filter(|((_, outcome), _)| outcome.starts_with('5') && *outcome != "504");
        faults.map(|(_, count)| count).sum()
    }

    fn text(&self, counts: &BTreeMap<(&'static str, String), u64>) -> String {
        let lines = counts
            .iter()
            .map(|((what, outcome), count)| format!("  {what}: {outcome} {count}\n"));
        lines.collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&self.counts.lock()))
    }
}
