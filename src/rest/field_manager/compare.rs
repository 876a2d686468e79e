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
        let mut walk = Walk::default();
        walk.compare(shape, Some(old), Some(new));
        if let Some(error) = walk.error {
            return Err(error);
        }
        Ok(walk.found)
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

#[derive(Default)]
struct Walk {
    path: Vec<Element>,
    found: Comparison,
    error: Option<String>,
}

impl Walk {
    fn compare(&mut self, shape: ShapeRef<'_>, old: Option<&Value>, new: Option<&Value>) {
        let shape = shape.resolve();
        let ((old_atom, old_kind), (new_atom, new_kind)) = (deduce(shape, old), deduce(shape, new));
        let leaf = match (old, new) {
            (_, None) => self.atom(old_atom, old, new),
            (Some(_), _) if old_kind != new_kind => {
                // a change of type is seen from both sides
                self.atom(old_atom, old, new);
                self.atom(new_atom, old, new)
            }
            _ => self.atom(new_atom, old, new),
        };
        if !leaf {
            match (old, new) {
                (None, _) => self.found.added.insert(&self.path),
                (_, None) => self.found.removed.insert(&self.path),
                _ => {}
            }
        }
    }

    /// Answers whether the value is a leaf.
    fn atom(&mut self, atom: Option<Atom<'_>>, old: Option<&Value>, new: Option<&Value>) -> bool {
        match atom {
            None => false,
            Some(Atom::Scalar(kind)) => {
                let wrong = (scalar_error(kind, old, "lhs: "), scalar_error(kind, new, "rhs: "));
                if let (Some(wrong), Some(_)) = wrong {
                    self.error.get_or_insert(wrong);
                    return false;
                }
                self.leaf(old, new);
                true
            }
            Some(Atom::Map(fields)) => self.maps(fields, old, new),
            Some(Atom::List(list)) => self.lists(list, old, new),
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.found.added.insert(&self.path),
            (_, None) => self.found.removed.insert(&self.path),
            (Some(old), Some(new)) if !scalar::equal(old, new) => self.found.modified.insert(&self.path),
            _ => {}
        }
    }

    fn maps(&mut self, fields: &Fields, old: Option<&Value>, new: Option<&Value>) -> bool {
        let (old_map, new_map) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
        let empty = old_map.is_none_or(serde_json::Map::is_empty) && new_map.is_none_or(serde_json::Map::is_empty);
        if fields.atomic || empty {
            self.leaf(old, new);
            return true;
        }
        let only_new = new_map.into_iter().flatten();
        let only_new = only_new.filter(|(name, _)| old_map.is_none_or(|old| !old.contains_key(*name)));
        let all = old_map.into_iter().flatten().chain(only_new);
        for (name, _) in all {
            let inner = fields.field(name).unwrap_or(ShapeRef::Deduced);
            self.path.push(Element::Field(name.clone()));
            self.compare(
                inner,
                old_map.and_then(|map| map.get(name)),
                new_map.and_then(|map| map.get(name)),
            );
            self.path.pop();
        }
        false
    }

    fn lists(&mut self, list: &List, old: Option<&Value>, new: Option<&Value>) -> bool {
        let (old_list, new_list) = (old.and_then(Value::as_array), new.and_then(Value::as_array));
        let empty = old_list.is_none_or(Vec::is_empty) && new_list.is_none_or(Vec::is_empty);
        let Some(keys) = list.keys.as_ref().filter(|_| !empty) else {
            self.leaf(old, new);
            return true;
        };
        let mut groups: Vec<(Element, Vec<&Value>, Vec<&Value>)> = Vec::new();
        let mut places: BTreeMap<Element, usize> = BTreeMap::new();
        for (values, is_new) in [(old_list, false), (new_list, true)] {
            for (at, value) in values.into_iter().flatten().enumerate() {
                let element = match item_element(keys, value) {
                    Ok(element) => element,
                    Err(why) => {
                        self.error.get_or_insert(format!("element {at}: {why}"));
                        continue;
                    }
                };
                let group = *places.entry(element).or_insert_with_key(|element| {
                    groups.push((element.clone(), Vec::new(), Vec::new()));
                    groups.len() - 1
                });
                let (_, before, after) = &mut groups[group];
                if is_new { after } else { before }.push(value);
            }
        }
        for (element, before, after) in groups {
            self.path.push(element);
            self.items(list, &before, &after);
            self.path.pop();
        }
        false
    }

    /// What is there several times is one value.
    fn items(&mut self, list: &List, before: &[&Value], after: &[&Value]) {
        let inner = list.items.borrow();
        match (before.len(), after.len()) {
            (0 | 1, 0 | 1) => self.compare(inner, before.first().copied(), after.first().copied()),
            (2.., 2..) => {
                let same =
                    before.len() == after.len() && before.iter().zip(after).all(|(old, new)| scalar::equal(old, new));
                if !same {
                    self.found.modified.insert(&self.path);
                }
            }
            (2.., _) => {
                if let Some(new) = after.first() {
                    self.compare(inner, None, Some(new));
                }
                self.found.removed.insert(&self.path);
            }
            (_, _) => {
                if let Some(old) = before.first() {
                    self.compare(inner, Some(old), None);
                }
                self.found.added.insert(&self.path);
            }
        }
    }
}
