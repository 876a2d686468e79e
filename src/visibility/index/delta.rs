//! What is different between two states of an object. Lists of subjects are sorted and mostly the same: they are merged,
//! and as equal subjects are equal pointers, what both have costs a compare of two pointers.

use std::cmp::Ordering;

use super::Audience;
use crate::wire::subject::SubjectKey;

/// Subjects that only the state before has, and only the one after. A subject may come twice.
#[derive(Debug, Default)]
pub(super) struct Delta {
    pub(super) lost: Vec<SubjectKey>,
    pub(super) gained: Vec<SubjectKey>,
}

/// Who no longer sees an object, and who sees it now. `through` says whether the ways through others changed, too.
pub(super) fn between(before: Option<&Audience>, after: Option<&Audience>, through: bool) -> Delta {
    let mut delta = named(before, after);
    let whole = before.is_none() || after.is_none();
    if through || whole {
        let add = |audience: Option<&Audience>, to: &mut Vec<SubjectKey>| {
            let pairs = audience.into_iter().flat_map(|audience| audience.through.0.iter());
            to.extend(pairs.map(|(subject, _)| subject.clone()));
        };
        add(before, &mut delta.lost);
        add(after, &mut delta.gained);
    }
    let sees =
        |audience: Option<&Audience>, subject: &SubjectKey| audience.is_some_and(|audience| audience.includes(subject));
    delta.lost.retain(|subject| !sees(after, subject));
    delta.gained.retain(|subject| !sees(before, subject));
    delta
}

/// Whom the object itself no longer names, and whom it names now.
pub(super) fn named(before: Option<&Audience>, after: Option<&Audience>) -> Delta {
    fn list(audience: Option<&Audience>, owners: bool) -> &[SubjectKey] {
        let facts = audience.map(|audience| &audience.facts);
        facts.map_or(&[], |facts| if owners { &facts.owners } else { &facts.members })
    }
    let mut delta = Delta::default();
    for owners in [true, false] {
        let (old, new) = (list(before, owners), list(after, owners));
        merge(old, new, |lost, gained| {
            delta.lost.extend(lost.cloned());
            delta.gained.extend(gained.cloned());
        });
    }
    let names = |audience: Option<&Audience>, subject: &SubjectKey| {
        audience.is_some_and(|audience| audience.facts.names(subject))
    };
    delta.lost.retain(|subject| !names(after, subject));
    delta.gained.retain(|subject| !names(before, subject));
    delta
}

/// Calls `each` with what only one of two sorted lists has.
fn merge(old: &[SubjectKey], new: &[SubjectKey], mut each: impl FnMut(Option<&SubjectKey>, Option<&SubjectKey>)) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => each(old.next(), None),
            (None, Some(_)) => each(None, new.next()),
            (Some(one), Some(other)) => match one.cmp(other) {
                Ordering::Less => each(old.next(), None),
                Ordering::Greater => each(None, new.next()),
                Ordering::Equal => {
                    old.next();
                    new.next();
                }
            },
        }
    }
}

/// Replaces subjects by equal ones of another sorted list, or by what is `known` of those that it does not have.
pub(super) fn share(
    subjects: &mut [SubjectKey],
    others: Option<&[SubjectKey]>,
    known: impl Fn(&SubjectKey) -> Option<SubjectKey>,
) {
    let mut others = others.unwrap_or_default();
    for subject in subjects {
        let passed = others.iter().take_while(|other| **other < *subject).count();
        others = &others[passed..];
        let same = others.first().filter(|other| **other == *subject);
        if let Some(shared) = same.cloned().or_else(|| known(subject)) {
            *subject = shared;
        }
    }
}
