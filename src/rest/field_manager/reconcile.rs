//! Field sets that were written when the schema was another
//! (sigs.k8s.io/structured-merge-diff typed/reconcile_schema.go): what has become atomic is owned as a whole.

use super::path::Element;
use super::set::Set;
use super::shape::{Fields, List, ShapeRef};

/// The set for today's type.
pub fn reconcile(shape: ShapeRef<'_>, fields: &Set) -> Set {
    // what is deduced knows no atomic parts but lists, which were atomic always
    let Some((map, list)) = parts(shape) else {
        return fields.clone();
    };
    let mut reconciled = Set::default();
    for (element, member, below) in fields.steps() {
        let inner = match (element, map, list) {
            (Element::Field(name), Some(map), _) => map.field(name),
            (_, None, Some(list)) => Some(list.items.borrow()),
            _ => None,
        };
        let whole = !below.is_empty() && inner.is_some_and(is_atomic);
        let below = match inner {
            _ if whole => Set::default(),
            Some(inner) => reconcile(inner, below),
            None => below.clone(),
        };
        reconciled.attach(element.clone(), member || whole, below);
    }
    reconciled
}

/// The parts of a type that may have become atomic, or granular.
fn parts(shape: ShapeRef<'_>) -> Option<(Option<&Fields>, Option<&List>)> {
    match shape {
        ShapeRef::Own(shape) if shape.scalar.is_none() => Some((shape.map.as_ref(), shape.list.as_ref())),
        _ => None,
    }
}

fn is_atomic(shape: ShapeRef<'_>) -> bool {
    match parts(shape) {
        Some((Some(map), _)) => map.atomic,
        Some((None, Some(list))) => list.keys.is_none(),
        _ => false,
    }
}
