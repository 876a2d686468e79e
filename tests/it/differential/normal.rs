//! Takes out of an answer what is different each time: uids, times, revisions, tokens, addresses.
//!
//! Uids and revisions of objects become numbers in the order of their first appearance under a name, so that "the same as
//! before" is compared; a list's revision depends on what else happened and is only known to be one.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

static UID: LazyLock<Regex> = LazyLock::new(|| pattern("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"));
static TIME: LazyLock<Regex> = LazyLock::new(|| pattern("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"));
static ETAG: LazyLock<Regex> = LazyLock::new(|| pattern("^\"[0-9A-F]{128}\"$"));
static HTTP_TIME: LazyLock<Regex> =
    LazyLock::new(|| pattern("^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} .* GMT$"));

/// Numbers and names that stand in texts, by what stands before them.
static IN_TEXTS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        ("(, current: )[0-9]+", "${1}{revision}"),
        (r"(too old resource version: [0-9]+ \()[0-9]+", "${1}{revision}"),
        ("(ResourceVersion in record \\()[0-9]+", "${1}{revision}"),
        ("(ResourceVersion in precondition: )[0-9]+", "${1}{revision}"),
        ("(ResourceVersion in object meta: )[0-9]+", "${1}{revision}"),
        (r#"(resourceVersion\\*":\\*")[0-9]+"#, "${1}{revision}"),
        ("(, Key: )[^,]*", "${1}{key}"),
        // a generated name, in an error's text
        (
            "(\"|^)a/[bcdfghjklmnpqrstvwxz2456789]{5}(\"|$)",
            "${1}a/{generated}${2}",
        ),
        ("(hash=)[0-9A-F]{128}", "${1}{hash}"),
        // Go names definitions after packages, where we name them after groups
        (
            r"(^|/)io\.k8s\.sample-apiserver\.pkg\.apis\.wardle\.",
            "${1}com.example.wardle.",
        ),
        ("^(127\\.0\\.0\\.1)?:[0-9]+$", "{address}"),
    ];
    rules.map(|(text, with)| (pattern(text), with)).to_vec()
});

/// Headers that say nothing of the server's rules: the time, the request's own id, and how HTTP frames the body.
const UNSPOKEN: [&str; 5] = ["date", "audit-id", "content-length", "transfer-encoding", "connection"];

/// The field of protobuf's ObjectMeta (k8s.io/apimachinery pkg/apis/meta/v1/generated.proto).
const MANAGED_FIELDS: &str = "17";

/// What one server has answered until now in a scenario.
#[derive(Debug, Default)]
pub(super) struct Normalizer {
    uids: Numbers,
    revisions: Numbers,
}

/// What was seen, with what is written instead.
#[derive(Debug, Default)]
struct Numbers {
    seen: HashMap<String, String>,
    /// How many there are of each name.
    counts: HashMap<String, usize>,
}

impl Numbers {
    /// What stands for `text`, which is the `what` of the object called `name`.
    fn of(&mut self, what: &str, text: &str, name: &str) -> String {
        let counts = &mut self.counts;
        let number = self.seen.entry(text.to_owned()).or_insert_with(|| {
            let count = counts.entry(name.to_owned()).or_default();
            *count += 1;
            format!("{{{what} {count} of {name}}}")
        });
        number.clone()
    }
}

impl Normalizer {
    /// The headers that are compared.
    pub(super) fn headers(&mut self, headers: &http::HeaderMap) -> Value {
        let mut all = Map::new();
        for name in headers.keys().filter(|name| !UNSPOKEN.contains(&name.as_str())) {
            let values = headers.get_all(name).iter();
            let values: Vec<String> = values
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            let value = values.join("\n");
            let value = match name.as_str() {
                // of objects that priority and fairness made, not of ours
                name if name.starts_with("x-kubernetes-pf-") => UID.replace_all(&value, "{uid}").into_owned(),
                "etag" if ETAG.is_match(&value) => "{etag}".to_owned(),
                _ if HTTP_TIME.is_match(&value) => "{time}".to_owned(),
                _ => self.text(&value),
            };
            all.insert(name.as_str().to_owned(), json!(value));
        }
        Value::Object(all)
    }

    /// A text, also one within JSON.
    pub(super) fn text(&mut self, text: &str) -> String {
        let mut out = UID
            .replace_all(text, |found: &Captures<'_>| {
                let seen = self.uids.seen.get(&found[0]);
                seen.map_or_else(|| "{uid}".to_owned(), Clone::clone)
            })
            .into_owned();
        out = TIME.replace_all(&out, "{time}").into_owned();
        out = quoted_entries_sorted(&out).unwrap_or(out);
        for (rule, with) in IN_TEXTS.iter() {
            out = rule.replace_all(&out, *with).into_owned();
        }
        out
    }

    /// What was read from protobuf, where nothing says which text is a revision.
    pub(super) fn protobuf(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                json!("{number}")
            }
            Value::Array(items) => items.into_iter().map(|item| self.protobuf(item)).collect(),
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(key, value)| (key, self.protobuf(value)));
                let mut fields: Map<String, Value> = fields.collect();
                if let Some(Value::Array(entries)) = fields.get_mut(MANAGED_FIELDS)
                    && entries.iter().all(|entry| entry["6"][0] == "FieldsV1")
                {
                    // their order depends on the second in which things happened
                    entries.sort_by_key(Value::to_string);
                }
                Value::Object(fields)
            }
            other => self.value(other),
        }
    }

    /// A JSON value, as deep as it goes.
    pub(super) fn value(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.value(item)).collect()),
            Value::Object(object) => self.object(object),
            other => other,
        }
    }

    fn object(&mut self, mut object: Map<String, Value>) -> Value {
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            self.metadata(metadata);
        }
        if let Some(Value::Array(causes)) = object.get_mut("causes")
            && causes.iter().any(|cause| cause["reason"] == "FieldManagerConflict")
        {
            // Go's order is that of a map
            causes.sort_by_key(Value::to_string);
        }
        let members = object
            .into_iter()
            .map(|(key, value)| (self.text(&key), self.value(value)));
        Value::Object(members.collect())
    }

    fn metadata(&mut self, metadata: &mut Map<String, Value>) {
        Self::generated(metadata);
        let name = metadata.get("name").and_then(Value::as_str).map(str::to_owned);
        if let (Some(name), Some(Value::String(uid))) = (&name, metadata.get_mut("uid"))
            && UID.is_match(uid)
        {
            *uid = self.uids.of("uid", uid, name);
        }
        if let Some(Value::String(revision)) = metadata.get_mut("resourceVersion")
            && !revision.is_empty()
            && revision.bytes().all(|byte| byte.is_ascii_digit())
        {
            *revision = match &name {
                Some(name) => self.revisions.of("revision", revision, name),
                None => "{revision}".to_owned(),
            };
        }
        if let Some(Value::String(token)) = metadata.get_mut("continue")
            && !token.is_empty()
        {
            "{continue}".clone_into(token);
        }
        if let Some(Value::Array(entries)) = metadata.get_mut("managedFields") {
            // their order depends on the second in which things happened
            for entry in entries
                .iter_mut()
                .filter(|entry| entry.get("time").is_some_and(Value::is_string))
            {
                entry["time"] = json!("{time}");
            }
            entries.sort_by_key(Value::to_string);
        }
    }

    /// Takes the random end off a generated name.
    fn generated(metadata: &mut Map<String, Value>) {
        let generated = metadata.get("generateName").and_then(Value::as_str).map(str::to_owned);
        if let (Some(base), Some(Value::String(name))) = (generated, metadata.get_mut("name")) {
            let base: String = base.chars().take(58).collect();
            let rest = name.strip_prefix(&base).unwrap_or_default();
            if rest.len() == 5 && rest.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b)) {
                *name = format!("{base}{{generated}}");
            }
        }
    }
}

/// A text that quotes an object, with the entries of its `managedFields` sorted, whose order depends on the second in which
/// things happened. Nothing else in it is written anew.
fn quoted_entries_sorted(text: &str) -> Option<String> {
    let start = text.find(r#""{"#)?;
    let mut quoted = serde_json::Deserializer::from_str(&text[start..]).into_iter::<String>();
    let object = quoted.next()?.ok()?;
    let end = start + quoted.byte_offset();
    if serde_json::to_string(&object).ok()? != text[start..end] {
        return None;
    }
    let name = r#""managedFields":"#;
    let list = object.find(name)? + name.len();
    let mut read = serde_json::Deserializer::from_str(&object[list..]).into_iter::<Vec<Box<RawValue>>>();
    let entries = read.next()?.ok()?;
    let rest = &object[list + read.byte_offset()..];
    let mut entries: Vec<&str> = entries.iter().map(|entry| entry.get()).collect();
    entries.sort_unstable();
    let object = format!("{}[{}]{rest}", &object[..list], entries.join(","));
    let quoted = serde_json::to_string(&object).ok()?;
    Some(format!("{}{quoted}{}", &text[..start], &text[end..]))
}

#[test]
fn the_order_of_managed_fields_is_that_of_the_clock() {
    let entry =
        |manager: &str| format!(r#"{{"manager":"{manager}","fieldsV1":{{"f:a":{{"k:{{\"x\":\"]\"}}":{{}}}}}}}}"#);
    let told = |entries: [&str; 2], name: &str| {
        let entries = entries.map(entry).join(",");
        let object = format!(r#"{{"metadata":{{"managedFields":[{entries}],"name":"{name}"}}}}"#);
        let text = format!("Invalid value: {}: why", serde_json::to_string(&object).unwrap());
        Normalizer::default().text(&text)
    };
    assert_eq!(told(["json", "merger"], "a"), told(["merger", "json"], "a"));
    assert_ne!(told(["json", "merger"], "a"), told(["json", "merger"], "b"));
    assert_ne!(told(["json", "merger"], "a"), told(["json", "json"], "a"));
    let told = |managers: [&str; 2]| {
        let entries = managers.map(|manager| json!({"1": [manager], "6": ["FieldsV1"]}));
        Normalizer::default().protobuf(json!({"1": [{"17": entries}]}))
    };
    assert_eq!(told(["json", "merger"]), told(["merger", "json"]));
    assert_ne!(told(["json", "merger"]), told(["json", "json"]));
}

#[test]
fn what_differs_each_time_is_taken_out() {
    let mut normalizer = Normalizer::default();
    let object = json!({"metadata": {"name": "n-bcdfg", "generateName": "n-", "resourceVersion": "12",
        "uid": "0a1b2c3d-0000-4000-8000-000000000001", "creationTimestamp": "2026-01-02T03:04:05Z"}});
    let expected = json!({"metadata": {"name": "n-{generated}", "generateName": "n-",
        "resourceVersion": "{revision 1 of n-{generated}}",
        "uid": "{uid 1 of n-{generated}}", "creationTimestamp": "{time}"}});
    assert_eq!(normalizer.value(object.clone()), expected);
    assert_eq!(normalizer.value(object), expected);
    let list = json!({"metadata": {"resourceVersion": "99", "continue": "abc"}, "items": []});
    let expected = json!({"metadata": {"resourceVersion": "{revision}", "continue": "{continue}"}, "items": []});
    assert_eq!(normalizer.value(list), expected);
    let text = "Too large resource version: 9, current: 17";
    assert_eq!(
        normalizer.text(text),
        "Too large resource version: 9, current: {revision}"
    );
}
