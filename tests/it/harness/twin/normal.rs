//! Answers without what differs between any two servers.

use serde_json::{Value, json};

use crate::harness::in_process::Answer;

/// The headers that are compared.
const HEADERS: [&str; 6] = [
    "content-type",
    "content-encoding",
    "retry-after",
    "vary",
    "warning",
    "x-content-type-options",
];

/// What is compared of an answer.
pub(crate) fn normal(answer: &Answer) -> Value {
    let mut headers = json!({});
    for name in HEADERS {
        let values = answer.headers.get_all(name).iter();
        let values: Vec<String> = values
            .map(|value| words(&String::from_utf8_lossy(value.as_bytes())))
            .collect();
        if !values.is_empty() {
            headers[name] = json!(values);
        }
    }
    let yaml = answer.header("content-type") == Some("application/yaml");
    let value = match yaml {
        true => serde_saphyr::from_str(&answer.text()).ok(),
        false => serde_json::from_slice(&answer.body).ok(),
    };
    let body = match value {
        Some(mut value) => {
            strip(&mut value);
            value
        }
        None => json!(words(&answer.text())),
    };
    json!({"code": answer.code, "headers": headers, "body": body, "indented": indented(answer)})
}

/// Whether JSON is written for people, and ends with a line feed.
fn indented(answer: &Answer) -> (bool, bool) {
    let json = answer
        .header("content-type")
        .is_some_and(|media| media.contains("json"));
    (json && answer.body.starts_with(b"{\n"), answer.body.ends_with(b"\n"))
}

/// Takes out uids, times and revisions.
pub(crate) fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                match (key.as_str(), &*member) {
                    ("uid" | "resourceVersion" | "continue", Value::String(text)) if !text.is_empty() => {
                        *member = json!(key);
                    }
                    ("creationTimestamp" | "deletionTimestamp" | "time", Value::String(_)) => *member = json!("T"),
                    _ => strip(member),
                }
            }
            // no token and an empty one are the same to everybody
            if members.get("continue") == Some(&json!("")) {
                members.remove("continue");
            }
            // the order depends on the second in which things happened
            if let Some(Value::Array(entries)) = members.get_mut("managedFields") {
                entries.sort_by_key(ToString::to_string);
            }
            // random in Go
            if let Some(Value::Array(causes)) = members.get_mut("causes") {
                causes.sort_by_key(ToString::to_string);
            }
            // an age in seconds
            if let Some(Value::Array(cells)) = members.get_mut("cells") {
                for cell in cells {
                    if let Value::String(text) = cell {
                        *text = age(text);
                    }
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::String(text) => *text = words(text),
        _ => {}
    }
}

fn age(text: &str) -> String {
    match text.strip_suffix('s') {
        Some(number) if number.parse::<u32>().is_ok() => "AGE".to_owned(),
        _ => text.to_owned(),
    }
}

/// Uids, times and revisions within a text.
fn words(text: &str) -> String {
    let text = &["resourceVersion", "current: ", "version: 1 ("]
        .into_iter()
        .fold(text.to_owned(), |text, name| without_number(&text, name));
    let mut out = String::with_capacity(text.len());
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':');
    let mut rest = text.as_str();
    while let Some(start) = rest.find(is_word) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        out.push_str(&normal_word(word));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

fn normal_word(word: &str) -> String {
    let dashes = word.matches('-').count();
    if word.len() == 36 && dashes == 4 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        return "uid".to_owned();
    }
    if word.len() == 20 && word.ends_with('Z') && word.contains('T') && dashes == 2 {
        return "T".to_owned();
    }
    word.to_owned()
}

/// A text without the numbers that follow `name`, however that is quoted.
fn without_number(text: &str, name: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, after) = rest.split_at(at + name.len());
        out.push_str(before);
        let quotes = after.find(|c| !matches!(c, '\\' | '"' | ':')).unwrap_or(after.len());
        let (quotes, after) = after.split_at(quotes);
        out.push_str(quotes);
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        rest = &after[digits..];
    }
    out.push_str(rest);
    out
}
