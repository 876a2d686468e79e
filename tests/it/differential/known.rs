//! The differences that stay, each with its reason.

use std::cell::Cell;

use super::compare::Difference;

/// One line of the list.
#[derive(Debug)]
pub(super) struct Entry {
    request: String,
    place: String,
    pub(super) reason: String,
    pub(super) met: Cell<usize>,
}

/// The list in a folder beside the corpus, in a file for each area.
pub(super) fn read(folder: &str) -> Vec<Entry> {
    let entries = std::fs::read_dir(folder).expect("the list of known differences");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    let texts = paths.iter().map(|path| {
        let text = std::fs::read_to_string(path);
        text.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    texts.flat_map(|text| parse(&text)).collect()
}

fn parse(text: &str) -> Vec<Entry> {
    let mut reason = String::new();
    let mut entries = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(sentence) = line.strip_prefix("= ") {
            sentence.clone_into(&mut reason);
            continue;
        }
        let (request, place) = line
            .rsplit_once("  ")
            .unwrap_or_else(|| panic!("known differences: {line}"));
        assert!(!reason.is_empty(), "known differences: no reason above {line}");
        entries.push(Entry {
            request: request.trim().to_owned(),
            place: place.trim().to_owned(),
            reason: reason.clone(),
            met: Cell::new(0),
        });
    }
    entries
}

impl Entry {
    /// How it stands in the list.
    pub(super) fn line(&self) -> String {
        format!("{}  {}", self.request, self.place)
    }

    /// Whether this difference is one of those that it lists.
    pub(super) fn lists(&self, difference: &Difference) -> bool {
        matches(&self.request, &difference.request) && matches(&self.place, &difference.place)
    }

    /// Whether it permits this difference; if so, it was needed.
    pub(super) fn permits(&self, difference: &Difference) -> bool {
        let permitted = self.lists(difference);
        if permitted {
            self.met.set(self.met.get() + 1);
        }
        permitted
    }
}

/// Whether `pattern`, in which `*` stands for any text, is the whole of `text`.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

#[test]
fn patterns_stand_for_whole_texts() {
    assert!(matches("a*c/*", "abc/d"));
    assert!(matches("*", ""));
    assert!(matches("a", "a"));
    assert!(!matches("a", "ab"));
    assert!(!matches("a*b", "ac"));
    assert!(!matches("ab*b", "ab"));
}

#[test]
fn a_list_has_reasons() {
    let list = parse("# about\n= Because.\none [a, b]/*  /json/x\n\n= So.\n*  /header/y\n");
    let read: Vec<_> = list.iter().map(|entry| (entry.line(), entry.reason.as_str())).collect();
    assert_eq!(
        read,
        [
            ("one [a, b]/*  /json/x".to_owned(), "Because."),
            ("*  /header/y".to_owned(), "So.")
        ]
    );
}
