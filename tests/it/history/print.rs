//! What was shown, in 64 bits: two states are the same exactly if their prints are, by all likelihood.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use super::record::Shape;

/// Cells that are not compared: the age moves, the role is kept apart.
const APART: [&str; 2] = ["Age", "Role"];

fn of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// An object, but for what differs by view and by revision.
pub(crate) fn object(mut object: Value) -> u64 {
    if let Some(members) = object.as_object_mut() {
        members.remove("apiVersion");
        members.remove("kind");
    }
    forget_version(&mut object);
    of(&object)
}

/// Metadata alone.
pub(crate) fn metadata(mut object: Value) -> u64 {
    forget_version(&mut object);
    of(&object["metadata"])
}

/// A row: its cells but those that are kept apart, and the metadata that comes with it.
pub(crate) fn row(cells: &[Value], object: Value) -> u64 {
    of(&(cells, metadata(object)))
}

/// Whether a table's column is compared.
pub(crate) fn compared(column: &str) -> bool {
    !APART.contains(&column)
}

fn forget_version(object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
}

/// The prints of a stored object in every shape.
pub(crate) fn all(stored: Value, cells: &[Value]) -> [u64; 3] {
    let mut prints = [0; 3];
    prints[Shape::Metadata as usize] = metadata(stored.clone());
    prints[Shape::Table as usize] = row(cells, stored.clone());
    prints[Shape::Object as usize] = object(stored);
    prints
}
