//! A persistent ordered set that is small when it has few elements.

use std::sync::Arc;

use imbl::OrdSet;

/// More than so many elements are kept as a tree.
const FEW: usize = 16;
/// A tree that shrinks to so many becomes a slice again; fewer than [`FEW`], so that it does not go to and fro.
const FEWER: usize = 8;

/// Elements in order, each once. A clone shares everything.
#[derive(Clone)]
pub enum Set<T> {
    /// Most subjects see a handful of objects: a tree's node has room for sixteen.
    Few(Arc<[T]>),
    /// A change copies a path of the tree.
    Many(Arc<OrdSet<T>>),
}

impl<T: Clone + Ord> Set<T> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `one` is in it.
    pub fn contains(&self, one: &T) -> bool {
        match self {
            Self::Few(few) => few.binary_search(one).is_ok(),
            Self::Many(many) => many.contains(one),
        }
    }

    /// Adds an element; answers whether it is new.
    pub fn insert(&mut self, one: T) -> bool {
        match self {
            Self::Few(few) => {
                let Err(at) = few.binary_search(&one) else { return false };
                let (start, end) = few.split_at(at);
                let all = start.iter().cloned().chain([one]).chain(end.iter().cloned());
                *self = all.collect::<Vec<_>>().into();
                true
            }
            Self::Many(many) => Arc::make_mut(many).insert(one).is_none(),
        }
    }

    /// Takes an element away; answers whether it was there.
    pub fn remove(&mut self, one: &T) -> bool {
        match self {
            Self::Few(few) => {
                let Ok(at) = few.binary_search(one) else { return false };
                let left = few[..at].iter().chain(&few[at + 1..]);
                *few = left.cloned().collect();
                true
            }
            Self::Many(many) => {
                let was = Arc::make_mut(many).remove(one).is_some();
                if many.len() <= FEWER {
                    *self = Self::Few(many.iter().cloned().collect());
                }
                was
            }
        }
    }

    /// Whether two sets are one, not just equal.
    #[cfg(test)]
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Few(one), Self::Few(other)) => Arc::ptr_eq(one, other),
            (Self::Many(one), Self::Many(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// All elements in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let (few, many) = match self {
            Self::Few(few) => (Some(few.iter()), None),
            Self::Many(many) => (None, Some(many.iter())),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }

    /// The elements that are not less than `lowest`, in order.
    pub fn starting_at(&self, lowest: T) -> impl Iterator<Item = &T> {
        let (few, many) = match self {
            Self::Few(few) => {
                let start = few.partition_point(|one| *one < lowest);
                (Some(few[start..].iter()), None)
            }
            Self::Many(many) => (None, Some(many.range(lowest..))),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }
}

impl<T: Clone + Ord + std::fmt::Debug> std::fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self::Few(Arc::default())
    }
}

impl<T: Clone + Ord> From<Vec<T>> for Set<T> {
    /// Of elements that are sorted and without duplicates.
    fn from(sorted: Vec<T>) -> Self {
        if sorted.len() > FEW {
            Self::Many(Arc::new(sorted.into_iter().collect()))
        } else {
            Self::Few(sorted.into())
        }
    }
}

impl<T: Clone + Ord> PartialEq for Set<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}
