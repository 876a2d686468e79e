//! Objects on their way into the storage: when its watch brings back what was just written here, nothing is read again.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::object::Object;

/// Bytes of what is remembered. What does not come back, because the write failed or another one came first, stays until
/// then: beyond it all is forgotten, which costs nothing but time.
const MOST: usize = 16 << 20;

/// What this process has written last, by storage key.
#[derive(Default)]
pub struct Written(Mutex<Writes>);

#[derive(Default)]
struct Writes {
    by_key: HashMap<String, Write>,
    bytes: usize,
}

struct Write {
    stored: Bytes,
    object: Arc<Object>,
}

impl Written {
    /// Remembers an object that is about to be stored as these bytes, whatever its revision will be.
    pub fn note(&self, key: &str, stored: Bytes, object: Arc<Object>) {
        let mut writes = self.0.lock();
        if writes.bytes + stored.len() > MOST {
            *writes = Writes::default();
        }
        writes.bytes += stored.len();
        if let Some(before) = writes.by_key.insert(key.to_owned(), Write { stored, object }) {
            writes.bytes -= before.stored.len();
        }
    }

    /// The object that was written here as these very bytes, once; other processes write others.
    pub(super) fn take(&self, key: &str, stored: &[u8]) -> Option<Arc<Object>> {
        let mut writes = self.0.lock();
        writes.by_key.get(key).filter(|write| write.stored == stored)?;
        let write = writes.by_key.remove(key)?;
        writes.bytes -= write.stored.len();
        Some(write.object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::watchcache::KindSpec;

    fn object() -> Arc<Object> {
        let spec = KindSpec {
            plural: "things".to_owned(),
            fields: Vec::new(),
            facts: |_| Default::default(),
            through: None,
        };
        let value = json!({"metadata": {"name": "x"}});
        Arc::new(Object::from_value(&spec, "x".into(), 0, &value).expect("an object"))
    }

    #[test]
    fn only_the_very_bytes_are_known_and_once() {
        let written = Written::default();
        written.note("things/x", "one".into(), object());
        written.note("things/x", "two".into(), object());
        assert!(
            written.take("things/x", b"one").is_none(),
            "another write came after it"
        );
        assert!(written.take("things/y", b"two").is_none());
        assert!(written.take("things/x", b"two").is_some());
        assert!(written.take("things/x", b"two").is_none());
        assert_eq!(written.0.lock().bytes, 0);
    }

    #[test]
    fn what_never_comes_back_is_bounded() {
        let written = Written::default();
        let object = object();
        for number in 0..100 {
            written.note(&format!("things/{number}"), vec![0; MOST / 10].into(), object.clone());
            let writes = written.0.lock();
            assert_eq!(writes.bytes, writes.by_key.len() * (MOST / 10));
            assert!(writes.bytes <= MOST);
        }
        assert!(written.take("things/99", &[0; MOST / 10]).is_some());
    }
}
