//! Writes: what was acknowledged is in the store at its revision, was allowed there, and nothing else is in it (V11).

use std::collections::HashMap;
use std::sync::Arc;

use super::super::record::{History, Key, Moment, Outcome, Revision, Shape, Verb, Version, Write};
use super::known::Known;
use super::{Guarantee, Judge};

pub(super) struct Writes<'a> {
    history: &'a History,
    stored: HashMap<Revision, Vec<&'a Write>>,
    gone: HashMap<Revision, Vec<&'a Write>>,
    /// Deletions of a collection, by the uids in their answers; what had finalizers is only marked by them.
    collected: HashMap<&'a str, Vec<&'a Write>>,
    /// What may have happened or not, and what was known when it was asked for. A write to one object explains one change
    /// of it, and is gone from here then.
    unknown: HashMap<&'a Key, Vec<(Revision, &'a Write)>>,
    unknown_collected: Vec<(Revision, &'a Write)>,
    /// By key, in the order of revisions.
    versions: HashMap<&'a Key, Vec<&'a Arc<Version>>>,
}

impl<'a> Writes<'a> {
    pub(super) fn new(history: &'a History, known: &Known) -> Self {
        let mut writes = Self {
            history,
            stored: HashMap::new(),
            gone: HashMap::new(),
            collected: HashMap::new(),
            unknown: HashMap::new(),
            unknown_collected: Vec::new(),
            versions: HashMap::new(),
        };
        for (key, version) in history.truth.iter().flat_map(|moment| &moment.changes) {
            writes.versions.entry(key).or_default().extend(version);
        }
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
                    let open = writes.unknown.entry(key).or_default();
                    open.push((known.before(write.began), write));
                }
                (Outcome::Unknown, None) => writes.unknown_collected.push((known.before(write.began), write)),
                (Outcome::Refused(_), _) => {}
            }
        }
        writes
    }

    /// What a revision did was asked for by somebody who might; the model is still at the state before.
    pub(super) fn judge(&mut self, judge: &mut Judge<'_>, moment: &Moment) {
        let stored = self.stored.remove(&moment.revision).unwrap_or_default();
        let gone = self.gone.remove(&moment.revision).unwrap_or_default();
        for (key, after) in &moment.changes {
            let acknowledged = stored
                .iter()
                .chain(&gone)
                .filter(|write| write.key.as_ref() == Some(key));
            let mut explained = false;
            for write in acknowledged {
                explained = true;
                let before = judge.model.get(key);
                let owned = match write.verb {
                    // An answer to the deletion of what is marked already shows what somebody else wrote.
                    Verb::Create | Verb::Delete if after.is_some() => after.as_ref(),
                    _ => before,
                };
                let may = self.may(judge, write, owned);
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
            let explained = explained
                || self.was_collected(judge, key, after.as_deref())
                || self.may_have_been_written(judge, key, after.as_ref(), moment.revision)
                || self.may_have_been_collected(judge, key, after.as_deref(), moment.revision);
            if !explained {
                let what = format!("{key} was changed, but no write says so");
                judge.wrong(Guarantee::Durable, "V11", 0, moment.revision, what);
            }
        }
    }

    /// Whether the writer may write to what is owned so.
    fn may(&self, judge: &Judge<'_>, write: &Write, owned: Option<&Arc<Version>>) -> bool {
        self.history.who[write.who].everything || owned.is_some_and(|version| judge.model.owns(write.who, version))
    }

    /// Whether somebody who might deleted the object with others, or marked it.
    fn was_collected(&self, judge: &Judge<'_>, key: &Key, after: Option<&Version>) -> bool {
        let Some(before) = judge.model.get(key) else {
            return false;
        };
        let writes = self.collected.get(&*before.uid).map(Vec::as_slice).unwrap_or_default();
        deletes(before, after) && writes.iter().any(|write| self.may(judge, write, Some(before)))
    }

    /// Whether this may be what a write without an answer did, which can have done no more then.
    fn may_have_been_written(
        &mut self,
        judge: &Judge<'_>,
        key: &Key,
        after: Option<&Arc<Version>>,
        revision: Revision,
    ) -> bool {
        let before = judge.model.get(key);
        let fits = |(known, write): &(Revision, &Write)| {
            let (does, owned) = match (write.verb, before) {
                (Verb::Create, _) => (before.is_none(), after),
                (Verb::Update, Some(before)) => {
                    let releases = after.is_none() && before.leaving;
                    (
                        releases || after.is_some_and(|after| after.leaving == before.leaving),
                        Some(before),
                    )
                }
                (Verb::Delete, Some(before)) => (deletes(before, after.map(|after| &**after)), Some(before)),
                _ => (false, None),
            };
            let replaced = before.map(|before| before.revision);
            let replaces = write.replaces.is_none() || write.replaces == replaced;
            *known < revision && does && replaces && self.may(judge, write, owned)
        };
        let open = self.unknown.get(key).map(Vec::as_slice).unwrap_or_default();
        let Some(at) = open.iter().position(fits) else {
            return false;
        };
        self.unknown.get_mut(key).map(|open| open.remove(at)).is_some()
    }

    /// Whether a deletion of a collection without an answer may have come to this object: it was selected after what was
    /// known then, and owned at the end.
    fn may_have_been_collected(
        &self,
        judge: &Judge<'_>,
        key: &Key,
        after: Option<&Version>,
        revision: Revision,
    ) -> bool {
        let Some(before) = judge.model.get(key) else {
            return false;
        };
        let versions = self.versions.get(key).map(Vec::as_slice).unwrap_or_default();
        let upto = versions.partition_point(|version| version.revision <= before.revision);
        let selected = |known: Revision, write: &Write| {
            let known = versions[..upto].partition_point(|version| version.revision <= known);
            let since = &versions[known.saturating_sub(1)..upto];
            let query = write.collection.as_ref();
            query.is_some_and(|query| {
                let mut own = since.iter().filter(|version| version.uid == before.uid);
                own.any(|version| query.matches(version))
            })
        };
        let fits = |(known, write): &(Revision, &Write)| {
            *known < revision && selected(*known, write) && self.may(judge, write, Some(before))
        };
        deletes(before, after) && self.unknown_collected.iter().any(fits)
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

/// Whether the object went, or was marked for that; what is marked already goes by the removal of its finalizers.
fn deletes(before: &Version, after: Option<&Version>) -> bool {
    !before.leaving && after.is_none_or(|after| after.leaving)
}
