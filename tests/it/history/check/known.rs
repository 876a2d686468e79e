//! What was known when: every revision that somebody had seen before a request began has to be in its answer.

use std::collections::HashMap;

use super::super::record::{History, Key, Listed, Outcome, Revision, Tick, Verb, What};

/// Facts that need the whole history.
pub(super) struct Known {
    /// From each tick on, the newest revision that anybody had seen.
    newest: Vec<(Tick, Revision)>,
    /// When the object with a uid went, and what was its key.
    pub(super) gone: HashMap<Box<str>, (Revision, Key)>,
}

impl Known {
    pub(super) fn new(history: &History) -> Self {
        let mut uids: HashMap<&Key, &str> = HashMap::new();
        let mut gone: HashMap<Box<str>, (Revision, Key)> = HashMap::new();
        for moment in &history.truth {
            for (key, version) in &moment.changes {
                match version {
                    Some(version) => {
                        uids.insert(key, &version.uid);
                    }
                    None => {
                        if let Some(uid) = uids.remove(key) {
                            gone.insert(uid.into(), (moment.revision, key.clone()));
                        }
                    }
                }
            }
        }
        let mut seen: Vec<(Tick, Revision)> = Vec::new();
        for write in &history.writes {
            match &write.outcome {
                // It may have marked the object only, which went later.
                Outcome::Gone(_) if write.verb == Verb::DeleteCollection => {}
                Outcome::Stored(stored) => seen.push((write.ended, stored.revision)),
                Outcome::Gone(uid) => seen.extend(gone.get(uid).map(|(at, _)| (write.ended, *at))),
                Outcome::Refused(_) | Outcome::Unknown => {}
            }
        }
        for list in &history.lists {
            if let Listed::Page { revision, .. } = list.listed {
                seen.push((list.ended, revision));
            }
        }
        for watch in &history.watches {
            // What a bookmark says has happened, too.
            let events = watch.events.iter();
            let told = events.map(|event| (event.tick, event.what.revision()));
            seen.extend(told);
        }
        seen.sort_unstable();
        let mut newest: Vec<(Tick, Revision)> = Vec::new();
        for (tick, revision) in seen {
            if newest.last().is_none_or(|(_, newest)| revision > *newest) {
                newest.push((tick, revision));
            }
        }
        Self { newest, gone }
    }

    /// The newest revision that was known before a request began at this tick.
    pub(super) fn before(&self, tick: Tick) -> Revision {
        let at = self.newest.partition_point(|(seen, _)| *seen < tick);
        self.newest[..at].last().map_or(0, |(_, revision)| *revision)
    }
}

/// The revision at which the initial events were taken, and how many they are.
pub(super) fn initial(events: &[super::super::record::Event]) -> Option<(Revision, usize)> {
    events.iter().enumerate().find_map(|(at, event)| match event.what {
        What::Initial(revision) => Some((revision, at)),
        _ => None,
    })
}
