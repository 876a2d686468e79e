//! What the stages of one request have to say beside its answer: sentences for its client, facts for its audit.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Collected along the way of one request, by whoever has something to say.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    warnings: Vec<String>,
    annotations: BTreeMap<String, String>,
}

impl Notes {
    /// A sentence for a `Warning` header; one that was said already is not said again
    /// (k8s.io/apiserver pkg/endpoints/filters/warning.go).
    pub fn warn(&self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        let warnings = &mut self.0.lock().warnings;
        if !warnings.contains(&sentence) {
            warnings.push(sentence);
        }
    }

    /// A fact for the audit. The first word on a key stands (k8s.io/apiserver pkg/audit/context.go).
    pub fn annotate(&self, key: impl Into<String>, value: impl Into<String>) {
        let annotations = &mut self.0.lock().annotations;
        annotations.entry(key.into()).or_insert_with(|| value.into());
    }

    /// The sentences, in the order in which they came.
    pub fn warnings(&self) -> Vec<String> {
        self.0.lock().warnings.clone()
    }

    /// The facts.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        self.0.lock().annotations.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::Notes;

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
    }
}
