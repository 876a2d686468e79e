//! Transactions of which nobody says whether they were carried out, as the member that had them is gone.

use crate::storage::{Change, Entry, Expect, Op, Revision};

/// Whether such a transaction may be sent again, however late the first one arrives: one of its keys leaves the revision that is
/// demanded, and no key has a revision twice. (One that is absent now may be so again.)
pub(super) fn harmless(ops: &[Op]) -> bool {
    ops.iter()
        .any(|op| matches!(op.expect, Expect::At(_)) && !matches!(op.change, Change::Keep))
}

/// The revision at which the first one was carried out, seen by what its keys have now: all that it puts, and nothing since. `None`
/// where that cannot be told.
pub(super) fn carried_out(ops: &[Op], now: &[Option<Entry>]) -> Option<Revision> {
    let mut revision = None;
    for (op, now) in ops.iter().zip(now) {
        match (&op.change, now) {
            (Change::Put(value), Some(entry)) if entry.value == *value => {
                if *revision.get_or_insert(entry.revision) != entry.revision {
                    return None;
                }
            }
            (Change::Keep, _) | (Change::Delete, None) => {}
            (Change::Put(_), _) | (Change::Delete, Some(_)) => return None,
        }
    }
    revision
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(expect: Expect, change: Change) -> Op {
        Op {
            key: "key".to_owned(),
            expect,
            change,
        }
    }

    fn entry(revision: Revision, value: &str) -> Option<Entry> {
        Some(Entry {
            key: "key".to_owned(),
            revision,
            value: value.to_owned().into(),
        })
    }

    fn put(value: &str) -> Change {
        Change::Put(value.to_owned().into())
    }

    #[test]
    fn only_what_leaves_a_revision_behind_is_sent_again() {
        assert!(harmless(&[op(Expect::At(3), put("new"))]));
        assert!(harmless(&[
            op(Expect::At(3), Change::Delete),
            op(Expect::Absent, put("new"))
        ]));
        for expect in [Expect::Absent, Expect::Any] {
            assert!(!harmless(&[op(expect, put("new")), op(Expect::At(3), Change::Keep)]));
        }
    }

    #[test]
    fn it_was_carried_out_where_all_it_puts_is_there_at_one_revision() {
        let ops = [
            op(Expect::At(3), put("new")),
            op(Expect::At(4), put("other")),
            op(Expect::At(5), Change::Delete),
        ];
        let now = |first, second, third| carried_out(&ops, &[first, second, third]);
        assert_eq!(now(entry(7, "new"), entry(7, "other"), None), Some(7));
        assert_eq!(now(entry(7, "new"), entry(8, "other"), None), None);
        assert_eq!(now(entry(7, "new"), entry(7, "another"), None), None);
        assert_eq!(now(entry(7, "new"), None, None), None);
        assert_eq!(now(entry(7, "new"), entry(7, "other"), entry(5, "there")), None);
        // Whoever deleted it: nothing says that it was this one.
        assert_eq!(carried_out(&[op(Expect::At(3), Change::Delete)], &[None]), None);
    }
}
