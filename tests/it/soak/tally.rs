//! What was tried, and what came of it.

use std::collections::BTreeMap;
use std::fmt;

use parking_lot::Mutex;

/// Counts by abuse and outcome: a code, or words.
#[derive(Default)]
pub(super) struct Tally(Mutex<BTreeMap<(&'static str, String), u64>>);

impl Tally {
    /// One answer, or why there was none.
    pub(super) fn count(&self, what: &'static str, answer: Result<u16, &'static str>) {
        let outcome = answer.map_or_else(str::to_owned, |code| code.to_string());
        self.note(what, outcome, 1);
    }

    pub(super) fn note(&self, what: &'static str, outcome: impl Into<String>, count: u64) {
        *self.0.lock().entry((what, outcome.into())).or_default() += count;
    }

    /// Nothing of it was a fault of the server, and each abuse was one.
    pub(super) fn assert_every_abuse_arrived(&self) {
        let counts = self.0.lock();
        let count = |what: &str, outcome: &str| {
            let found = counts
                .iter()
                .filter(|((one, other), _)| *one == what && other == outcome);
            found.map(|(_, count)| count).sum::<u64>()
        };
        for (what, outcome) in [
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
        ] {
            assert!(count(what, outcome) > 0, "{what}: no {outcome}\n{}", self.text(&counts));
        }
        let faults = counts
            .iter()
            .filter(|((_, outcome), _)| outcome.starts_with('5') && *outcome != "504");
        assert_eq!(faults.count(), 0, "{}", self.text(&counts));
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
        f.write_str(&self.text(&self.0.lock()))
    }
}
