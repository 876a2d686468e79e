//! The judge is judged: a good history is broken in every way that matters, and each is told under its right name.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::check::{Guarantee, check};
use super::record::{
    Ask, End, Event, Found, History, Key, Kind, Listed, Look, Outcome, Query, Revision, Seen, Start, Verb, Version,
    Watch, What, Write,
};
use super::runs;
use crate::harness::in_process::memory;

/// Breaks a history; false if there is no place for that.
type Break = fn(&mut History) -> bool;

const BREAKS: &[(&str, Guarantee, Break)] = &[
    ("an event is dropped", Guarantee::Complete, |history| {
        events(history, |events, at| {
            let fits = is_modified(events, at) && at + 1 < events.len();
            fits.then(|| drop(events.remove(at)))
        })
    }),
    ("the last event is dropped", Guarantee::Complete, |history| {
        let mut ended = history.watches.iter_mut().filter(|watch| watch.due.is_some());
        let place = ended.find(|watch| watch.events.len() > 1 && !watch.resumes && watch.start != Start::Initial);
        place.is_some_and(|watch| {
            let due = watch.due;
            watch.events.retain(|event| Some(event.what.revision()) < due);
            true
        })
    }),
    ("a change is told twice", Guarantee::Once, |history| {
        events(history, |events, at| {
            is_modified(events, at).then(|| events.insert(at, events[at].clone()))
        })
    }),
    ("a deletion is told twice", Guarantee::Once, |history| {
        events(history, |events, at| {
            let fits = matches!(events[at].what, What::Deleted(_));
            fits.then(|| events.insert(at, events[at].clone()))
        })
    }),
    ("two events are swapped", Guarantee::Ordered, |history| {
        events(history, |events, at| {
            let fits = is_modified(events, at) && is_modified(events, at + 1);
            fits.then(|| events.swap(at, at + 1))
        })
    }),
    ("a bookmark runs ahead", Guarantee::Ordered, |history| {
        events(history, |events, at| {
            let ahead = What::Bookmark(events[at].what.revision());
            is_modified(events, at).then(|| insert(events, at, ahead))
        })
    }),
    ("a bookmark goes back", Guarantee::Ordered, |history| {
        events(history, |events, at| {
            let back = What::Bookmark(events[at].what.revision() - 1);
            is_modified(events, at).then(|| insert(events, at + 1, back))
        })
    }),
    ("something invisible is added", Guarantee::Exact, |history| {
        events(history, |events, at| {
            let added = What::Added(hidden(events, at));
            is_modified(events, at).then(|| insert(events, at + 1, added))
        })
    }),
    ("something invisible changes", Guarantee::Exact, |history| {
        events(history, |events, at| {
            let modified = What::Modified(hidden(events, at));
            is_modified(events, at).then(|| insert(events, at + 1, modified))
        })
    }),
    ("DELETED shows another state", Guarantee::Exact, |history| {
        events(history, |events, at| match &mut events[at].what {
            What::Deleted(seen) => {
                seen.print ^= 1;
                Some(())
            }
            _ => None,
        })
    }),
    ("an event shows another state", Guarantee::Exact, |history| {
        events(history, |events, at| match &mut events[at].what {
            What::Modified(seen) => {
                seen.print ^= 1;
                Some(())
            }
            _ => None,
        })
    }),
    ("a role is another's", Guarantee::Exact, |history| {
        events(history, |events, at| match &mut events[at].what {
            What::Modified(seen) if seen.role.is_some() => {
                seen.role = Some("via project hidden".into());
                Some(())
            }
            _ => None,
        })
    }),
    ("a resumed watch skips", Guarantee::Resumable, |history| {
        let mut watches = history.watches.iter_mut().filter(|watch| watch.resumes);
        let place = watches.find(|watch| watch.events.len() > 1 && is_modified(&watch.events, 0));
        place.is_some_and(|watch| {
            watch.events.remove(0);
            true
        })
    }),
    ("a resumed watch repeats", Guarantee::Resumable, |history| {
        let resumed = history
            .watches
            .iter()
            .enumerate()
            .filter(|(_, watch)| watch.resumes && !watch.events.is_empty());
        let found = resumed.clone().find_map(|(at, watch)| {
            let Start::After(start) = watch.start else { return None };
            let same = history
                .watches
                .iter()
                .filter(|other| other.who == watch.who && other.query == watch.query);
            let mut told = same.flat_map(|other| &other.events);
            let repeated = told.find(|event| matches!(&event.what, What::Modified(seen) if seen.revision <= start))?;
            Some((at, repeated.clone()))
        });
        found.is_some_and(|(at, event)| {
            history.watches[at].events.insert(0, event);
            true
        })
    }),
    ("an initial event is missing", Guarantee::Complete, |history| {
        let mut watches = history.watches.iter_mut();
        let place = watches.find(|watch| {
            let ends = watch.events.iter().any(|event| matches!(event.what, What::Initial(_)));
            watch.start == Start::Initial && ends && matches!(watch.events[0].what, What::Added(_))
        });
        place.is_some_and(|watch| {
            watch.events.remove(0);
            true
        })
    }),
    ("410 is told without a reason", Guarantee::Resumable, |history| {
        let newest = history.truth.last().map(|moment| moment.revision);
        let mut watches = history.watches.iter_mut().filter(|watch| watch.replica == 0);
        watches.next().is_some_and(|watch| {
            watch.end = End::Expired { upper: newest };
            true
        })
    }),
    ("a list shows something invisible", Guarantee::Exact, |history| {
        items(history, |ask, items| {
            let fits = *ask == Ask::Latest && !items.is_empty();
            fits.then(|| {
                let key = Key::new(items[0].key.kind, "hidden");
                items.insert(
                    0,
                    Seen {
                        key,
                        ..items[0].clone()
                    },
                );
            })
        })
    }),
    ("a list leaves something out", Guarantee::Complete, |history| {
        items(history, |ask, items| {
            let fits = *ask == Ask::Any && !items.is_empty();
            fits.then(|| drop(items.pop()))
        })
    }),
    ("a list shows an object twice", Guarantee::Once, |history| {
        items(history, |ask, items| {
            let fits = *ask == Ask::Any && !items.is_empty();
            fits.then(|| items.push(items[0].clone()))
        })
    }),
    ("a list is not in order", Guarantee::Ordered, |history| {
        items(history, |_, items| (items.len() > 1).then(|| items.swap(0, 1)))
    }),
    (
        "a list is older than what was known",
        Guarantee::ReadYourWrites,
        |history| {
            // The stranger sees nothing at any revision: only the revision is wrong.
            let old = history.truth[0].revision;
            let stranger = history.who.iter().position(|who| who.name == "stranger");
            let lists = history
                .lists
                .iter_mut()
                .rev()
                .filter(|list| Some(list.who) == stranger && list.ask == Ask::Latest);
            let mut pages = lists.filter_map(|list| match &mut list.listed {
                Listed::Page { revision, items, .. } if items.is_empty() => Some(revision),
                _ => None,
            });
            pages.next().is_some_and(|revision| {
                *revision = old;
                true
            })
        },
    ),
    ("a count is wrong", Guarantee::Exact, |history| {
        let mut lists = history.lists.iter_mut();
        lists.any(|list| match &mut list.listed {
            Listed::Page {
                remaining: Some(remaining),
                ..
            } => {
                *remaining += 1;
                true
            }
            _ => false,
        })
    }),
    ("a page is of another revision", Guarantee::Resumable, |history| {
        let mut lists = history.lists.iter_mut();
        lists.any(|list| match (&list.ask, &mut list.listed) {
            (Ask::Continue { first: Some(_), .. }, Listed::Page { revision, .. }) => {
                *revision -= 1;
                true
            }
            _ => false,
        })
    }),
    (
        "a page shows an object of another revision",
        Guarantee::Exact,
        |history| {
            items(history, |ask, items| match ask {
                Ask::Continue { first: Some(_), .. } if !items.is_empty() => {
                    items[0].revision += 1;
                    Some(())
                }
                _ => None,
            })
        },
    ),
    ("the last page is not the last", Guarantee::Complete, |history| {
        let mut lists = history.lists.iter_mut();
        lists.any(|list| match &mut list.listed {
            Listed::Page { more, remaining, .. } if *more => {
                *more = false;
                *remaining = None;
                true
            }
            _ => false,
        })
    }),
    ("a read is stale", Guarantee::ReadYourWrites, |history| {
        looks(history, |look, earlier| {
            let Found::Here(seen) = &mut look.found else { return };
            seen.revision = earlier.revision;
            seen.print = earlier.prints[0];
        })
    }),
    ("what is there is told to be absent", Guarantee::Complete, |history| {
        looks(history, |look, _| look.found = Found::Absent)
    }),
    ("an acknowledged write is not there", Guarantee::Durable, |history| {
        let begin = history.begin;
        stored(history, |_, seen| seen.revision = begin)
    }),
    (
        "a write was acknowledged with another state",
        Guarantee::Durable,
        |history| stored(history, |_, seen| seen.print ^= 1),
    ),
    ("a change is nobody's", Guarantee::Durable, |history| {
        updates(history).first().is_some_and(|(at, _)| {
            history.writes.remove(*at);
            true
        })
    }),
    (
        "two changes, and one write without an answer",
        Guarantee::Durable,
        |history| {
            let updates = updates(history);
            let pair = updates.iter().enumerate().find_map(|(at, (first, key))| {
                let mut later = updates[at + 1..].iter().filter(|(_, other)| other == key);
                later.next().map(|(second, _)| (*first, *second))
            });
            pair.is_some_and(|(first, second)| {
                history.writes[first].outcome = Outcome::Unknown;
                history.writes[first].replaces = None;
                history.writes.remove(second);
                true
            })
        },
    ),
    (
        "a collection without an answer, and an update that is nobody's",
        Guarantee::Durable,
        |history| {
            let place = updates(history).into_iter().next();
            place.is_some_and(|(at, key)| {
                let write = &mut history.writes[at];
                write.verb = Verb::DeleteCollection;
                write.outcome = Outcome::Unknown;
                write.key = None;
                write.collection = Some(Query::all(key.kind));
                true
            })
        },
    ),
    ("an update is lost", Guarantee::Durable, |history| {
        stored(history, |replaces, _| {
            *replaces = Some(1);
        })
    }),
    ("somebody wrote what they do not own", Guarantee::Exact, |history| {
        let stranger = history.who.iter().position(|who| who.name == "stranger");
        let updates = history.writes.iter_mut().filter(|write| write.verb == Verb::Update);
        let mut updates = updates.filter(|write| matches!(write.outcome, Outcome::Stored(_)));
        updates.next().is_some_and(|write| {
            write.who = stranger.expect("a stranger");
            true
        })
    }),
];

/// The first event that `change` changes, behind the first one of a watch that is judged.
fn events(history: &mut History, change: impl Fn(&mut Vec<Event>, usize) -> Option<()>) -> bool {
    let judged = history.watches.iter_mut().filter(|watch| watch.start != Start::Initial);
    for Watch { events, .. } in judged {
        for at in 1..events.len() {
            if change(events, at).is_some() {
                return true;
            }
        }
    }
    false
}

fn items(history: &mut History, change: impl Fn(&Ask, &mut Vec<Seen>) -> Option<()>) -> bool {
    history.lists.iter_mut().any(|list| match &mut list.listed {
        Listed::Page { items, .. } => change(&list.ask, items).is_some(),
        Listed::Expired { .. } => false,
    })
}

/// Acknowledged updates in the order of revisions, each the only write that says to have made its own, and of an object
/// to which every write was answered.
fn updates(history: &History) -> Vec<(usize, Key)> {
    let revision = |write: &Write| match &write.outcome {
        Outcome::Stored(seen) => Some(seen.revision),
        _ => None,
    };
    let mut said: HashMap<Revision, usize> = HashMap::new();
    for revision in history.writes.iter().filter_map(revision) {
        *said.entry(revision).or_default() += 1;
    }
    let unknown = history.writes.iter().filter(|write| write.outcome == Outcome::Unknown);
    let unknown: HashSet<&Key> = unknown.filter_map(|write| write.key.as_ref()).collect();
    let updates = history.writes.iter().enumerate().filter(|(_, write)| {
        let alone = revision(write).is_some_and(|revision| said[&revision] == 1);
        let excused = write.key.as_ref().is_some_and(|key| unknown.contains(key));
        write.verb == Verb::Update && alone && !excused
    });
    let mut updates: Vec<_> = updates
        .filter_map(|(at, write)| Some((at, write.key.clone()?)))
        .collect();
    updates.sort_by_key(|(at, _)| revision(&history.writes[*at]));
    updates
}

/// A read of something that had been written again before it began, and was still there when it ended; with its first
/// version.
fn looks(history: &mut History, change: impl Fn(&mut Look, &Version)) -> bool {
    let admin = history.who.len() - 1;
    let versions = |key: &Key, uid: &str| -> Vec<Arc<Version>> {
        let changes = history.truth.iter().flat_map(|moment| &moment.changes);
        let own = changes.filter_map(|(own, version)| version.as_ref().filter(|_| own == key));
        own.filter(|version| *version.uid == *uid).cloned().collect()
    };
    let found = history.looks.iter().enumerate().find_map(|(at, look)| {
        let Found::Here(seen) = &look.found else { return None };
        let mut moments = history.truth.iter().flat_map(|moment| &moment.changes);
        let now = moments.find_map(|(key, version)| {
            let version = version.as_ref()?;
            (*key == seen.key && version.revision == seen.revision).then_some(version)
        })?;
        let versions = versions(&seen.key, &now.uid);
        let second = versions.get(1)?.revision;
        let written = history.writes.iter().any(|write| match &write.outcome {
            Outcome::Stored(stored) => write.ended < look.began && stored.revision >= second,
            _ => false,
        });
        let mut later = history.truth.iter().filter(|moment| moment.revision >= second);
        let gone = later.find(|moment| {
            moment
                .changes
                .iter()
                .any(|(key, version)| *key == seen.key && version.is_none())
        });
        let stayed = gone.is_none_or(|gone| look.upper.is_some_and(|upper| upper < gone.revision));
        (look.who == admin && written && stayed).then(|| (at, versions[0].clone()))
    });
    found.is_some_and(|(at, version)| {
        change(&mut history.looks[at], &version);
        true
    })
}

fn stored(history: &mut History, change: impl Fn(&mut Option<u64>, &mut Seen)) -> bool {
    let writes = history.writes.iter_mut().filter(|write| write.verb == Verb::Update);
    let mut found = writes.filter_map(|write| match &mut write.outcome {
        Outcome::Stored(seen) => Some((&mut write.replaces, seen)),
        _ => None,
    });
    found.next().is_some_and(|(replaces, seen)| {
        change(replaces, seen);
        true
    })
}

fn is_modified(events: &[Event], at: usize) -> bool {
    matches!(events.get(at).map(|event| &event.what), Some(What::Modified(_)))
}

/// At the tick of the event that is in its place: nothing is known before it has happened.
fn insert(events: &mut Vec<Event>, at: usize, what: What) {
    let tick = events[at.min(events.len() - 1)].tick;
    events.insert(at, Event { tick, what });
}

fn hidden(events: &[Event], at: usize) -> Seen {
    Seen {
        key: Key::new(Kind::Organizations, "hidden"),
        revision: events[at].what.revision(),
        print: 0,
        role: None,
    }
}

/// How many histories are tried when one has no place for a break.
const HISTORIES: usize = 5;

/// A break is at one place of one answer, and the places are such that it breaks one guarantee only: no other is told with
/// it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_break_is_told_under_its_right_name() {
    let mut untried: Vec<_> = BREAKS.iter().collect();
    let mut failures = Vec::new();
    for _ in 0..HISTORIES {
        let opened = memory().await;
        let seed = rand::random();
        let good = runs::run(&opened, 3_000, seed).await;
        let wrong = check(&good);
        assert!(wrong.is_empty(), "seed {seed}: {}", wrong[0]);
        untried.retain(|(name, guarantee, change)| {
            let mut broken = good.clone();
            if !change(&mut broken) {
                return true;
            }
            let told = check(&broken);
            let names: BTreeSet<Guarantee> = told.iter().map(|violation| violation.guarantee).collect();
            if names != BTreeSet::from([*guarantee]) {
                let first = told.first().map(ToString::to_string).unwrap_or_default();
                failures.push(format!(
                    "seed {seed}, {name}: {names:?} instead of {guarantee:?}: {first}"
                ));
            }
            false
        });
        if untried.is_empty() {
            break;
        }
    }
    let untried: Vec<&str> = untried.iter().map(|(name, ..)| *name).collect();
    assert!(untried.is_empty(), "no place in {HISTORIES} histories for: {untried:?}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
