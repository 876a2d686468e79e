//! Watches: the one sequence of events that is right after its start, up to where the watch was read (V3, V4, V5).

use super::super::record::{Event, History, Revision, Seen, Shape, Start, Watch, What};
use super::known::initial;
use super::{Guarantee, Judge, Transition, writes};

/// What is under way, and what begins later.
pub(super) struct Watches<'a> {
    history: &'a History,
    /// By where they start.
    waiting: Vec<(Revision, &'a Watch, usize)>,
    next: usize,
    running: Vec<Running<'a>>,
}

struct Running<'a> {
    watch: &'a Watch,
    start: Revision,
    /// The next event that is not explained yet.
    next: usize,
    /// Where its own events begin, behind the initial ones.
    first: usize,
    /// Up to where the events have come.
    position: Revision,
}

/// What a watch has to say at a revision.
#[derive(Clone, Debug)]
struct Due {
    what: What,
    /// Where the watch is then; an ADDED that another object caused carries an older revision.
    at: Revision,
}

impl<'a> Watches<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        let waiting = history.watches.iter().filter_map(|watch| match watch.start {
            Start::After(revision) => Some((revision, watch, 0)),
            Start::Initial => {
                let (revision, count) = initial(&watch.events)?;
                Some((revision, watch, count + 1))
            }
        });
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_by_key(|(revision, ..)| *revision);
        Self {
            history,
            waiting,
            next: 0,
            running: Vec::new(),
        }
    }

    /// Those that start before `revision` are under way.
    pub(super) fn before(&mut self, revision: Revision) {
        while let Some((start, watch, first)) = self.waiting.get(self.next).filter(|(start, ..)| *start < revision) {
            self.next += 1;
            self.running.push(Running {
                watch,
                start: *start,
                next: *first,
                first: *first,
                position: *start,
            });
        }
    }

    /// Every watch says what the revision means to it, and nothing else.
    pub(super) fn at(&mut self, judge: &mut Judge<'_>, revision: Revision, transitions: &[Transition]) {
        let history = self.history;
        self.running.retain_mut(|running| {
            if running.is_over() {
                return false;
            }
            let due = due(running.watch, revision, transitions);
            match running.step(revision, due) {
                Ok(()) => true,
                Err(at) => {
                    running.tell(judge, history, at);
                    false
                }
            }
        });
    }

    /// What is left was never due.
    pub(super) fn end(&mut self, judge: &mut Judge<'_>) {
        for mut running in std::mem::take(&mut self.running) {
            if running.step(Revision::MAX, Vec::new()).is_err() || running.next < running.watch.events.len() {
                running.tell(judge, self.history, Revision::MAX);
            }
        }
    }
}

impl Running<'_> {
    /// Nothing more has come, and nothing more had to.
    fn is_over(&self) -> bool {
        let heard = self.next >= self.watch.events.len();
        heard && self.watch.due.is_none_or(|due| self.position >= due)
    }

    fn event(&self) -> Option<&What> {
        self.watch.events.get(self.next).map(|event| &event.what)
    }

    /// Takes bookmarks that say no more than what has been said.
    fn bookmarks(&mut self, below: Revision) -> Result<(), ()> {
        while let Some(What::Bookmark(at)) = self.event() {
            let at = *at;
            if at >= below {
                break;
            }
            if at < self.position {
                return Err(());
            }
            self.position = at;
            self.next += 1;
        }
        Ok(())
    }

    /// Takes the events of one revision; the error is the revision at which it went wrong.
    fn step(&mut self, revision: Revision, mut due: Vec<Due>) -> Result<(), Revision> {
        self.bookmarks(revision).map_err(|()| revision)?;
        let mut indirect = false;
        while !due.is_empty() {
            let Some(event) = self.event() else {
                // Read no further, unless it was due.
                return match self.watch.due {
                    Some(end) if end >= revision => Err(revision),
                    _ => {
                        self.position = Revision::MAX;
                        Ok(())
                    }
                };
            };
            let Some(at) = due.iter().position(|due| due.what == *event) else {
                return Err(revision);
            };
            let said = due.swap_remove(at);
            indirect |= said.what.revision() != said.at;
            self.position = revision;
            self.next += 1;
        }
        if indirect && self.watch.bookmarks && !matches!(self.event(), None | Some(What::Bookmark(_))) {
            return Err(revision);
        }
        self.bookmarks(revision.saturating_add(1)).map_err(|()| revision)?;
        // What carries a revision that has passed is not due any more; an ADDED may have a later cause.
        match self.event() {
            Some(What::Modified(seen) | What::Deleted(seen)) if seen.revision <= revision => Err(revision),
            _ => Ok(()),
        }
    }

    /// Finds out which guarantee it is, with the whole sequence that would have been right.
    fn tell(&self, judge: &mut Judge<'_>, history: &History, at: Revision) {
        let watch = self.watch;
        let right = sequence(history, watch, self.start);
        let events = &watch.events;
        let found = events.get(self.next).map(|event| &event.what);
        // The events that went before have matched what had to come, bookmarks apart.
        let said = events[self.first..self.next]
            .iter()
            .filter(|event| !is_bookmark(&event.what))
            .count();
        let missing = right.get(said);
        let comes = |wanted: &Due| events[self.next..].iter().any(|event| event.what == wanted.what);
        let is_first = watch.resumes && self.next == self.first;
        let guarantee = match found {
            _ if is_first => Guarantee::Resumable,
            None => Guarantee::Complete,
            Some(what) if is_bookmark(what) => match missing {
                Some(missing) if what.revision() >= missing.at && !comes(missing) => Guarantee::Complete,
                _ => Guarantee::Ordered,
            },
            Some(what) if right[said.min(right.len())..].iter().any(|due| due.what == *what) => match missing {
                Some(missing) if comes(missing) => Guarantee::Ordered,
                // Only the bookmark that goes with an ADDED is not there.
                Some(missing) if missing.what == *what => Guarantee::Resumable,
                _ => Guarantee::Complete,
            },
            Some(what) if events[self.first..self.next].iter().any(|event| event.what == *what) => Guarantee::Once,
            Some(_) => Guarantee::Exact,
        };
        let expected = missing.map_or("nothing more".to_owned(), |due| format!("{} (at {})", due.what, due.at));
        let seen = match found {
            None => format!("nothing more until {:?} ({:?})", watch.due, watch.end),
            Some(what) => what.to_string(),
        };
        let around = &events[self.next.saturating_sub(3)..events.len().min(self.next + 4)];
        let what = format!(
            "{} watch of {} as {:?} from {}{} at replica {}: expected {expected}, seen {seen}; around it:\n{}",
            if watch.resumes { "a resumed" } else { "a" },
            watch.query,
            watch.shape,
            self.start,
            if watch.bookmarks { " with bookmarks" } else { "" },
            watch.replica,
            lines(around)
        );
        let at = if at == Revision::MAX {
            missing.map_or(self.position, |due| due.at)
        } else {
            at
        };
        judge.wrong(guarantee, "V3", watch.who, at, what);
    }
}

fn is_bookmark(what: &What) -> bool {
    matches!(what, What::Bookmark(_) | What::Initial(_))
}

fn lines(events: &[Event]) -> String {
    let lines: Vec<String> = events.iter().map(|event| format!("    {}", event.what)).collect();
    lines.join("\n")
}

/// The change of "visible and matches the selectors", V3.
fn due(watch: &Watch, revision: Revision, transitions: &[Transition]) -> Vec<Due> {
    let mut all = Vec::new();
    for transition in transitions
        .iter()
        .filter(|transition| watch.query.covers(&transition.key))
    {
        let shown = |sight: &Option<super::Sight>| {
            let sight = sight.as_ref()?;
            let version = &sight.version;
            let shown = sight.seen[watch.who] && watch.query.matches(version);
            shown.then(|| {
                let role = sight.roles[watch.who]
                    .as_deref()
                    .filter(|_| watch.shape == Shape::Table);
                Seen {
                    key: version.key.clone(),
                    revision: version.revision,
                    print: version.prints[watch.shape as usize],
                    role: role.map(Into::into),
                }
            })
        };
        let what = match (shown(&transition.before), shown(&transition.after)) {
            (None, Some(after)) => What::Added(after),
            (Some(before), Some(after)) if before.revision != after.revision => What::Modified(after),
            // V4: the last state that this caller was allowed to see, at the revision at which it went.
            (Some(before), None) => What::Deleted(Seen { revision, ..before }),
            _ => continue,
        };
        all.push(Due { what, at: revision });
    }
    all
}

/// All that a watch should have said after its start; the whole history is gone through again, which only a failure costs.
fn sequence(history: &History, watch: &Watch, start: Revision) -> Vec<Due> {
    let known = super::Known::new(history);
    let mut judge = Judge::new(history, &known);
    let mut writes = writes::Writes::new(history, &known);
    let mut all = Vec::new();
    for moment in &history.truth {
        let transitions = judge.apply(moment, &mut writes);
        if moment.revision > start {
            all.extend(due(watch, moment.revision, &transitions));
        }
    }
    all
}
