//! Relative keys and etcd's keys: prefix, slash, relative key.

use bytes::Bytes;
use etcd_client::KeyValue;

use super::unsigned;
use crate::storage::Entry;

#[derive(Debug)]
pub(super) struct Keys {
    /// The prefix with the slash behind it.
    root: String,
}

impl Keys {
    /// Takes the prefix as Kubernetes does: with one slash before it and none behind.
    pub(super) fn new(prefix: &str) -> Self {
        let name = prefix.trim_matches('/');
        let root = if name.is_empty() {
            "/".to_owned()
        } else {
            format!("/{name}/")
        };
        Self { root }
    }

    pub(super) fn absolute(&self, key: &str) -> Vec<u8> {
        [self.root.as_bytes(), key.as_bytes()].concat()
    }

    /// The relative key; `None` for one of another prefix, or one that is not UTF-8 and thus not ours.
    pub(super) fn relative(&self, key: &[u8]) -> Option<String> {
        let relative = key.strip_prefix(self.root.as_bytes())?;
        let Ok(relative) = std::str::from_utf8(relative) else {
            tracing::warn!(key = %String::from_utf8_lossy(key), "ignoring a foreign key in etcd");
            return None;
        };
        Some(relative.to_owned())
    }

    pub(super) fn entry(&self, kv: KeyValue) -> Option<Entry> {
        let revision = unsigned(kv.mod_revision());
        let (key, value) = kv.into_key_value();
        Some(Entry {
            key: self.relative(&key)?,
            value: Bytes::from(value),
            revision,
        })
    }

    /// The half-open range of the keys that start with `prefix` and are greater than `after`.
    pub(super) fn range(&self, prefix: &str, after: Option<&str>) -> (Vec<u8>, Vec<u8>) {
        let first = self.absolute(prefix);
        let end = behind(&first);
        // The successor of a key in byte order is the key with a zero byte.
        let start = match after.map(|after| self.absolute(&format!("{after}\0"))) {
            Some(start) if start > first => start,
            _ => first,
        };
        // An empty range, which etcd would otherwise take for "every key from here on" or refuse.
        let start = if start > end { end.clone() } else { start };
        (start, end)
    }
}

/// The first key behind all keys that start with `prefix`. The prefix starts with a slash, so there is one.
fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_normalized() {
        for prefix in ["bulward", "/bulward", "/bulward/", "bulward/"] {
            assert_eq!(Keys::new(prefix).absolute("a"), b"/bulward/a");
        }
        assert_eq!(Keys::new("").absolute("a"), b"/a");
        assert_eq!(Keys::new("/team/a").absolute("k"), b"/team/a/k");
    }

    #[test]
    fn foreign_keys_have_no_relative_one() {
        let keys = Keys::new("/a");
        assert_eq!(keys.relative(b"/a/x/y"), Some("x/y".to_owned()));
        assert_eq!(keys.relative(b"/ab/x"), None);
        assert_eq!(keys.relative(b"/a/\xff"), None);
    }

    #[test]
    fn ranges_end_behind_the_prefix() {
        let keys = Keys::new("/a");
        assert_eq!(keys.range("", None), (b"/a/".to_vec(), b"/a0".to_vec()));
        assert_eq!(keys.range("p/", Some("p/x")), (b"/a/p/x\0".to_vec(), b"/a/p0".to_vec()));
        assert_eq!(keys.range("p/", Some("a")), (b"/a/p/".to_vec(), b"/a/p0".to_vec()));
        let (start, end) = keys.range("p/", Some("q"));
        assert_eq!(start, end, "nothing of the prefix comes behind");
        assert_eq!(behind(b"/\xff"), b"0".to_vec());
    }
}
