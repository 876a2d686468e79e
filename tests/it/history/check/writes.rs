//! Writes: what was acknowledged is in the store at its revision, was allowed there, and nothing else is in it (V11).

use std::collections::{HashMap, HashSet};

use super::super::record::{History, Key, Moment, Outcome, Revision, Shape, Verb, Version, Write};
use super::known::Known;
use super::{Guarantee, Judge};

pub(super) struct Writes<'a> {
    history: &'a History,
    stored: HashMap<Revision, Vec<&'a Write>>,
    gone: HashMap<Revision, Vec<&'a Write>>,
    /// Deletions of a collection, by the uids in their answers; what had finalizers is only marked by them.
    collected: HashMap<&'a str, Vec<&'a Write>>,
    /// Keys to which a write may have happened; nothing for a whole kind.
    unknown: HashSet<Key>,
    anything: bool,
}

impl<'a> Writes<'a> {
    pub(super) fn new(history: &'a History, known: &Known) -> Self {
        let mut writes = Self {
            history,
            stored: HashMap::new(),
            gone: HashMap::new(),
            collected: HashMap::new(),
            unknown: HashSet::new(),
            anything: false,
        };
        for write in &history.writes {
            match (&write.outcome, &write.key) {
                (Outcome::Stored(seen), _) => writes.stored.entry(seen.revision).or_default().push(write),
                (Outcome::Gone(uid), _) if write.verb == Verb::DeleteCollection => {
                    writes.collected.entry(uid).or_default().push(write);
                }
                (Outcome::Gone(uid), _) => {
                    if let Some((revision, _)) = known.gone.get(uid) {
                        writes.gone.entry(*revision).or_default().push(write);
                    }
                }
                (Outcome::Unknown, Some(key)) => {
                    writes.unknown.insert(key.clone());
                }
                (Outcome::Unknown, None) => writes.anything = true,
                _ => {}
            }
        }
        writes
    }

    /// What a revision did was asked for by somebody who might; the model is still at the state before.
    pub(super) fn judge(&self, judge: &mut Judge<'_>, moment: &Moment) {
        let stored = self.stored.get(&moment.revision).map(Vec::as_slice).unwrap_or_default();
        let gone = self.gone.get(&moment.revision).map(Vec::as_slice).unwrap_or_default();
        for (key, after) in &moment.changes {
            let acknowledged = stored
                .iter()
                .chain(gone)
                .filter(|write| write.key.as_ref() == Some(key));
            let mut explained = self.anything || self.unknown.contains(key);
            for write in acknowledged {
                explained = true;
                let before = judge.model.get(key);
                let owned = match write.verb {
                    // An answer to the deletion of what is marked already shows what somebody else wrote.
                    Verb::Create | Verb::Delete if after.is_some() => after.as_ref(),
                    _ => before,
                };
                let may = self.history.who[write.who].everything
                    || owned.is_some_and(|version| judge.model.owns(write.who, version));
                let replaced = before.map_or(0, |version| version.revision);
                if !may {
                    let what = format!(
                        "{:?} of {key} was let through by replica {}, but not owned",
                        write.verb, write.replica
                    );
                    judge.wrong(Guarantee::Exact, "V11", write.who, moment.revision, what);
                } else if write.replaces.is_some_and(|version| version != replaced) && write.verb == Verb::Update {
                    let what = format!(
                        "{:?} of {key} said to replace {:?}, and replaced {replaced}",
                        write.verb, write.replaces
                    );
                    judge.wrong(Guarantee::Durable, "V11", write.who, moment.revision, what);
                }
            }
            if !explained && !self.was_collected(judge, key, after.as_deref()) {
                let what = format!("{key} was changed, but no write says so");
                judge.wrong(Guarantee::Durable, "V11", 0, moment.revision, what);
            }
        }
    }

    /// Whether somebody who might deleted the object with others, or marked it.
    fn was_collected(&self, judge: &Judge<'_>, key: &Key, after: Option<&Version>) -> bool {
        let Some(before) = judge.model.get(key) else {
            return false;
        };
        let marked = after.is_none_or(|after| after.leaving && !before.leaving);
        let writes = self.collected.get(&*before.uid).map(Vec::as_slice).unwrap_or_default();
        let may = |write: &&Write| self.history.who[write.who].everything || judge.model.owns(write.who, before);
        marked && writes.iter().any(may)
    }

    /// What was acknowledged and is nowhere.
    pub(super) fn end(&self, judge: &mut Judge<'_>) {
        let at = |revision: Revision| {
            let at = self
                .history
                .truth
                .binary_search_by_key(&revision, |moment| moment.revision);
            at.ok().map(|at| &self.history.truth[at])
        };
        for write in &self.history.writes {
            let Some(key) = &write.key else { continue };
            let (revision, why) = match &write.outcome {
                Outcome::Stored(seen) => {
                    let changes = at(seen.revision).map(|moment| moment.changes.as_slice());
                    let change = changes.unwrap_or_default().iter().find(|(own, _)| own == key);
                    let version = change.and_then(|(_, version)| version.as_ref());
                    match version {
                        Some(version) if version.prints[Shape::Object as usize] == seen.print => continue,
                        Some(_) => (seen.revision, "was acknowledged with another state than was stored"),
                        None => (seen.revision, "was acknowledged, but is not stored at its revision"),
                    }
                }
                Outcome::Gone(uid) if !judge.known.gone.contains_key(uid) && write.verb != Verb::DeleteCollection => (
                    judge.known.before(write.began),
                    "was acknowledged, but the object has not gone",
                ),
                _ => continue,
            };
            let what = format!("{:?} of {key} at replica {} {why}", write.verb, write.replica);
            judge.wrong(Guarantee::Durable, "durability", write.who, revision, what);
        }
    }
}
