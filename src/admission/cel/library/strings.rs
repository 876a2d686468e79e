//! Strings (cel-go common/types/string.go and ext/strings.go, version 2). Places are counted in characters.

use kube::core::cel::cel::Value;

use crate::admission::cel::budget::Budget;
use crate::admission::cel::error::Failure;
use crate::admission::cel::value::{string, strings};

pub(super) const NAMES: &[&str] = &[
    "charAt",
    "contains",
    "endsWith",
    "indexOf",
    "join",
    "lastIndexOf",
    "lowerAscii",
    "replace",
    "split",
    "startsWith",
    "strings.quote",
    "substring",
    "trim",
    "upperAscii",
];

pub(super) fn call(name: &str, arguments: &[Value], budget: &mut Budget) -> Result<Option<Value>, Failure> {
    if name == "join" {
        return join(arguments, budget);
    }
    let [Value::String(text), rest @ ..] = arguments else {
        return Ok(None);
    };
    Ok(Some(match (name, rest) {
        ("contains", [Value::String(part)]) => Value::Bool(text.contains(part.as_str())),
        ("startsWith", [Value::String(part)]) => Value::Bool(text.starts_with(part.as_str())),
        ("endsWith", [Value::String(part)]) => Value::Bool(text.ends_with(part.as_str())),
        ("charAt", [Value::Int(at)]) => char_at(text, *at)?,
        ("indexOf", [Value::String(part)]) => Value::Int(index_of(text, part, 0)?),
        ("indexOf", [Value::String(part), Value::Int(from)]) => Value::Int(index_of(text, part, *from)?),
        ("lastIndexOf", [Value::String(part)]) => Value::Int(last_index_of(text, part, None)?),
        ("lastIndexOf", [Value::String(part), Value::Int(from)]) => Value::Int(last_index_of(text, part, Some(*from))?),
        ("lowerAscii", []) => string(text.to_ascii_lowercase()),
        ("upperAscii", []) => string(text.to_ascii_uppercase()),
        ("trim", []) => string(text.trim()),
        ("replace", [Value::String(from), Value::String(to)]) => replace(text, from, to, -1, budget)?,
        ("replace", [Value::String(from), Value::String(to), Value::Int(times)]) => {
            replace(text, from, to, *times, budget)?
        }
        ("split", [Value::String(separator)]) => split(text, separator, -1),
        ("split", [Value::String(separator), Value::Int(parts)]) => split(text, separator, *parts),
        ("strings.quote", []) => string(quote(text)),
        ("substring", [Value::Int(start)]) => substring(text, *start, None)?,
        ("substring", [Value::Int(start), Value::Int(end)]) => substring(text, *start, Some(*end))?,
        _ => return Ok(None),
    }))
}

fn out_of_range(at: i64) -> Failure {
    Failure::new(format!("index out of range: {at}"))
}

fn char_at(text: &str, at: i64) -> Result<Value, Failure> {
    let place = usize::try_from(at).map_err(|_| out_of_range(at))?;
    match text.chars().nth(place) {
        Some(character) => Ok(string(character)),
        None if text.chars().count() == place => Ok(string("")),
        None => Err(out_of_range(at)),
    }
}

fn index_of(text: &str, part: &str, from: i64) -> Result<i64, Failure> {
    if part.is_empty() {
        return Ok(from);
    }
    let from = usize::try_from(from).map_err(|_| out_of_range(from))?;
    let Some((start, _)) = text.char_indices().nth(from) else {
        return Ok(-1);
    };
    Ok(text[start..].find(part).map_or(-1, |at| place_of(text, start + at)))
}

fn last_index_of(text: &str, part: &str, from: Option<i64>) -> Result<i64, Failure> {
    if part.is_empty() {
        return Ok(from.unwrap_or_else(|| place_of(text, text.len())));
    }
    let Some(from) = from else {
        return Ok(text.rfind(part).map_or(-1, |at| place_of(text, at)));
    };
    let from = usize::try_from(from).map_err(|_| out_of_range(from))?;
    let Some((start, _)) = text.char_indices().nth(from) else {
        return Ok(-1);
    };
    let end = (start + part.len()).min(text.len());
    let end = (end..=text.len())
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(end);
    Ok(text[..end].rfind(part).map_or(-1, |at| place_of(text, at)))
}

fn place_of(text: &str, byte: usize) -> i64 {
    i64::try_from(text[..byte].chars().count()).unwrap_or(i64::MAX)
}

fn replace(text: &str, from: &str, to: &str, times: i64, budget: &mut Budget) -> Result<Value, Failure> {
    let places = match from {
        "" => text.chars().count() + 1,
        from => text.matches(from).count(),
    };
    let times = usize::try_from(times).map_or(places, |times| times.min(places));
    budget.spend_bytes(text.len().saturating_add(times.saturating_mul(to.len())))?;
    Ok(string(text.replacen(from, to, times)))
}

/// Go's strings.SplitN.
fn split(text: &str, separator: &str, parts: i64) -> Value {
    let separate = |most: usize| -> Vec<String> {
        if !separator.is_empty() {
            return text.splitn(most, separator).map(str::to_owned).collect();
        }
        let mut characters: Vec<String> = text.chars().map(String::from).collect();
        if characters.len() > most {
            let rest = characters.split_off(most.saturating_sub(1)).concat();
            characters.push(rest);
        }
        characters
    };
    match usize::try_from(parts) {
        Ok(0) => strings(Vec::<String>::new()),
        Ok(most) => strings(separate(most)),
        Err(_) => strings(separate(usize::MAX)),
    }
}

fn substring(text: &str, start: i64, end: Option<i64>) -> Result<Value, Failure> {
    if let Some(end) = end.filter(|end| start > *end) {
        let why = format!("invalid substring range. start: {start}, end: {end}");
        return Err(Failure::new(why));
    }
    let byte = |place: i64| {
        let place_from = usize::try_from(place).map_err(|_| out_of_range(place))?;
        let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        ends.nth(place_from).ok_or_else(|| out_of_range(place))
    };
    let start = byte(start)?;
    let end = end.map_or(Ok(text.len()), byte)?;
    Ok(string(&text[start..end]))
}

fn join(arguments: &[Value], budget: &mut Budget) -> Result<Option<Value>, Failure> {
    let (items, separator) = match arguments {
        [Value::List(items)] => (items, ""),
        [Value::List(items), Value::String(separator)] => (items, separator.as_str()),
        _ => return Ok(None),
    };
    budget.spend_bytes(items.len().saturating_mul(separator.len()))?;
    let texts: Option<Vec<&str>> = items
        .iter()
        .map(|item| match item {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    match texts {
        Some(texts) => {
            budget.spend_bytes(texts.iter().map(|text| text.len()).sum())?;
            Ok(Some(string(texts.join(separator))))
        }
        None => Ok(None),
    }
}

fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
