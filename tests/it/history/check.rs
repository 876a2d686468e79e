//! The judge: a pure function of a history.
//!
//! One sweep over the store's revisions keeps the model's state. Before each revision is applied, everything that was read
//! at the state before it is judged; with each revision every watch that was under way has to have its events. The cost
//! follows revisions × watches under way, and the size of what was listed.

mod known;
mod lists;
mod looks;
mod watches;
mod writes;

use std::collections::HashMap;
use std::fmt;

use super::model::Model;
use super::record::{History, Key, Kind, Moment, Revision};

use known::Known;

/// What a client may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Guarantee {
    Complete,
    Exact,
    Ordered,
    Once,
    Resumable,
    ReadYourWrites,
    Durable,
}

/// That a guarantee does not hold, and where.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) guarantee: Guarantee,
    /// The rule of the specification.
    pub(crate) rule: &'static str,
    pub(crate) who: String,
    pub(crate) at: Revision,
    /// The request, what was expected and what was seen; a few lines.
    pub(crate) what: String,
}

/// No more than this is told of a history.
const ENOUGH: usize = 50;

/// Everything that is wrong, up to a bound.
pub(crate) fn check(history: &History) -> Vec<Violation> {
    let known = Known::new(history);
    let mut judge = Judge::new(history, &known);
    let mut lists = lists::Lists::new(history);
    let mut looks = looks::Looks::new(history, &known);
    let mut watches = watches::Watches::new(history);
    let mut writes = writes::Writes::new(history, &known);
    for moment in &history.truth {
        lists.before(&mut judge, moment.revision);
        looks.before(&mut judge, moment.revision);
        watches.before(moment.revision);
        let transitions = judge.apply(moment, &mut writes);
        watches.at(&mut judge, moment.revision, &transitions);
        if judge.wrong.len() >= ENOUGH {
            return judge.wrong;
        }
    }
    lists.before(&mut judge, Revision::MAX);
    looks.before(&mut judge, Revision::MAX);
    looks.end(&mut judge);
    watches.before(Revision::MAX);
    watches.end(&mut judge);
    writes.end(&mut judge);
    lists::past(&mut judge);
    judge.wrong
}

/// Fails with what is wrong; `context` says how to repeat it.
#[track_caller]
pub(crate) fn verify(history: &History, context: &str) {
    let wrong = check(history);
    if wrong.is_empty() {
        return;
    }
    let shown: Vec<String> = wrong.iter().take(5).map(ToString::to_string).collect();
    let count = if wrong.len() < ENOUGH {
        wrong.len().to_string()
    } else {
        format!("at least {ENOUGH}")
    };
    panic!("{context}: {count} violations, the first ones:\n{}", shown.join("\n"));
}

/// The state of the sweep.
struct Judge<'a> {
    history: &'a History,
    known: &'a Known,
    model: Model,
    losses: Losses,
    wrong: Vec<Violation>,
}

/// When callers lost sight of something that went on to exist.
#[derive(Default)]
struct Losses(HashMap<(usize, Kind), Vec<Revision>>);

/// What a revision did to one object: its versions, and who saw them.
struct Transition {
    key: Key,
    before: Option<Sight>,
    after: Option<Sight>,
}

/// A version, and for each caller whether it is seen, and as what.
struct Sight {
    version: std::sync::Arc<super::record::Version>,
    seen: Vec<bool>,
    roles: Vec<Option<String>>,
}

impl<'a> Judge<'a> {
    /// Before the first revision.
    fn new(history: &'a History, known: &'a Known) -> Self {
        Self {
            history,
            known,
            model: Model::new(history),
            losses: Losses::default(),
            wrong: Vec::new(),
        }
    }

    /// Goes on by one revision.
    fn apply(&mut self, moment: &Moment, writes: &mut writes::Writes<'_>) -> Vec<Transition> {
        let mut keys: Vec<Key> = moment
            .changes
            .iter()
            .flat_map(|(key, _)| self.model.affected(key))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let before: Vec<Option<Sight>> = keys.iter().map(|key| self.sight(key)).collect();
        writes.judge(self, moment);
        for (key, version) in &moment.changes {
            self.model.put(key, version.clone());
        }
        let mut transitions = Vec::new();
        for (key, before) in keys.into_iter().zip(before) {
            let after = self.sight(&key);
            if let (Some(before), Some(after)) = (&before, &after) {
                for who in 0..self.history.who.len() {
                    if before.seen[who] && !after.seen[who] {
                        let losses = self.losses.0.entry((who, key.kind)).or_default();
                        losses.push(moment.revision);
                    }
                }
            }
            transitions.push(Transition { key, before, after });
        }
        transitions
    }

    fn sight(&self, key: &Key) -> Option<Sight> {
        let version = self.model.get(key)?;
        let everybody = 0..self.history.who.len();
        Some(Sight {
            seen: everybody.clone().map(|who| self.model.visible(who, version)).collect(),
            roles: everybody.map(|who| self.model.role(who, version)).collect(),
            version: version.clone(),
        })
    }

    fn wrong(&mut self, guarantee: Guarantee, rule: &'static str, who: usize, at: Revision, what: String) {
        self.wrong.push(Violation {
            guarantee,
            rule,
            who: self.history.who[who].name.clone(),
            at,
            what,
        });
    }

    /// Whether the caller lost sight of anything of this kind after `from` and up to `to`.
    fn lost(&self, who: usize, kind: Kind, from: Revision, to: Revision) -> bool {
        let losses = self.losses.0.get(&(who, kind)).map(Vec::as_slice).unwrap_or_default();
        losses
            .get(losses.partition_point(|at| *at <= from))
            .is_some_and(|at| *at <= to)
    }

    /// Whether a replica may have forgotten what came after `from` by the time that the store was at `to`.
    fn forgotten(&self, replica: usize, from: Revision, to: Option<Revision>) -> bool {
        let (Some(Some(memory)), Some(to)) = (self.history.memory.get(replica), to) else {
            return true;
        };
        let upto = |revision| self.history.truth.partition_point(|moment| moment.revision <= revision);
        upto(to) - upto(from) > *memory || from < self.history.begin
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            guarantee,
            rule,
            who,
            at,
            what,
        } = self;
        write!(f, "{guarantee:?} ({rule}), {who}, at revision {at}: {what}")
    }
}
