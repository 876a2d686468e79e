//! Reads of one object: what was told was true at some revision between what was known before and what was there after
//! (V2, V7).

use std::sync::Arc;

use super::super::model::Model;
use super::super::record::{Found, History, Look, Revision, Version};
use super::known::Known;
use super::{Guarantee, Judge};

pub(super) struct Looks<'a> {
    /// By the oldest state that would do.
    waiting: Vec<(Revision, &'a Look)>,
    next: usize,
    /// Not true yet, with the version that was there at first.
    open: Vec<Open<'a>>,
}

struct Open<'a> {
    look: &'a Look,
    from: Revision,
    first: Option<Arc<Version>>,
    ever_seen: bool,
}

impl<'a> Looks<'a> {
    pub(super) fn new(history: &'a History, known: &Known) -> Self {
        let looks = history.looks.iter().map(|look| (known.before(look.began), look));
        let mut waiting: Vec<_> = looks.collect();
        waiting.sort_by_key(|(from, _)| *from);
        Self {
            waiting,
            next: 0,
            open: Vec::new(),
        }
    }

    /// The state that lasts until before `revision`.
    pub(super) fn before(&mut self, judge: &mut Judge<'_>, revision: Revision) {
        while let Some((from, look)) = self.waiting.get(self.next).filter(|(from, _)| *from < revision) {
            self.next += 1;
            self.open.push(Open {
                look,
                from: *from,
                first: judge.model.get(&look.key).cloned(),
                ever_seen: false,
            });
        }
        let model = &judge.model;
        self.open.retain_mut(|open| !open.is_true(model));
        let (late, open) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|open| open.look.upper.is_some_and(|upper| upper < revision));
        self.open = open;
        for open in late {
            open.tell(judge);
        }
    }

    pub(super) fn end(&mut self, judge: &mut Judge<'_>) {
        for open in std::mem::take(&mut self.open) {
            open.tell(judge);
        }
    }
}

impl Open<'_> {
    fn is_true(&mut self, model: &Model) -> bool {
        let look = self.look;
        let version = model.get(&look.key);
        let sees = version.is_some_and(|version| model.visible(look.who, version));
        self.ever_seen |= sees;
        match &look.found {
            Found::Here(seen) => version.is_some_and(|version| {
                sees && seen.revision == version.revision && seen.print == version.prints[look.shape as usize]
            }),
            Found::Absent => !sees,
            Found::NotOwned => version.is_some_and(|version| sees && !model.owns(look.who, version)),
        }
    }

    fn tell(&self, judge: &mut Judge<'_>) {
        let look = self.look;
        let guarantee = match &look.found {
            Found::Here(_) if !self.ever_seen => Guarantee::Exact,
            Found::Here(seen) if self.first.as_ref().is_some_and(|first| seen.revision < first.revision) => {
                Guarantee::ReadYourWrites
            }
            Found::Here(_) | Found::NotOwned => Guarantee::Exact,
            Found::Absent => Guarantee::Complete,
        };
        let what = format!(
            "{} was told by replica {} as {:?}, which was not so from {} to {:?}",
            look.key, look.replica, look.found, self.from, look.upper
        );
        judge.wrong(guarantee, "V7", look.who, self.from, what);
    }
}
