//! Values with a memory for what was given twice, as sigs.k8s.io/json decodes strictly.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::DEPTH_LIMIT;

/// As many duplicates as are told.
const DUPLICATES_LIMIT: usize = 100;
/// As many bytes of the path to each.
const PATH_LIMIT: usize = 1_024;
/// Floats up to 2^53 are whole numbers exactly, and Go writes them without a fraction.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Reads one value and adds the fields that are given more than once to `duplicates`.
pub(super) fn read<'de, D: Deserializer<'de>>(reader: D, duplicates: &mut Vec<String>) -> Result<Value, D::Error> {
    let mut state = State {
        path: String::new(),
        depth: 0,
        duplicates,
        told: BTreeSet::new(),
    };
    Node(&mut state).deserialize(reader)
}

struct State<'a> {
    path: String,
    depth: usize,
    duplicates: &'a mut Vec<String>,
    told: BTreeSet<String>,
}

impl State<'_> {
    fn duplicate(&mut self) {
        if self.duplicates.len() >= DUPLICATES_LIMIT {
            return;
        }
        // Below one long name there may be many duplicates, and each would repeat it.
        let mut ends = (0..=PATH_LIMIT.min(self.path.len())).rev();
        let end = ends.find(|at| self.path.is_char_boundary(*at));
        let path = &self.path[..end.unwrap_or(0)];
        if self.told.insert(path.to_owned()) {
            self.duplicates.push(format!("duplicate field \"{path}\""));
        }
    }

    fn descend<E: Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(E::custom("exceeded max depth"));
        }
        Ok(())
    }
}

struct Node<'s, 'a>(&'s mut State<'a>);

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        match i64::try_from(number) {
            Ok(number) => Ok(Value::from(number)),
            // Go has no integer for it either
            #[expect(clippy::cast_precision_loss, reason = "Go reads such a number as a float")]
            Err(_) => self.visit_f64(number as f64),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
        if number.fract() == 0.0 && number.abs() <= MAX_WHOLE {
            return Ok(Value::from(number as i64));
        }
        let finite = Number::from_f64(number).map(Value::Number);
        finite.ok_or_else(|| E::custom(format!("unsupported value: {number}")))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let state = self.0;
        state.descend()?;
        let length = state.path.len();
        let mut list = Vec::new();
        loop {
            state.path.push_str(&format!("[{}]", list.len()));
            let item = items.next_element_seed(Node(state))?;
            state.path.truncate(length);
            match item {
                Some(item) => list.push(item),
                None => break,
            }
        }
        state.depth -= 1;
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let state = self.0;
        state.descend()?;
        let length = state.path.len();
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if length > 0 {
                state.path.push('.');
            }
            state.path.push_str(&key);
            if map.contains_key(&key) {
                state.duplicate();
            }
            let value = entries.next_value_seed(Node(state))?;
            state.path.truncate(length);
            map.insert(key, value);
        }
        state.depth -= 1;
        Ok(Value::Object(map))
    }
}
