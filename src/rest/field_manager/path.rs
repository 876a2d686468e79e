//! One step into an object, and how it is written (sigs.k8s.io/structured-merge-diff fieldpath/{element,serialize-pe}.go).

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Value};

use super::scalar;
use crate::wire::json as go_json;

/// One step of a path. The order of the variants, and the order within them, is Go's.
#[derive(Clone, Debug)]
pub enum Element {
    /// A field of an object.
    Field(String),
    /// The item of a list of type map that has these keys, sorted by name.
    Key(Vec<(String, Value)>),
    /// An item of a set.
    Item(Value),
    /// An item of an atomic list.
    Index(i64),
}

impl Element {
    /// Reads `f:name`, `k:{"a":1}`, `v:"x"` or `i:0`; `None` for the kinds that a later version may know.
    ///
    /// # Errors
    /// Why the text is malformed.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let (Some(kind), Some(rest)) = (text.get(..2), text.get(2..)) else {
            return Err("key must be 2 characters long:".to_owned());
        };
        if !kind.ends_with(':') {
            return Err(format!("missing colon: {text}"));
        }
        let value = || serde_json::from_str::<Value>(rest).map_err(|error| error.to_string());
        Ok(Some(match kind {
            "f:" => Self::Field(rest.to_owned()),
            "v:" => Self::Item(value()?),
            "k:" => match value()? {
                Value::Object(map) => Self::Key(map.into_iter().collect()),
                _ => return Err(format!("no object: {text}")),
            },
            "i:" => Self::Index(
                rest.parse()
                    .map_err(|error: std::num::ParseIntError| error.to_string())?,
            ),
            _ => return Ok(None),
        }))
    }

    /// The text that [`Element::parse`] reads.
    pub fn serialize(&self) -> String {
        let json = |value: &Value| String::from_utf8_lossy(&go_json::to_vec(value)).into_owned();
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => format!(
                "k:{}",
                json(&Value::Object(keys.iter().cloned().collect::<Map<_, _>>()))
            ),
            Self::Item(value) => format!("v:{}", json(value)),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Item(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let keys = keys
                    .iter()
                    .map(|(name, value)| format!("{name}={}", scalar::in_path(value)));
                write!(f, "[{}]", keys.collect::<Vec<_>>().join(","))
            }
            Self::Item(value) => write!(f, "[={}]", scalar::in_path(value)),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Key(a), Self::Key(b)) => {
                let pairs = a.iter().zip(b);
                let mut orders = pairs.map(|((a, x), (b, y))| a.cmp(b).then_with(|| scalar::compare(x, y)));
                orders
                    .find(|order| order.is_ne())
                    .unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Self::Item(a), Self::Item(b)) => scalar::compare(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Element {}
