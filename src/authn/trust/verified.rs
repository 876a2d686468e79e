//! Chains that one set of authorities has verified: a connection shows the same chain with every request, and a
//! signature that was right once stays right.

use std::collections::HashMap;

use parking_lot::Mutex;
use rustls_pki_types::{CertificateDer, UnixTime};

/// How many chains are remembered. Only verified ones are, so strangers cannot fill it.
const CAPACITY: usize = 1_024;
/// Longer chains than this, in bytes, are not remembered: whoever has a certificate may show any others with it.
const LONGEST: usize = 8 << 10;

/// The moments at which every certificate of a chain, and the authority that it leads to, are valid; both ends are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) not_before: UnixTime,
    pub(super) not_after: UnixTime,
}

/// Verified chains. It belongs to one set of authorities and must go with it.
#[derive(Debug, Default)]
pub(super) struct Verified(Mutex<HashMap<Key, Window>>);

/// A whole chain. Not its digest: to hash for a table is much cheaper, and this happens with every request.
pub(super) type Key = Vec<u8>;

// === impl Window ===

impl Window {
    pub(super) fn contains(&self, now: UnixTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// The moments of both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            not_before: self.not_before.max(other.not_before),
            not_after: self.not_after.min(other.not_after),
        }
    }
}

// === impl Verified ===

impl Verified {
    /// What a chain is remembered by: all of its certificates in their order.
    pub(super) fn key(chain: &[CertificateDer<'_>]) -> Key {
        let lengths = chain.iter().map(|certificate| size_of::<u64>() + certificate.len());
        let mut key = Vec::with_capacity(lengths.sum());
        for certificate in chain {
            // With the length, so that no two chains read the same.
            key.extend_from_slice(&(certificate.len() as u64).to_be_bytes());
            key.extend_from_slice(certificate);
        }
        key
    }

    /// Whether the chain was verified before and is valid `now`.
    pub(super) fn holds(&self, key: &Key, now: UnixTime) -> bool {
        self.0.lock().get(key).is_some_and(|window| window.contains(now))
    }

    /// Remembers a chain that was verified.
    pub(super) fn remember(&self, key: Key, window: Window) {
        if key.len() > LONGEST {
            return;
        }
        let mut chains = self.0.lock();
        if chains.len() >= CAPACITY && !chains.contains_key(&key) {
            // Rare, and costs no more than to verify the chains in use once more.
            chains.clear();
        }
        chains.insert(key, window);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_number_of_chains_is_bounded() {
        let second = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let window = Window {
            not_before: second(1),
            not_after: second(3),
        };
        let verified = Verified::default();
        let key = |number: usize| Verified::key(&[CertificateDer::from(number.to_be_bytes().to_vec())]);
        for number in 0..3 * CAPACITY {
            verified.remember(key(number), window);
            assert!(
                verified.holds(&key(number), second(2)),
                "the newest one is always there"
            );
            assert!(verified.0.lock().len() <= CAPACITY);
        }
    }

    #[test]
    fn long_chains_are_not_kept() {
        let window = Window {
            not_before: UnixTime::since_unix_epoch(Duration::from_secs(1)),
            not_after: UnixTime::since_unix_epoch(Duration::from_secs(3)),
        };
        let verified = Verified::default();
        let key = Verified::key(&[CertificateDer::from(vec![0; LONGEST])]);
        verified.remember(key.clone(), window);
        assert!(!verified.holds(&key, UnixTime::since_unix_epoch(Duration::from_secs(2))));
        assert!(verified.0.lock().is_empty());
    }

    #[test]
    fn chains_that_read_alike_have_different_keys() {
        let der = |bytes: &[u8]| CertificateDer::from(bytes.to_vec());
        assert_ne!(
            Verified::key(&[der(b"ab"), der(b"c")]),
            Verified::key(&[der(b"a"), der(b"bc")])
        );
        assert_ne!(Verified::key(&[der(b"a")]), Verified::key(&[der(b"a"), der(b"")]));
    }
}
