//! What types say about values (sigs.k8s.io/structured-merge-diff typed/{helpers,validate,tofieldset,remove}.go).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::path::Element;
use super::scalar;
use super::set::Set;
use super::shape::{Fields, Key, List, Scalar, Shape, ShapeRef};

/// How much is said of what is wrong, in bytes; the last text is told to its end.
const ERRORS_LIMIT: usize = 64 << 10;

/// Which of the possible types a value has. Where it has none of them, or is null, all stay, and object goes before
/// scalar before list.
#[derive(Clone, Copy, Debug)]
pub enum Atom<'a> {
    /// An object.
    Map(&'a Fields),
    /// A scalar.
    Scalar(Scalar),
    /// A list.
    List(&'a List),
}

/// The type of `value`, and whether the value decided it.
pub fn deduce<'a>(shape: &'a Shape, value: Option<&Value>) -> (Option<Atom<'a>>, u8) {
    match (value, shape) {
        (Some(Value::Object(_)), Shape { map: Some(map), .. }) => (Some(Atom::Map(map)), 1),
        (Some(Value::Array(_)), Shape { list: Some(list), .. }) => (Some(Atom::List(list)), 2),
        (
            Some(Value::Number(_) | Value::String(_) | Value::Bool(_)),
            Shape {
                scalar: Some(scalar), ..
            },
        ) => (Some(Atom::Scalar(*scalar)), 3),
        _ => {
            let kinds = [shape.map.is_some(), shape.list.is_some(), shape.scalar.is_some()];
            // what has one type has it whatever the value
            let kind = match kinds {
                [true, false, false] => 1,
                [false, true, false] => 2,
                [false, false, true] => 3,
                _ => 0,
            };
            let map = shape.map.as_ref().map(Atom::Map);
            let scalar = || shape.scalar.map(Atom::Scalar);
            let list = || shape.list.as_ref().map(Atom::List);
            (map.or_else(scalar).or_else(list), kind)
        }
    }
}

/// How an item of a set or of a list of type map is called.
///
/// # Errors
/// Why it cannot be told apart from others.
pub fn item_element(keys: &[Key], item: &Value) -> Result<Element, String> {
    if keys.is_empty() {
        return match item {
            Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
            Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
            Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
            scalar => Ok(Element::Item(scalar.clone())),
        };
    }
    let item = match item {
        Value::Object(map) => map,
        Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let given = keys.iter().filter_map(|key| {
        let value = item.get(&key.name).or(key.default.as_ref())?;
        Some((key.name.clone(), value.clone()))
    });
    let mut given: Vec<(String, Value)> = given.collect();
    if given.is_empty() {
        let names: Vec<String> = keys.iter().map(|key| crate::wire::quote::go_quote(&key.name)).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any \
             key fields)",
            names.join(" ")
        ));
    }
    given.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Element::Key(given))
}

/// What is wrong with a value: the path, a colon, and why.
pub fn validate(shape: ShapeRef<'_>, value: &Value, duplicates_allowed: bool) -> Vec<String> {
    let mut errors = Errors::default();
    validate_at(shape, value, duplicates_allowed, &mut String::new(), &mut errors);
    errors.texts
}

/// Several errors as one text.
pub fn error_text(errors: &[String]) -> String {
    match errors {
        [only] => only.clone(),
        several => {
            let lines = several.iter().map(|error| format!("\n  {error}"));
            format!("errors:{}", lines.collect::<String>())
        }
    }
}

/// What is wrong with a value, as far as anybody reads.
#[derive(Default)]
struct Errors {
    texts: Vec<String>,
    size: usize,
}

impl Errors {
    fn push(&mut self, text: String) {
        if !self.are_enough() {
            self.size += text.len();
            self.texts.push(text);
        }
    }

    /// Every text names its whole path: a long name above many faults would fill the memory.
    fn are_enough(&self) -> bool {
        self.size > ERRORS_LIMIT
    }
}

fn validate_at(shape: ShapeRef<'_>, value: &Value, duplicates: bool, path: &mut String, errors: &mut Errors) {
    if errors.are_enough() {
        return;
    }
    let length = path.len();
    let problem = |path: &str, text: String| {
        if path.is_empty() {
            text
        } else {
            format!("{path}: {text}")
        }
    };
    match deduce(shape.resolve(), Some(value)).0 {
        None => errors.push(problem(path, "schema error: invalid atom: inlined".to_owned())),
        Some(Atom::Scalar(kind)) => {
            if let Some(text) = scalar_error(kind, Some(value), "") {
                errors.push(problem(path, text));
            }
        }
        Some(Atom::Map(fields)) => match value {
            Value::Null => {}
            Value::Object(map) => {
                for (name, value) in map {
                    path.push('.');
                    path.push_str(name);
                    match fields.field(name) {
                        Some(shape) => validate_at(shape, value, duplicates, path, errors),
                        None => {
                            errors.push(problem(path, "field not declared in schema".to_owned()));
                            path.truncate(length);
                            return;
                        }
                    }
                    path.truncate(length);
                }
            }
            other => errors.push(problem(
                path,
                format!("expected map, got &{{{}}}", scalar::plain(other)),
            )),
        },
        Some(Atom::List(list)) => match value {
            Value::Null => {}
            Value::Array(items) => {
                let mut seen = BTreeSet::new();
                for (at, item) in items.iter().enumerate() {
                    let element = match &list.keys {
                        None => Element::Index(i64::try_from(at).unwrap_or(i64::MAX)),
                        Some(keys) => match item_element(keys, item) {
                            Ok(element) => element,
                            Err(why) => return errors.push(problem(path, format!("element {at}: {why}"))),
                        },
                    };
                    path.push_str(&element.to_string());
                    if list.keys.is_some() && !duplicates && !seen.insert(element) {
                        let text = format!("duplicate entries for key {}", &path[length..]);
                        errors.push(problem(&path[..length], text));
                    }
                    validate_at(list.items.borrow(), item, duplicates, path, errors);
                    path.truncate(length);
                }
            }
            other => errors.push(problem(
                path,
                format!("expected list, got &{{{}}}", scalar::plain(other)),
            )),
        },
    }
}

/// Why a value is not the scalar that it should be; absent and null are fine.
pub fn scalar_error(kind: Scalar, value: Option<&Value>, side: &str) -> Option<String> {
    let value = value.filter(|value| !value.is_null())?;
    match kind {
        Scalar::Number if !value.is_number() => Some(format!(
            "{side}expected numeric (int or float), got {}",
            scalar::go_type(value)
        )),
        Scalar::Text if !value.is_string() => Some(format!(
            "{side}expected string, got &value.valueUnstructured{{Value:{}}}",
            scalar::dump(value)
        )),
        Scalar::Boolean if !value.is_boolean() => {
            Some(format!("{side}expected boolean, got &{{{}}}", scalar::plain(value)))
        }
        Scalar::Any if value.is_object() || value.is_array() => {
            Some(format!("{side}expected any scalar, got &{{{}}}", scalar::plain(value)))
        }
        _ => None,
    }
}

/// Every leaf and every item that a value mentions.
pub fn field_set(shape: ShapeRef<'_>, value: &Value) -> Set {
    mentioned(shape, value).1
}

/// Whether the value itself is a leaf, and what is below it.
fn mentioned(shape: ShapeRef<'_>, value: &Value) -> (bool, Set) {
    let mut below = Set::default();
    match deduce(shape.resolve(), Some(value)).0 {
        None => {}
        Some(Atom::Scalar(_) | Atom::List(List { keys: None, .. })) => return (true, below),
        Some(Atom::Map(fields)) if fields.atomic => return (true, below),
        Some(Atom::Map(fields)) => {
            for (name, value) in value.as_object().into_iter().flatten() {
                let (leaf, inner) = mentioned(fields.field(name).unwrap_or(ShapeRef::Deduced), value);
                let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                let member = leaf || empty || !fields.fields.contains_key(name);
                below.attach(Element::Field(name.clone()), member, inner);
            }
        }
        Some(Atom::List(List {
            keys: Some(keys),
            items,
        })) => {
            // what is there several times is an item without parts
            let mut named: BTreeMap<Element, Option<&Value>> = BTreeMap::new();
            for item in value.as_array().into_iter().flatten() {
                // an item that lost its keys has no name of its own, but its list is still there
                let element = item_element(keys, item).unwrap_or(Element::Index(-1));
                let twice = |item: &mut Option<&Value>| *item = None;
                named.entry(element).and_modify(twice).or_insert(Some(item));
            }
            for (element, item) in named {
                let inner = item.map(|item| mentioned(items.borrow(), item).1);
                below.attach(element, true, inner.unwrap_or_default());
            }
        }
    }
    (false, below)
}

/// The value without the items in the set; `None` if nothing is left.
pub fn remove(shape: ShapeRef<'_>, value: &Value, items: &Set) -> Option<Value> {
    match (deduce(shape.resolve(), Some(value)).0, value) {
        (Some(Atom::Scalar(_)), value) => Some(value.clone()),
        (Some(Atom::Map(fields)), Value::Object(map)) if !fields.atomic => {
            let mut left = Map::new();
            for (name, value) in map {
                let element = Element::Field(name.clone());
                if items.has(&element) {
                    continue;
                }
                let value = match items.below(&element) {
                    None => value.clone(),
                    Some(below) => {
                        let inner = fields.field(name).unwrap_or(ShapeRef::Deduced);
                        remove(inner, value, below).unwrap_or(Value::Null)
                    }
                };
                left.insert(name.clone(), value);
            }
            (!left.is_empty()).then_some(Value::Object(left))
        }
        (
            Some(Atom::List(List {
                keys: Some(keys),
                items: inner,
            })),
            Value::Array(list),
        ) => {
            let mut left = Vec::new();
            for item in list {
                match item_element(keys, item) {
                    Ok(element) if items.has(&element) => {}
                    Ok(element) => left.push(match items.below(&element) {
                        None => item.clone(),
                        Some(below) => remove(inner.borrow(), item, below).unwrap_or(Value::Null),
                    }),
                    Err(_) => left.push(item.clone()),
                }
            }
            (!left.is_empty()).then_some(Value::Array(left))
        }
        _ => None,
    }
}
