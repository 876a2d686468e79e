//! JSON Patch and JSON merge patch as k8s.io/apiserver applies them (github.com/evanphx/json-patch v4 under
//! pkg/endpoints/handlers/patch.go): RFC 6902 with indices from a list's end, RFC 7386.
//!
//! Two leniencies of the original are left out: a `replace` and a `copy` of what is not there do not succeed.

pub mod strategic;

use serde_json::{Map, Value};

use super::body::{self, DEPTH_LIMIT};
use super::json;

/// The most operations in one JSON Patch.
pub const OPERATIONS: usize = 10_000;
/// How much all copies of one patch may add, in bytes of JSON.
const COPIED: usize = 3 << 20;
/// How many values all operations of one patch may put somewhere or shift: far more than anybody needs.
const MOVED: usize = 5_000_000;

/// A decoded JSON Patch.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPatch(Vec<Operation>);

/// One operation; what is missing or of a wrong type is noticed when it is carried out.
#[derive(Clone, Debug, Default, PartialEq)]
struct Operation {
    op: Option<String>,
    path: Option<String>,
    from: Option<String>,
    value: Option<Value>,
}

/// What a patch has cost so far.
#[derive(Default)]
struct Spent {
    copied: usize,
    moved: usize,
}

/// Why an operation is not possible; clients are not told.
type Refusal = String;

/// Decodes a JSON Patch, with the unknown and duplicate fields of its operations if `strict`.
///
/// # Errors
/// The text for a 400.
pub fn decode_json(bytes: &[u8], strict: bool) -> Result<(JsonPatch, Vec<String>), String> {
    let opening = if strict { "error decoding patch: " } else { "" };
    let decoded = body::decode_json(bytes).map_err(|why| format!("{opening}{why}"))?;
    let wrong = |value: &Value, target: &str| {
        let kind = json::kind(value);
        format!("{opening}json: cannot unmarshal {kind} into Go {target}")
    };
    let types = match strict {
        true => [
            "value of type []handlers.jsonPatchOp",
            "value of type handlers.jsonPatchOp",
        ],
        false => ["value of type jsonpatch.Patch", "value of type jsonpatch.Operation"],
    };
    let items = match decoded.value {
        Value::Null => Vec::new(),
        Value::Array(items) => items,
        other => return Err(wrong(&other, types[0])),
    };
    let mut unknown = decoded.duplicates;
    let mut operations = Vec::with_capacity(items.len());
    for (at, item) in items.into_iter().enumerate() {
        let members = match item {
            Value::Null => Map::new(),
            Value::Object(members) => members,
            other => return Err(wrong(&other, types[1])),
        };
        let mut operation = Operation::default();
        for (name, value) in members {
            let text = match name.as_str() {
                "op" => &mut operation.op,
                "path" => &mut operation.path,
                "from" => &mut operation.from,
                "value" => {
                    operation.value = Some(value);
                    continue;
                }
                _ => {
                    unknown.push(format!("unknown field \"[{at}].{name}\""));
                    continue;
                }
            };
            match value {
                Value::String(given) => *text = Some(given),
                Value::Null => {}
                other if strict => {
                    return Err(wrong(
                        &other,
                        &format!("struct field jsonPatchOp.{name} of type string"),
                    ));
                }
                _ => {}
            }
        }
        operations.push(operation);
    }
    let unknown = unknown.iter().map(|one| format!("json patch {one}")).collect();
    Ok((JsonPatch(operations), if strict { unknown } else { Vec::new() }))
}

/// Decodes a merge patch, with its duplicate fields if `strict`.
///
/// # Errors
/// The text for a 400.
pub fn decode_merge(bytes: &[u8], strict: bool) -> Result<(Value, Vec<String>), String> {
    const BAD: &str = "Invalid JSON Patch";
    let decoded = body::decode_json(bytes).map_err(|why| match strict {
        true => format!("error decoding patch: {why}"),
        false => BAD.to_owned(),
    })?;
    match &decoded.value {
        Value::Object(_) => {}
        Value::Array(_) if !strict => {}
        other if strict && !other.is_null() => {
            let kind = json::kind(other);
            return Err(format!(
                "error decoding patch: json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
            ));
        }
        _ => return Err(BAD.to_owned()),
    }
    let duplicates = if strict { decoded.duplicates } else { Vec::new() };
    Ok((decoded.value, duplicates))
}

/// Applies a merge patch.
pub fn merge(object: &mut Value, patch: &Value) {
    match (object, patch) {
        (Value::Object(own), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    own.remove(key);
                    continue;
                }
                match own.get_mut(key) {
                    Some(present) if !present.is_null() => merge(present, value),
                    _ => drop(own.insert(key.clone(), without_nulls(value))),
                }
            }
        }
        // a list in the place of an object is taken as it is
        (object @ Value::Object(_), patch) => *object = patch.clone(),
        (object, patch) => *object = without_nulls(patch),
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

impl JsonPatch {
    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Carries out the operations; after a failure `object` is of no use any more.
    ///
    /// # Errors
    /// Why it is not possible, for the log.
    pub fn apply(&self, object: &mut Value) -> Result<(), Refusal> {
        let mut spent = Spent::default();
        self.0
            .iter()
            .try_for_each(|operation| operation.apply(object, &mut spent))
    }
}

impl Operation {
    fn apply(&self, object: &mut Value, spent: &mut Spent) -> Result<(), Refusal> {
        let op = self.op.as_deref().unwrap_or("unknown");
        let path = self.path.as_deref().ok_or_else(|| format!("{op} without a path"));
        let from = || self.from.as_deref().ok_or_else(|| format!("{op} without from"));
        let value = || self.value.clone().unwrap_or_default();
        match op {
            "add" => add(object, path?, value(), spent),
            "remove" => remove(object, path?, spent).map(drop),
            "replace" => replace(object, path?, value(), spent),
            "move" => {
                let moved = remove(object, from()?, spent)?;
                add(object, path?, moved, spent)
            }
            "copy" => {
                let source = find(object, from()?)?.ok_or("nothing to copy")?;
                spent.copied += json::to_vec(source).len();
                if spent.copied > COPIED {
                    return Err(format!("copies of more than {COPIED} bytes"));
                }
                let copy = source.clone();
                add(object, path?, copy, spent)
            }
            "test" => {
                let (path, wanted) = (path?, self.value.as_ref());
                let found = if path.is_empty() {
                    Some(&*object)
                } else {
                    find(object, path)?
                };
                match found {
                    Some(found) if Some(found) == wanted => Ok(()),
                    None if wanted.is_none_or(Value::is_null) => Ok(()),
                    _ => Err(format!("testing value {path} failed")),
                }
            }
            other => Err(format!("unexpected kind: {other}")),
        }
    }
}

/// The last part of a path, and the parts before it. What stands before the first slash means nothing.
fn split(path: &str) -> Result<(Vec<String>, String), Refusal> {
    let mut parts: Vec<String> = path.split('/').skip(1).map(unescape).collect();
    let last = parts.pop().ok_or("a path of no parts")?;
    Ok((parts, last))
}

fn unescape(part: &str) -> String {
    // one pass, as in the original: `~01` is `~1`
    let mut out = String::with_capacity(part.len());
    let mut rest = part;
    while let Some(at) = rest.find('~') {
        out.push_str(&rest[..at]);
        let (text, length) = match rest.as_bytes().get(at + 1) {
            Some(b'0') => ("~", 2),
            Some(b'1') => ("/", 2),
            _ => ("~", 1),
        };
        out.push_str(text);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out
}

fn missing(path: &str) -> Refusal {
    format!("the path {path:?} does not exist")
}

/// What stands at a path; `None` where the last part names no member.
fn find<'a>(object: &'a Value, path: &str) -> Result<Option<&'a Value>, Refusal> {
    let (parents, last) = split(path)?;
    let mut container = object;
    for part in parents {
        container = member(container, &part)?.ok_or_else(|| missing(path))?;
    }
    member(container, &last)
}

fn member<'a>(container: &'a Value, key: &str) -> Result<Option<&'a Value>, Refusal> {
    match container {
        Value::Object(members) => Ok(members.get(key)),
        Value::Array(items) => Ok(Some(&items[index(key, items.len())?])),
        _ => Err(format!("{key:?} is looked for in neither an object nor a list")),
    }
}

fn container<'a>(object: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), Refusal> {
    let (parents, last) = split(path)?;
    let mut container = object;
    for part in parents {
        container = match container {
            Value::Object(members) => members.get_mut(&part),
            Value::Array(items) => {
                let at = index(&part, items.len())?;
                items.get_mut(at)
            }
            _ => None,
        }
        .ok_or_else(|| missing(path))?;
    }
    Ok((container, last))
}

/// An existing item's index; negative ones count from the end.
fn index(key: &str, length: usize) -> Result<usize, Refusal> {
    let wrong = || format!("{key:?} is no index into {length} items");
    let at: i64 = key.parse().map_err(|_| wrong())?;
    let at = if at < 0 {
        let back = usize::try_from(at.unsigned_abs()).ok();
        back.and_then(|back| length.checked_sub(back))
    } else {
        usize::try_from(at).ok()
    };
    at.filter(|at| *at < length).ok_or_else(wrong)
}

fn add(object: &mut Value, path: &str, value: Value, spent: &mut Spent) -> Result<(), Refusal> {
    fits_at(path, &value, spent)?;
    let (container, key) = container(object, path)?;
    match container {
        Value::Object(members) => drop(members.insert(key, value)),
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let at = index(&key, items.len() + 1)?;
            spent.shift(items.len() - at)?;
            items.insert(at, value);
        }
        _ => return Err(missing(path)),
    }
    Ok(())
}

fn remove(object: &mut Value, path: &str, spent: &mut Spent) -> Result<Value, Refusal> {
    let (container, key) = container(object, path)?;
    match container {
        Value::Object(members) => members.remove(&key).ok_or_else(|| missing(path)),
        Value::Array(items) => {
            let at = index(&key, items.len())?;
            spent.shift(items.len() - at)?;
            Ok(items.remove(at))
        }
        _ => Err(missing(path)),
    }
}

fn replace(object: &mut Value, path: &str, value: Value, spent: &mut Spent) -> Result<(), Refusal> {
    fits_at(path, &value, spent)?;
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err("the whole is replaced by neither an object nor a list".to_owned());
        }
        *object = value;
        return Ok(());
    }
    let (container, key) = container(object, path)?;
    let place = match container {
        Value::Object(members) => members.get_mut(&key),
        Value::Array(items) => {
            let at = index(&key, items.len())?;
            items.get_mut(at)
        }
        _ => None,
    };
    *place.ok_or_else(|| missing(path))? = value;
    Ok(())
}

/// Whether the object is not deeper than a body may be with `value` at `path`: operations can pile up what no body carries.
fn fits_at(path: &str, value: &Value, spent: &mut Spent) -> Result<(), Refusal> {
    let steps = path.bytes().filter(|byte| *byte == b'/').count();
    let left = DEPTH_LIMIT.checked_sub(steps).ok_or("a path that is too deep")?;
    fits(value, left, spent)
}

fn fits(value: &Value, left: usize, spent: &mut Spent) -> Result<(), Refusal> {
    spent.shift(1)?;
    let mut below = |value: &Value| fits(value, left.saturating_sub(1), spent);
    match value {
        Value::Array(_) | Value::Object(_) if left == 0 => Err(format!("an object that is deeper than {DEPTH_LIMIT}")),
        Value::Array(items) => items.iter().try_for_each(below),
        Value::Object(members) => members.values().try_for_each(&mut below),
        _ => Ok(()),
    }
}

impl Spent {
    fn shift(&mut self, values: usize) -> Result<(), Refusal> {
        self.moved += values;
        if self.moved > MOVED {
            return Err(format!("more than {MOVED} values are moved"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
