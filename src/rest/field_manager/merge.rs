//! A configuration laid over an object (sigs.k8s.io/structured-merge-diff typed/merge.go).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

use super::path::Element;
use super::shape::{Fields, List, ShapeRef};
use super::typed::{Atom, deduce, item_element, scalar_error};

/// Every leaf of both, that of `config` where both have it. Items are in the order of `config` if it says anything about
/// them, else in that of `live`. Removes nothing.
///
/// # Errors
/// A value is not of its type.
pub fn merge(shape: ShapeRef<'_>, live: &Value, config: &Value) -> Result<Value, String> {
    Ok(both(shape, live, config)?.unwrap_or(Value::Null))
}

fn both(shape: ShapeRef<'_>, live: &Value, config: &Value) -> Result<Option<Value>, String> {
    let shape = shape.resolve();
    let atom = deduce(shape, Some(config)).0;
    match atom {
        None => Err("schema error: invalid atom: inlined".to_owned()),
        Some(Atom::Scalar(kind)) => {
            let wrong = (
                scalar_error(kind, Some(live), "lhs: "),
                scalar_error(kind, Some(config), "rhs: "),
            );
            match wrong {
                (Some(wrong), Some(_)) => Err(wrong),
                _ => Ok(Some(config.clone())),
            }
        }
        Some(Atom::Map(fields)) => maps(fields, live, config),
        Some(Atom::List(list)) => lists(list, live, config),
    }
}

/// Where one side has no value, the other one's is taken as it is.
fn either(shape: ShapeRef<'_>, live: Option<&Value>, config: Option<&Value>) -> Result<Option<Value>, String> {
    match (live, config) {
        (Some(live), Some(config)) => both(shape, live, config),
        (one, other) => Ok(other.or(one).cloned()),
    }
}

fn maps(fields: &Fields, live: &Value, config: &Value) -> Result<Option<Value>, String> {
    let (live, over) = (live.as_object(), config.as_object());
    let empty = live.is_none_or(Map::is_empty) && over.is_none_or(Map::is_empty);
    if fields.atomic || empty {
        return Ok(Some(config.clone()));
    }
    let mut merged = Map::new();
    let names = live.into_iter().flatten().chain(over.into_iter().flatten());
    for (name, _) in names {
        if !merged.contains_key(name) {
            let inner = fields.field(name).unwrap_or(ShapeRef::Deduced);
            let value = either(
                inner,
                live.and_then(|map| map.get(name)),
                over.and_then(|map| map.get(name)),
            )?;
            merged.extend(value.map(|value| (name.clone(), value)));
        }
    }
    Ok((!merged.is_empty()).then_some(Value::Object(merged)))
}

fn lists(list: &List, live: &Value, config: &Value) -> Result<Option<Value>, String> {
    let none = Vec::new();
    let (live, over) = (live.as_array().unwrap_or(&none), config.as_array().unwrap_or(&none));
    let Some(keys) = list.keys.as_ref().filter(|_| !live.is_empty() || !over.is_empty()) else {
        return Ok(Some(config.clone()));
    };
    let name = |(at, item): (usize, &Value)| item_element(keys, item).map_err(|why| format!("element {at}: {why}"));
    let live_names: Vec<Element> = live.iter().enumerate().map(name).collect::<Result<_, _>>()?;
    let over_names: Vec<Element> = over.iter().enumerate().map(name).collect::<Result<_, _>>()?;
    // What the object has twice is not merged with the new value but replaced by it.
    let mut in_live: BTreeMap<&Element, Option<&Value>> = BTreeMap::new();
    for (name, item) in live_names.iter().zip(live) {
        in_live
            .entry(name)
            .and_modify(|value| *value = None)
            .or_insert(Some(item));
    }
    let mut in_over: BTreeMap<&Element, &Value> = BTreeMap::new();
    for (name, item) in over_names.iter().zip(over) {
        if in_over.insert(name, item).is_some() {
            return Err(format!("duplicate entries for key {name}"));
        }
    }
    let mut order = Order::new(&live_names, &over_names);
    let mut merged = Vec::new();
    while let Some(next) = order.next() {
        let value = match next {
            Next::Live(at) => Some(live[at].clone()),
            Next::Over(at) => {
                let name = &over_names[at];
                let live = in_live.get(name).copied().flatten();
                // A duplicate counts as null.
                let null = in_live.contains_key(name).then_some(&Value::Null);
                either(list.items.borrow(), live.or(null), Some(&over[at]))?
            }
        };
        merged.extend(value);
    }
    Ok((!merged.is_empty()).then_some(Value::Array(merged)))
}

/// Which item comes next.
enum Next {
    /// An item that the object alone has.
    Live(usize),
    /// An item of the configuration.
    Over(usize),
}

/// The order of merged items: shared ones as in the configuration, and the object's own where they stood between them.
struct Order<'a> {
    live: &'a [Element],
    over: &'a [Element],
    in_over: BTreeSet<&'a Element>,
    /// Shared items in the order of the configuration, not reached yet.
    shared: VecDeque<&'a Element>,
    next_shared: Option<&'a Element>,
    taken: BTreeSet<&'a Element>,
    live_at: usize,
    over_at: usize,
}

impl<'a> Order<'a> {
    fn new(live: &'a [Element], over: &'a [Element]) -> Self {
        let in_live: BTreeSet<&Element> = live.iter().collect();
        let mut shared: VecDeque<&Element> = over.iter().filter(|name| in_live.contains(name)).collect();
        Self {
            live,
            over,
            in_over: over.iter().collect(),
            next_shared: shared.pop_front(),
            shared,
            taken: BTreeSet::new(),
            live_at: 0,
            over_at: 0,
        }
    }

    fn take(&mut self) -> Next {
        let at = self.over_at;
        self.taken.insert(&self.over[at]);
        self.over_at += 1;
        Next::Over(at)
    }

    fn next(&mut self) -> Option<Next> {
        while self.live_at < self.live.len() || self.over_at < self.over.len() {
            let wanted = self.over.get(self.over_at);
            if let (Some(name), Some(wanted)) = (self.live.get(self.live_at), wanted) {
                if name == wanted {
                    self.live_at += 1;
                    self.next_shared = self.shared.pop_front();
                    return Some(self.take());
                }
                let shared = self.in_over.contains(name);
                if shared && self.next_shared.is_some_and(|next| next != name) {
                    // shared, but not the one whose turn it is
                    self.live_at += 1;
                    continue;
                }
            }
            if let Some(name) = self.live.get(self.live_at) {
                if !self.in_over.contains(name) {
                    self.live_at += 1;
                    return Some(Next::Live(self.live_at - 1));
                }
                if self.taken.contains(name) {
                    self.live_at += 1;
                }
            }
            if let Some(wanted) = self.over.get(self.over_at) {
                if self.next_shared == Some(wanted) {
                    self.next_shared = self.shared.pop_front();
                }
                return Some(self.take());
            }
        }
        None
    }
}
