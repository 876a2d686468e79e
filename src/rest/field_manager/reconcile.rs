//! Field sets that were written when the schema was another
//! (sigs.k8s.io/structured-merge-diff typed/reconcile_schema.go): what has become atomic is owned as a whole.

use super::path::Element;
use super::set::Set;
use super::shape::{Shape, ShapeRef};

/// The set for today's type.
pub fn reconcile(shape: ShapeRef<'_>, fields: &Set) -> Set {
    let mut whole = Set::default();
    walk(shape, fields, &mut Vec::new(), &mut whole);
    if whole.is_empty() {
        return fields.clone();
    }
    fields.recursive_difference(&whole).union(&whole)
}

fn walk(shape: ShapeRef<'_>, fields: &Set, path: &mut Vec<Element>, whole: &mut Set) {
    // what is deduced knows no atomic parts but lists, which were atomic always
    let ShapeRef::Own(shape) = shape else { return };
    let Shape {
        map,
        list,
        scalar: None,
    } = shape
    else {
        return;
    };
    let atomic = map
        .as_ref()
        .map(|map| map.atomic)
        .or(list.as_ref().map(|list| list.keys.is_none()));
    if atomic == Some(true) {
        whole.insert(path);
        return;
    }
    for (element, _, below) in fields.steps().filter(|(_, _, below)| !below.is_empty()) {
        let inner = match (element, map, list) {
            (Element::Field(name), Some(map), _) => map.field(name),
            (_, None, Some(list)) => Some(list.items.borrow()),
            _ => None,
        };
        if let Some(inner) = inner {
            path.push(element.clone());
            walk(inner, below, path, whole);
            path.pop();
        }
    }
}
