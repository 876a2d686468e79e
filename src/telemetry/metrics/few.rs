//! Metrics with one label whose few values are known: found without hashing.

use std::sync::OnceLock;

/// The children of a vector by the value of its one label; each is made when it is first wanted.
pub(super) struct Few<M> {
    make: Box<dyn Fn(&str) -> M + Send + Sync>,
    known: Vec<(&'static str, OnceLock<M>)>,
}

impl<M: Clone> Few<M> {
    pub(super) fn new(known: &[&'static str], make: impl Fn(&str) -> M + Send + Sync + 'static) -> Self {
        let known = known.iter().map(|value| (*value, OnceLock::new())).collect();
        Self {
            make: Box::new(make),
            known,
        }
    }

    pub(super) fn at(&self, value: &str) -> M {
        match self.known.iter().find(|(known, _)| *known == value) {
            Some((_, child)) => child.get_or_init(|| (self.make)(value)).clone(),
            None => (self.make)(value),
        }
    }
}

impl<M> std::fmt::Debug for Few<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Few").finish_non_exhaustive()
    }
}
