//! How large an index is.

use std::mem::size_of;
use std::sync::Arc;

use super::{Key, KindId, Set, SubjectKey};

/// What an index holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Subjects that see anything.
    pub subjects: usize,
    /// Pairs of a subject and an object that it sees.
    pub postings: usize,
    /// Objects that anybody sees through others.
    pub seen_through: usize,
    /// Namespaces that are claimed by an object of another name.
    pub claims: usize,
    /// Triples of an object, a subject, and another object through which that subject sees it.
    pub(super) pairs: usize,
    /// Bytes of the subjects' texts.
    pub(super) text: usize,
}

/// The nodes of the persistent maps are half full on the average, or a little more.
const FILL: usize = 2;
/// Counters of an `Arc`, and what the allocator adds.
const COUNTED: usize = 3 * size_of::<usize>();

impl Size {
    /// Bytes of memory, estimated from the numbers of things and the sizes of their types.
    pub fn bytes(&self) -> usize {
        let slot = size_of::<(SubjectKey, Set<(KindId, Key)>)>() + size_of::<usize>();
        let subject = FILL * slot + 2 * COUNTED;
        let through = FILL * (slot + size_of::<usize>()) + COUNTED;
        let pair = size_of::<(SubjectKey, Arc<str>)>();
        let posting = size_of::<(KindId, Key)>();
        self.subjects * subject
            + self.text
            + self.postings * posting
            + (self.seen_through + self.claims) * through
            + self.pairs * pair
    }
}
