//! How many entries are read at once while everything is loaded.

use crate::storage::Entry;

/// Entries of the first page, when nothing is known about their size.
const FIRST: usize = 200;
/// The most entries of a page: etcd counts all keys that follow for each of them, so many pages cost the square of what
/// there is, but two pages are held while they are parsed.
const MOST: usize = 10_000;
/// Entries that a page may always have. Beyond, it has at most a [`SHARE`] of what is loaded, so that the memory of the pages
/// is small beside that of the objects.
const LEAST: usize = 2_000;
/// See [`LEAST`].
const SHARE: usize = 16;
/// Bytes of values that a page should have.
const BYTES: usize = 10 << 20;
/// How many times more entries than the last one a page may have, as the next objects may be larger.
const GROWTH: usize = 8;

/// The size of the next page, by what the last ones had.
#[derive(Debug)]
pub(super) struct PageSize {
    entries: usize,
    loaded: usize,
}

impl Default for PageSize {
    fn default() -> Self {
        Self {
            entries: FIRST,
            loaded: 0,
        }
    }
}

impl PageSize {
    /// Entries to ask for.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// Learns from a page.
    pub(super) fn read(&mut self, entries: &[Entry]) {
        let bytes: usize = entries.iter().map(|entry| entry.value.len()).sum();
        let fitting = BYTES * entries.len() / bytes.max(1);
        self.loaded += entries.len();
        let most = (self.loaded / SHARE).clamp(LEAST, MOST);
        self.entries = fitting.clamp(1, most.min(self.entries * GROWTH));
    }

    /// After a failure, which may be that of an answer too large to be sent: whether a smaller page can be tried.
    pub(super) fn shrink(&mut self) -> bool {
        let smaller = self.entries > FIRST;
        if smaller {
            self.entries = FIRST;
        }
        smaller
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn page(entries: usize, bytes: usize) -> Vec<Entry> {
        let entry = Entry {
            key: "a".to_owned(),
            value: Bytes::from(vec![0; bytes]),
            revision: 1,
        };
        vec![entry; entries]
    }

    #[test]
    fn pages_of_small_objects_grow_with_what_is_loaded() {
        let mut size = PageSize::default();
        let mut asked = Vec::new();
        for _ in 0..200 {
            asked.push(size.entries());
            size.read(&page(size.entries(), 100));
        }
        assert_eq!(asked[..4], [FIRST, FIRST * GROWTH, LEAST, LEAST]);
        let mut loaded = 0;
        for entries in asked {
            assert!(entries <= LEAST.max(loaded / SHARE), "{entries} after {loaded}");
            loaded += entries;
        }
        assert_eq!(size.entries(), MOST);
    }

    #[test]
    fn pages_of_large_objects_hold_the_bytes_that_are_aimed_at() {
        let mut size = PageSize::default();
        size.read(&page(FIRST, 1 << 20));
        assert_eq!(size.entries(), BYTES >> 20);
        size.read(&page(2, BYTES * 2));
        assert_eq!(size.entries(), 1, "never none");
        size.read(&[]);
        assert_eq!(size.entries(), 1, "an empty page says nothing");
    }

    #[test]
    fn a_failure_makes_a_page_small_once() {
        let mut size = PageSize::default();
        assert!(!size.shrink(), "the first page is the smallest that is tried");
        size.read(&page(FIRST, 100));
        assert!(size.shrink());
        assert_eq!(size.entries(), FIRST);
        assert!(!size.shrink());
    }
}
