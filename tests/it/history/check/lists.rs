//! Lists, pages and initial events: exactly what the caller sees at the revision that they name (V1, V2, V6, V7).

use super::super::record::{Ask, End, History, List, Listed, Query, Revision, Seen, Shape, Start, Tick, Version, What};
use super::known::initial;
use super::{Guarantee, Judge};

/// What is judged at a revision, in the order of revisions.
pub(super) struct Lists<'a> {
    due: Vec<(Revision, Read<'a>)>,
    next: usize,
}

enum Read<'a> {
    List(&'a List),
    /// A watch's initial events.
    Initial(&'a super::super::record::Watch, usize),
}

/// One set of objects that was answered.
struct Set<'a> {
    who: usize,
    query: &'a Query,
    shape: Shape,
    revision: Revision,
    items: Vec<&'a Seen>,
    after: &'a str,
    limit: usize,
    began: Tick,
    text: String,
    rule: &'static str,
}

impl<'a> Lists<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        let lists = history.lists.iter().filter_map(|list| match list.listed {
            Listed::Page { revision, .. } => Some((revision, Read::List(list))),
            Listed::Expired { .. } => None,
        });
        let watches = history.watches.iter().filter(|watch| watch.start == Start::Initial);
        let watches = watches.filter_map(|watch| {
            let (revision, count) = initial(&watch.events)?;
            Some((revision, Read::Initial(watch, count)))
        });
        let mut due: Vec<_> = lists.chain(watches).collect();
        due.sort_by_key(|(revision, _)| *revision);
        Self { due, next: 0 }
    }

    /// Judges what was read at revisions before `revision`.
    pub(super) fn before(&mut self, judge: &mut Judge<'_>, revision: Revision) {
        while let Some((at, read)) = self.due.get(self.next).filter(|(at, _)| *at < revision) {
            self.next += 1;
            match read {
                Read::List(list) => judge_list(judge, list),
                Read::Initial(watch, count) => {
                    let items = watch.events[..*count].iter().filter_map(|event| match &event.what {
                        What::Added(seen) => Some(seen),
                        _ => None,
                    });
                    let set = Set {
                        who: watch.who,
                        query: &watch.query,
                        shape: watch.shape,
                        revision: *at,
                        items: items.collect(),
                        after: "",
                        limit: 0,
                        began: watch.began,
                        text: format!("the initial events of a watch of {}", watch.query),
                        rule: "V5",
                    };
                    if set.items.len() != *count {
                        let what = format!("{}: not only ADDED", set.text);
                        judge.wrong(Guarantee::Exact, "V5", watch.who, *at, what);
                    }
                    fresh(judge, &set);
                    set.judge(judge);
                }
            }
        }
    }
}

fn judge_list(judge: &mut Judge<'_>, list: &List) {
    let Listed::Page {
        revision,
        items,
        remaining,
        more,
    } = &list.listed
    else {
        return;
    };
    let revision = *revision;
    let after = match &list.ask {
        Ask::Continue { after, .. } => after,
        _ => "",
    };
    let set = Set {
        who: list.who,
        query: &list.query,
        shape: list.shape,
        revision,
        items: items.iter().collect(),
        after,
        // "Whatever there is" is never paged.
        limit: if list.ask == Ask::Any { 0 } else { list.limit },
        began: list.began,
        text: format!("{:?} list of {} as {:?}", list.ask, list.query, list.shape),
        rule: if list.limit > 0 { "V6" } else { "V2" },
    };
    match list.ask {
        Ask::Latest | Ask::Continue { first: None, .. } => fresh(judge, &set),
        Ask::NotOlderThan(wanted) if revision < wanted => {
            let what = format!("{}: it was taken at {revision}", set.text);
            judge.wrong(Guarantee::ReadYourWrites, "V2", set.who, wanted, what);
        }
        Ask::Exact(wanted)
        | Ask::Continue {
            first: Some(wanted), ..
        } if revision != wanted => {
            let what = format!("{}: it was taken at {revision}, not at {wanted}", set.text);
            judge.wrong(Guarantee::Resumable, "V6", set.who, wanted, what);
            return;
        }
        _ => {}
    }
    let rest = set.judge(judge);
    let expected = (rest > 0 && !list.query.selects()).then_some(rest);
    if *more != (rest > 0) {
        let what = format!("{}: {rest} objects follow, but a token is {more}", set.text);
        let guarantee = if *more { Guarantee::Exact } else { Guarantee::Complete };
        judge.wrong(guarantee, "V6", set.who, revision, what);
    } else if remaining.is_some() && *remaining != expected {
        let what = format!("{}: remainingItemCount {remaining:?}, and {rest} follow", set.text);
        judge.wrong(Guarantee::Exact, "V6", set.who, revision, what);
    }
}

/// V2: as new as whatever anybody knew when it was asked for.
fn fresh(judge: &mut Judge<'_>, set: &Set<'_>) {
    let known = judge.known.before(set.began);
    if set.revision < known {
        let what = format!("{}: taken at {} although {known} was known", set.text, set.revision);
        judge.wrong(Guarantee::ReadYourWrites, "V2", set.who, known, what);
    }
}

impl Set<'_> {
    /// Compares with the model at this revision; answers how many objects follow.
    fn judge(&self, judge: &mut Judge<'_>) -> usize {
        let model = &judge.model;
        let listed = model.of_kind(self.query.kind).filter(|version| {
            *version.key.name > *self.after && self.query.matches(version) && model.visible(self.who, version)
        });
        let mut expected: Vec<&Version> = listed.map(|version| &**version).collect();
        let rest = match self.limit {
            0 => 0,
            limit => expected.len().saturating_sub(limit),
        };
        expected.truncate(expected.len() - rest);
        if let Some((guarantee, why)) = self.compare(judge, &expected) {
            let what = format!("{}: {why}", self.text);
            judge.wrong(guarantee, self.rule, self.who, self.revision, what);
        }
        rest
    }

    fn compare(&self, judge: &Judge<'_>, expected: &[&Version]) -> Option<(Guarantee, String)> {
        for (at, item) in self.items.iter().enumerate() {
            if self.items[..at].iter().any(|earlier| earlier.key == item.key) {
                return Some((Guarantee::Once, format!("{} twice", item.key)));
            }
            let Some(version) = expected.iter().find(|version| version.key == item.key) else {
                return Some((Guarantee::Exact, self.intruder(judge, item)));
            };
            if item.revision != version.revision || item.print != version.prints[self.shape as usize] {
                let guarantee =
                    if item.revision < version.revision && version.revision <= judge.known.before(self.began) {
                        Guarantee::ReadYourWrites
                    } else {
                        Guarantee::Exact
                    };
                return Some((
                    guarantee,
                    format!("{item} where the version of {} is right", version.revision),
                ));
            }
            let role = judge.model.role(self.who, version);
            if self.shape == Shape::Table && item.role.as_deref() != role.as_deref() {
                return Some((Guarantee::Exact, format!("{item}, but the role is {role:?}")));
            }
        }
        let missing = expected
            .iter()
            .find(|version| self.items.iter().all(|item| item.key != version.key));
        if let Some(missing) = missing {
            let why = format!(
                "{} of {} is missing, {} objects came",
                missing.key,
                missing.revision,
                self.items.len()
            );
            return Some((Guarantee::Complete, why));
        }
        let ordered = self.items.windows(2).all(|pair| pair[0].key < pair[1].key);
        (!ordered).then(|| (Guarantee::Ordered, "not in the order of keys".to_owned()))
    }

    fn intruder(&self, judge: &Judge<'_>, item: &Seen) -> String {
        match judge.model.get(&item.key) {
            None => format!("{item}, which does not exist then"),
            Some(version) if !judge.model.visible(self.who, version) => format!("{item}, which is invisible then"),
            Some(_) => format!("{item}, which does not belong to this page or selection"),
        }
    }
}

/// What needs the whole history: who was told of the past, and who was refused it (V1).
pub(super) fn past(judge: &mut Judge<'_>) {
    for list in &judge.history.lists {
        let from = match list.ask {
            Ask::Exact(revision) => revision,
            Ask::Continue {
                first: Some(revision), ..
            } => revision,
            _ => match list.listed {
                Listed::Expired { .. } => {
                    let what = format!("{:?} list of {} was told 410", list.ask, list.query);
                    judge.wrong(Guarantee::Resumable, "V1", list.who, 0, what);
                    continue;
                }
                Listed::Page { .. } => continue,
            },
        };
        match list.listed {
            Listed::Page { .. } => {
                let known = judge.known.before(list.began);
                if judge.lost(list.who, list.query.kind, from, known) {
                    let what = format!(
                        "{:?} list of {} was answered, although something was lost until {known}",
                        list.ask, list.query
                    );
                    judge.wrong(Guarantee::Exact, "V1", list.who, from, what);
                }
            }
            Listed::Expired { upper } => {
                let lost = judge.lost(list.who, list.query.kind, from, upper.unwrap_or(Revision::MAX));
                if !lost && !judge.forgotten(list.replica, from, upper) {
                    let what = format!("{:?} list of {} was told 410 without a reason", list.ask, list.query);
                    judge.wrong(Guarantee::Resumable, "V1", list.who, from, what);
                }
            }
        }
    }
    for watch in &judge.history.watches {
        let End::Expired { upper } = watch.end else { continue };
        let last = watch.events.iter().map(|event| event.what.revision()).max();
        let from = match (last, watch.start) {
            (Some(last), _) => last,
            (None, Start::After(revision)) => revision,
            (None, Start::Initial) => judge.history.begin,
        };
        if !judge.forgotten(watch.replica, from, upper) {
            let what = format!("a watch of {} from {from} was told 410 without a reason", watch.query);
            judge.wrong(Guarantee::Resumable, "V5", watch.who, from, what);
        }
    }
}
