//! What changed between two values (sigs.k8s.io/structured-merge-diff typed/compare.go).

use std::collections::BTreeMap;

use serde_json::Value;

use super::path::Element;
use super::scalar;
use super::set::Set;
use super::shape::{Fields, List, ShapeRef};
use super::typed::{Atom, deduce, item_element, scalar_error};

/// The fields that differ; none is in two of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Only in the old value.
    pub removed: Set,
    /// In both, but different.
    pub modified: Set,
    /// Only in the new value.
    pub added: Set,
}

impl Comparison {
    /// Compares.
    ///
    /// # Errors
    /// A value is not of its type.
    pub fn of(shape: ShapeRef<'_>, old: &Value, new: &Value) -> Result<Self, String> {
        let mut error = None;
        let found = compare(shape, Some(old), Some(new), &mut error);
        error.map_or(Ok(found.below), Err)
    }

    fn attach(&mut self, element: Element, part: Part) {
        let Part {
            removed,
            modified,
            added,
            below,
        } = part;
        self.removed.attach(element.clone(), removed, below.removed);
        self.modified.attach(element.clone(), modified, below.modified);
        self.added.attach(element, added, below.added);
    }

    /// Leaves out what is in the set, and everything below.
    pub fn without(&self, fields: &Set) -> Self {
        Self {
            removed: self.removed.recursive_difference(fields),
            modified: self.modified.recursive_difference(fields),
            added: self.added.recursive_difference(fields),
        }
    }
}

/// What differs in one part of the values: the part itself, and what is below it.
#[derive(Default)]
struct Part {
    removed: bool,
    modified: bool,
    added: bool,
    below: Comparison,
}

impl Part {
    /// A value without parts of its own.
    fn leaf(old: Option<&Value>, new: Option<&Value>) -> Self {
        let mut part = Self::default();
        match (old, new) {
            (None, _) => part.added = true,
            (_, None) => part.removed = true,
            (Some(old), Some(new)) => part.modified = !scalar::equal(old, new),
        }
        part
    }

    /// What is seen from a second side.
    fn also(&mut self, other: Self) {
        self.removed |= other.removed;
        self.modified |= other.modified;
        self.added |= other.added;
        self.below.removed.extend(&other.below.removed);
        self.below.modified.extend(&other.below.modified);
        self.below.added.extend(&other.below.added);
    }
}

fn compare(shape: ShapeRef<'_>, old: Option<&Value>, new: Option<&Value>, error: &mut Option<String>) -> Part {
    let shape = shape.resolve();
    let ((old_atom, old_kind), (new_atom, new_kind)) = (deduce(shape, old), deduce(shape, new));
    let (mut part, leaf) = match (old, new) {
        (_, None) => atom(old_atom, old, new, error),
        (Some(_), _) if old_kind != new_kind => {
            // a change of type is seen from both sides
            let (mut part, _) = atom(old_atom, old, new, error);
            let (other, leaf) = atom(new_atom, old, new, error);
            part.also(other);
            (part, leaf)
        }
        _ => atom(new_atom, old, new, error),
    };
    if !leaf {
        part.added |= old.is_none();
        part.removed |= old.is_some() && new.is_none();
    }
    part
}

/// Answers whether the value is a leaf, too.
fn atom(atom: Option<Atom<'_>>, old: Option<&Value>, new: Option<&Value>, error: &mut Option<String>) -> (Part, bool) {
    match atom {
        None => (Part::default(), false),
        Some(Atom::Scalar(kind)) => {
            let wrong = (scalar_error(kind, old, "lhs: "), scalar_error(kind, new, "rhs: "));
            if let (Some(wrong), Some(_)) = wrong {
                error.get_or_insert(wrong);
                return (Part::default(), false);
            }
            (Part::leaf(old, new), true)
        }
        Some(Atom::Map(fields)) => maps(fields, old, new, error),
        Some(Atom::List(list)) => lists(list, old, new, error),
    }
}

fn maps(fields: &Fields, old: Option<&Value>, new: Option<&Value>, error: &mut Option<String>) -> (Part, bool) {
    let (old_map, new_map) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
    let empty = old_map.is_none_or(serde_json::Map::is_empty) && new_map.is_none_or(serde_json::Map::is_empty);
    if fields.atomic || empty {
        return (Part::leaf(old, new), true);
    }
    let only_new = new_map.into_iter().flatten();
    let only_new = only_new.filter(|(name, _)| old_map.is_none_or(|old| !old.contains_key(*name)));
    let all = old_map.into_iter().flatten().chain(only_new);
    let mut part = Part::default();
    for (name, _) in all {
        let inner = fields.field(name).unwrap_or(ShapeRef::Deduced);
        let (old, new) = (
            old_map.and_then(|map| map.get(name)),
            new_map.and_then(|map| map.get(name)),
        );
        let found = compare(inner, old, new, error);
        part.below.attach(Element::Field(name.clone()), found);
    }
    (part, false)
}

fn lists(list: &List, old: Option<&Value>, new: Option<&Value>, error: &mut Option<String>) -> (Part, bool) {
    let (old_list, new_list) = (old.and_then(Value::as_array), new.and_then(Value::as_array));
    let empty = old_list.is_none_or(Vec::is_empty) && new_list.is_none_or(Vec::is_empty);
    let Some(keys) = list.keys.as_ref().filter(|_| !empty) else {
        return (Part::leaf(old, new), true);
    };
    let mut groups: BTreeMap<Element, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
    for (values, is_new) in [(old_list, false), (new_list, true)] {
        for (at, value) in values.into_iter().flatten().enumerate() {
            match item_element(keys, value) {
                Ok(element) => {
                    let (before, after) = groups.entry(element).or_default();
                    if is_new { after } else { before }.push(value);
                }
                Err(why) => {
                    error.get_or_insert(format!("element {at}: {why}"));
                }
            }
        }
    }
    let mut part = Part::default();
    for (element, (before, after)) in groups {
        let found = items(list, &before, &after, error);
        part.below.attach(element, found);
    }
    (part, false)
}

/// What is there several times is one value.
fn items(list: &List, before: &[&Value], after: &[&Value], error: &mut Option<String>) -> Part {
    let inner = list.items.borrow();
    match (before.len(), after.len()) {
        (0 | 1, 0 | 1) => compare(inner, before.first().copied(), after.first().copied(), error),
        (2.., 2..) => Part {
            modified: before.len() != after.len()
                || before.iter().zip(after).any(|(old, new)| !scalar::equal(old, new)),
            ..Part::default()
        },
        (2.., _) => {
            let mut part = match after.first() {
                Some(new) => compare(inner, None, Some(new), error),
                None => Part::default(),
            };
            part.removed = true;
            part
        }
        (_, _) => {
            let mut part = match before.first() {
                Some(old) => compare(inner, Some(old), None, error),
                None => Part::default(),
            };
            part.added = true;
            part
        }
    }
}
