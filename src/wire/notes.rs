//! What the stages of one request have to say beside its answer: sentences for its client, facts for its audit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use super::meta;

/// How much an audit wants to know of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Detail {
    /// Nobody listens.
    #[default]
    Nothing,
    /// What it was about, and why it was decided as it was.
    Facts,
    /// What was sent as well.
    Objects,
}

/// Collected along the way of one request, by whoever has something to say.
#[derive(Debug, Default)]
pub struct Notes {
    detail: AtomicU8,
    /// Nanoseconds.
    elsewhere: AtomicU64,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    warnings: Vec<String>,
    annotations: BTreeMap<String, String>,
    submitted: Option<Submitted>,
    seen: Option<u64>,
}

/// What a request has sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Submitted {
    /// `metadata.name` of the object; empty for what is none.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// The whole, where it is wanted.
    pub object: Option<Value>,
}

impl Notes {
    /// From now on an audit wants this much.
    pub fn listen(&self, detail: Detail) {
        self.detail.store(detail as u8, Ordering::Relaxed);
    }

    /// Whether an audit wants this much. What nobody wants need not be found out.
    pub fn wanted(&self, detail: Detail) -> bool {
        self.detail.load(Ordering::Relaxed) >= detail as u8
    }

    /// So much of the request's time was not this server's: webhooks took it, or other requests.
    pub fn spent_elsewhere(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.elsewhere.fetch_add(nanos, Ordering::Relaxed);
    }

    /// All of the time that was not this server's.
    pub fn elsewhere(&self) -> Duration {
        Duration::from_nanos(self.elsewhere.load(Ordering::Relaxed))
    }

    /// A sentence for a `Warning` header; one that was said already is not said again
    /// (k8s.io/apiserver pkg/endpoints/filters/warning.go).
    pub fn warn(&self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        let warnings = &mut self.said.lock().warnings;
        if !warnings.contains(&sentence) {
            warnings.push(sentence);
        }
    }

    /// A fact for the audit. The first word on a key stands (k8s.io/apiserver pkg/audit/context.go).
    pub fn annotate(&self, key: impl Into<String>, value: impl Into<String>) {
        let annotations = &mut self.said.lock().annotations;
        annotations.entry(key.into()).or_insert_with(|| value.into());
    }

    /// A fact that may be found out several times until it is sure: the last word stands, and none takes it back.
    pub fn settle(&self, key: &str, value: Option<String>) {
        let annotations = &mut self.said.lock().annotations;
        match value {
            Some(value) => annotations.insert(key.to_owned(), value),
            None => annotations.remove(key),
        };
    }

    /// So many more objects or events were shown.
    pub fn show(&self, count: usize) {
        if self.wanted(Detail::Facts) {
            *self.said.lock().seen.get_or_insert(0) += count as u64;
        }
    }

    /// An object was sent, as it was understood.
    pub fn submit(&self, object: &Value) {
        if self.wanted(Detail::Facts) {
            let submitted = Submitted {
                name: meta::name(object).to_owned(),
                namespace: meta::namespace(object).to_owned(),
                uid: meta::uid(object).to_owned(),
                resource_version: meta::resource_version(object).to_owned(),
                object: self.wanted(Detail::Objects).then(|| object.clone()),
            };
            self.said.lock().submitted = Some(submitted);
        }
    }

    /// Something was sent that is no object: a patch, or options. `read` makes it out where it is wanted.
    pub fn submit_other(&self, read: impl FnOnce() -> Option<Value>) {
        if self.wanted(Detail::Objects) {
            let submitted = Submitted {
                object: read(),
                ..Submitted::default()
            };
            self.said.lock().submitted = Some(submitted);
        }
    }

    /// The sentences, in the order in which they came.
    pub fn warnings(&self) -> Vec<String> {
        self.said.lock().warnings.clone()
    }

    /// The facts.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        self.said.lock().annotations.clone()
    }

    /// What was sent, as far as it is wanted.
    pub fn submitted(&self) -> Option<Submitted> {
        self.said.lock().submitted.clone()
    }

    /// How many objects or events were shown, if the request is one that shows some.
    pub fn seen(&self) -> Option<u64> {
        self.said.lock().seen
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Detail, Notes};

    #[test]
    fn nothing_is_said_twice_and_the_first_word_stands() {
        let notes = Notes::default();
        notes.warn("a");
        notes.warn("b");
        notes.warn("a");
        notes.annotate("k", "first");
        notes.annotate("k", "second");
        assert_eq!(notes.warnings(), ["a", "b"]);
        assert_eq!(notes.annotations()["k"], "first");
        notes.settle("s", Some("first".to_owned()));
        notes.settle("s", Some("second".to_owned()));
        assert_eq!(notes.annotations()["s"], "second");
        notes.settle("s", None);
        assert_eq!(notes.annotations().get("s"), None);
    }

    #[test]
    fn what_nobody_wants_is_not_kept() {
        let object = json!({"metadata": {"name": "a", "uid": "u"}, "spec": {}});
        let notes = Notes::default();
        notes.submit(&object);
        notes.submit_other(|| panic!("nobody asked"));
        notes.show(3);
        assert_eq!((notes.submitted(), notes.seen()), (None, None));

        notes.listen(Detail::Facts);
        notes.submit(&object);
        notes.show(3);
        notes.show(2);
        let facts = notes.submitted().expect("listened");
        assert_eq!(
            (facts.name.as_str(), facts.uid.as_str(), facts.object),
            ("a", "u", None)
        );
        assert_eq!(notes.seen(), Some(5));

        notes.listen(Detail::Objects);
        notes.submit(&object);
        assert_eq!(notes.submitted().and_then(|all| all.object), Some(object));
    }
}
