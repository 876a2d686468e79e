//! Where two answers differ.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// One place in which an answer differs.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    /// The request's name.
    pub(super) request: String,
    /// Where in the answer: a JSON pointer; elements of lists that have names are called by them.
    pub(super) place: String,
    /// What the Go server answers there.
    pub(super) theirs: String,
    /// What the other server answers there.
    pub(super) ours: String,
}

/// Compares two answers to one request; the second number is that of the places which were compared.
pub(super) fn compare(request: &str, theirs: &Value, ours: &Value) -> (Vec<Difference>, usize) {
    let mut walk = Walk {
        request,
        found: Vec::new(),
        compared: 0,
    };
    walk.values("", Some(theirs), Some(ours));
    (walk.found, walk.compared)
}

struct Walk<'a> {
    request: &'a str,
    found: Vec<Difference>,
    compared: usize,
}

impl Walk<'_> {
    fn values(&mut self, place: &str, theirs: Option<&Value>, ours: Option<&Value>) {
        match (theirs, ours) {
            (Some(Value::Object(theirs)), Some(Value::Object(ours))) => self.objects(place, theirs, ours),
            (Some(Value::Array(theirs)), Some(Value::Array(ours))) => self.lists(place, theirs, ours),
            (theirs, ours) => {
                self.compared += 1;
                if theirs != ours {
                    self.found.push(Difference {
                        request: self.request.to_owned(),
                        place: place.to_owned(),
                        theirs: short(theirs),
                        ours: short(ours),
                    });
                }
            }
        }
    }

    fn objects(&mut self, place: &str, theirs: &Map<String, Value>, ours: &Map<String, Value>) {
        for (key, value) in theirs {
            self.values(&below(place, key), Some(value), ours.get(key));
        }
        for (key, value) in ours.iter().filter(|(key, _)| !theirs.contains_key(*key)) {
            self.values(&below(place, key), None, Some(value));
        }
    }

    fn lists(&mut self, place: &str, theirs: &[Value], ours: &[Value]) {
        if let (Some(named_theirs), Some(named_ours)) = (named(theirs), named(ours)) {
            let order = |list: &[Value], other: &BTreeMap<&str, &Value>| -> Value {
                let names = list.iter().filter_map(|item| item["name"].as_str());
                names.filter(|name| other.contains_key(name)).collect()
            };
            let (first, second) = (order(theirs, &named_ours), order(ours, &named_theirs));
            // what both have, in one order; and then each of them
            if first != second {
                self.values(
                    &below(place, "order"),
                    Some(&first.to_string().into()),
                    Some(&second.to_string().into()),
                );
            }
            for (name, value) in &named_theirs {
                self.values(&below(place, name), Some(value), named_ours.get(name).copied());
            }
            for (name, value) in named_ours.iter().filter(|(name, _)| !named_theirs.contains_key(*name)) {
                self.values(&below(place, name), None, Some(value));
            }
            return;
        }
        if let (Some(set_theirs), Some(set_ours)) = (texts(theirs), texts(ours)) {
            for text in set_theirs.union(&set_ours) {
                let (theirs, ours) = (
                    Value::from(set_theirs.contains(text)),
                    Value::from(set_ours.contains(text)),
                );
                self.values(&below(place, text), Some(&theirs), Some(&ours));
            }
            return;
        }
        for at in 0..theirs.len().max(ours.len()) {
            self.values(&below(place, &at.to_string()), theirs.get(at), ours.get(at));
        }
    }
}

/// The elements by name, if they all have one of their own.
fn named(list: &[Value]) -> Option<BTreeMap<&str, &Value>> {
    let mut all = BTreeMap::new();
    for item in list {
        if all.insert(item.get("name")?.as_str()?, item).is_some() {
            return None;
        }
    }
    Some(all)
}

/// The elements of a long and sorted list of texts, such as the index of paths: what is in the one and not in the other must
/// not make all that follow differ.
fn texts(list: &[Value]) -> Option<BTreeSet<&str>> {
    let texts: Vec<&str> = list.iter().map(Value::as_str).collect::<Option<_>>()?;
    (texts.len() > 8 && texts.is_sorted()).then(|| texts.into_iter().collect())
}

fn below(place: &str, key: &str) -> String {
    format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn short(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "(absent)".to_owned(), Value::to_string);
    match text.char_indices().nth(600) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[test]
fn differences_are_found_where_they_are() {
    use serde_json::json;
    let theirs = json!({"a": 1, "list": [{"name": "x", "v": 1}, {"name": "y"}], "plain": [1, 2]});
    let ours = json!({"a": 1, "list": [{"name": "y"}, {"name": "x", "v": 2}], "plain": [1], "new": {}});
    let (found, compared) = compare("r", &theirs, &ours);
    let places: Vec<&str> = found.iter().map(|difference| difference.place.as_str()).collect();
    assert_eq!(places, ["/list/order", "/list/x/v", "/plain/1", "/new"]);
    assert_eq!(compared, 8);
}
