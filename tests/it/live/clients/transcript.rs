//! What steps handed back, without what differs between any two servers.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// Where the order means nothing, and depends on the second in which things happened, or on Go's maps.
const UNORDERED: [&str; 2] = ["managedFields", "causes"];

/// The lines of a transcript, each with `step` and either `result` or `error`.
pub(super) fn normal(lines: Vec<Value>, group: &str) -> Vec<Value> {
    let mut seen = Seen::default();
    let mut normal = |line: Value| {
        let text = line.to_string().replace(group, "GROUP");
        let mut line = serde_json::from_str(&text).unwrap();
        seen.normalise(&mut line, "");
        line
    };
    lines.into_iter().map(&mut normal).collect()
}

/// What a server made up, by the order in which it appeared.
#[derive(Default)]
struct Seen {
    uids: HashMap<String, usize>,
    versions: HashMap<String, usize>,
}

impl Seen {
    fn normalise(&mut self, value: &mut Value, name: &str) {
        match value {
            Value::Object(object) => {
                self.metadata(object);
                // No next page: said by an empty token, or not at all.
                object.retain(|name, value| name != "continue" || *value != json!(""));
                for (name, value) in object {
                    self.normalise(value, name);
                }
            }
            Value::Array(all) => {
                all.iter_mut().for_each(|value| self.normalise(value, ""));
                if UNORDERED.contains(&name) {
                    all.sort_by_key(ToString::to_string);
                }
            }
            Value::String(text) => match name {
                "uid" if !text.is_empty() => *text = number("uid", &mut self.uids, text),
                "resourceVersion" if !text.is_empty() => *text = number("version", &mut self.versions, text),
                "creationTimestamp" | "deletionTimestamp" | "time" => *text = "TIME".to_owned(),
                "continue" if !text.is_empty() => *text = "TOKEN".to_owned(),
                "message" => *text = self.message(text),
                _ => {}
            },
            _ => {}
        }
    }

    /// The version of a list or of a bookmark is the storage's, where others write, too.
    fn metadata(&self, object: &mut Map<String, Value>) {
        let storage = object.contains_key("items") || object.get("type") == Some(&json!("BOOKMARK"));
        let holder = if object.contains_key("items") {
            object.get_mut("metadata")
        } else {
            object.get_mut("object").and_then(|object| object.get_mut("metadata"))
        };
        if let Some(version) = holder
            .filter(|_| storage)
            .and_then(|metadata| metadata.get_mut("resourceVersion"))
        {
            *version = json!("");
        }
    }

    /// Some errors quote the whole object, with all that the server made up.
    fn quoted(&mut self, text: &str) -> String {
        const BEFORE: &str = "Invalid value: ";
        let Some(at) = text.find(BEFORE).map(|at| at + BEFORE.len()) else {
            return text.to_owned();
        };
        let mut quoted = serde_json::Deserializer::from_str(&text[at..]).into_iter::<String>();
        let object = quoted.next().and_then(Result::ok);
        let Some(Ok(mut object)) = object.map(|object| serde_json::from_str::<Value>(&object)) else {
            return text.to_owned();
        };
        self.normalise(&mut object, "");
        format!("{}{object}{}", &text[..at], &text[at + quoted.byte_offset()..])
    }

    fn message(&mut self, text: &str) -> String {
        let mut text = self.quoted(text);
        for (uid, number) in &self.uids {
            text = text.replace(uid, &format!("uid {number}"));
        }
        // Revisions, which are long here.
        let mut out = String::new();
        for part in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
            let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
            let rest = &part[digits.len()..];
            out.push_str(if digits.len() > 2 { "N" } else { digits });
            out.push_str(rest);
        }
        out
    }
}

fn number(what: &str, known: &mut HashMap<String, usize>, text: &str) -> String {
    let next = known.len();
    format!("{what} {}", known.entry(text.to_owned()).or_insert(next))
}

/// Every step in which two transcripts differ.
pub(super) fn differences(ours: &[Value], theirs: &[Value]) -> Vec<String> {
    let mut all = Vec::new();
    for at in 0..ours.len().max(theirs.len()) {
        let (our, their) = (ours.get(at), theirs.get(at));
        if our != their {
            let show = |line: Option<&Value>| line.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            all.push(format!("ours:   {}\ntheirs: {}", show(our), show(their)));
        }
        let steps = [our, their].map(|line| line.map(|line| line["step"].clone()));
        if steps[0] != steps[1] {
            // What follows is out of step.
            break;
        }
    }
    all
}

#[test]
fn what_differs_is_seen_and_what_any_two_servers_make_up_is_not() {
    let line = |uid: &str, version: &str, message: &str| json!({"step": "x", "result": {"metadata": {"uid": uid, "resourceVersion": version}}, "error": {"message": message}});
    let second = |uid: &str, version: &str, message: &str| {
        normal(vec![line(uid, version, ""), line(uid, version, message)], "example.com")
    };
    let ours = second("uid-a", "1000", "at 1000, uid-a");
    let theirs = second("uid-b", "2345", "at 2345, uid-b");
    assert_eq!(ours, theirs);
    assert_eq!(differences(&ours, &theirs[..1]).len(), 1);
    let other = second("uid-b", "2345", "of 2345, uid-b");
    assert_eq!(differences(&ours, &other).len(), 1);
    let changed = vec![line("uid-b", "2345", ""), line("uid-b", "2346", "at 2346, uid-b")];
    assert_eq!(differences(&ours, &normal(changed, "example.com")).len(), 1);
}
