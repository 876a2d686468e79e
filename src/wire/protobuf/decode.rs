//! Bodies in protobuf, read into the JSON value that they stand for.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Field, Kind, MAGIC, Message, Presence, messages};
use crate::wire::meta::rfc3339;

/// Reads a body; `None` where the kind has no protobuf form here. `apiVersion` and `kind` are those of the body.
///
/// # Errors
/// A text for a 400.
pub fn decode(bytes: &[u8]) -> Result<Option<Value>, String> {
    let Some(unknown) = bytes.strip_prefix(MAGIC) else {
        return Err(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]".to_owned(),
        );
    };
    let (mut type_meta, mut raw): (&[u8], &[u8]) = (&[], &[]);
    for field in Reader(unknown) {
        match field? {
            (1, Wire::Bytes(bytes)) => type_meta = bytes,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let (mut api_version, mut kind) = (String::new(), String::new());
    for field in Reader(type_meta) {
        match field? {
            (1, Wire::Bytes(bytes)) => api_version = text(bytes)?,
            (2, Wire::Bytes(bytes)) => kind = text(bytes)?,
            _ => {}
        }
    }
    let Some(message) = messages::of(&api_version, &kind) else {
        return Ok(None);
    };
    let mut value = message.read(raw)?;
    value["apiVersion"] = json!(api_version);
    value["kind"] = json!(kind);
    Ok(Some(value))
}

impl Message {
    fn read(&self, bytes: &[u8]) -> Result<Value, String> {
        let mut members = Map::new();
        for found in Reader(bytes) {
            let (number, wire) = found?;
            let Some(field) = self.0.iter().find(|field| field.number == number) else {
                continue;
            };
            if field.presence == Presence::List {
                members.insert(field.name.to_owned(), field.read_list(wire)?);
                continue;
            }
            let value = field.read(wire)?;
            match field.presence {
                Presence::Repeated => {
                    let list = members.entry(field.name).or_insert_with(|| json!([]));
                    if let Some(list) = list.as_array_mut() {
                        list.push(value);
                    }
                }
                // what is always written says nothing when it is empty, and is left out as JSON leaves it out
                Presence::Always if is_nothing(&value) => {}
                _ if value.is_null() => {}
                _ if matches!(field.kind, Kind::TextMap | Kind::ListMap) => {
                    let map = members.entry(field.name).or_insert_with(|| json!({}));
                    if let (Some(map), Value::Object(entry)) = (map.as_object_mut(), value) {
                        map.extend(entry);
                    }
                }
                _ => drop(members.insert(field.name.to_owned(), value)),
            }
        }
        Ok(Value::Object(members))
    }
}

impl Field {
    /// A list within a message of its own.
    fn read_list(&self, wire: Wire<'_>) -> Result<Value, String> {
        let Wire::Bytes(bytes) = wire else {
            return Err(format!("proto: wrong wireType for field {}", self.name));
        };
        let mut items = Vec::new();
        for found in Reader(bytes) {
            if let (1, item) = found? {
                items.push(self.read(item)?);
            }
        }
        Ok(Value::Array(items))
    }

    fn read(&self, wire: Wire<'_>) -> Result<Value, String> {
        match (&self.kind, wire) {
            (Kind::Text, Wire::Bytes(bytes)) => Ok(json!(text(bytes)?)),
            (Kind::Integer, Wire::Number(number)) => Ok(json!(number.cast_signed())),
            (Kind::Flag, Wire::Number(number)) => Ok(json!(number != 0)),
            (Kind::Message(message), Wire::Bytes(bytes)) => message.read(bytes),
            (Kind::Time, Wire::Bytes(bytes)) => time(bytes),
            (Kind::Json, Wire::Bytes(bytes)) => raw_json(bytes),
            (Kind::TextMap, Wire::Bytes(bytes)) => entry(bytes, |value| Ok(json!(text(value)?))),
            (Kind::ListMap, Wire::Bytes(bytes)) => entry(bytes, list),
            _ => Err(format!("proto: wrong wireType for field {}", self.name)),
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// Seconds and nanoseconds; null for no time.
fn time(bytes: &[u8]) -> Result<Value, String> {
    let mut seconds = None;
    for field in Reader(bytes) {
        if let (1, Wire::Number(number)) = field? {
            seconds = Some(number.cast_signed());
        }
    }
    let Some(seconds) = seconds else { return Ok(Value::Null) };
    let at = Timestamp::from_second(seconds).map_err(|error| format!("proto: {error}"))?;
    Ok(json!(rfc3339(at)))
}

fn raw_json(bytes: &[u8]) -> Result<Value, String> {
    let mut raw: &[u8] = b"null";
    for field in Reader(bytes) {
        if let (1, Wire::Bytes(bytes)) = field? {
            raw = bytes;
        }
    }
    serde_json::from_slice(raw).map_err(|error| error.to_string())
}

/// One entry of a map, as a map.
fn entry(bytes: &[u8], read: impl Fn(&[u8]) -> Result<Value, String>) -> Result<Value, String> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in Reader(bytes) {
        match field? {
            (1, Wire::Bytes(bytes)) => key = bytes,
            (2, Wire::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    let mut map = Map::new();
    map.insert(text(key)?, read(value)?);
    Ok(Value::Object(map))
}

fn list(bytes: &[u8]) -> Result<Value, String> {
    let mut items = Vec::new();
    for field in Reader(bytes) {
        if let (1, Wire::Bytes(item)) = field? {
            items.push(json!(text(item)?));
        }
    }
    Ok(Value::Array(items))
}

/// The content of one field.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, one after the other.
struct Reader<'a>(&'a [u8]);

const CUT_OFF: &str = "unexpected EOF";

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(u32, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            // after an error nothing has a meaning
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Reader<'a> {
    fn field(&mut self) -> Result<(u32, Wire<'a>), String> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3)
            .ok()
            .filter(|number| *number > 0)
            .ok_or("proto: illegal tag")?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Bytes(self.take(8)?),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(usize::try_from(length).map_err(|_| CUT_OFF)?)?)
            }
            5 => Wire::Bytes(self.take(4)?),
            other => return Err(format!("proto: illegal wireType {other}")),
        };
        Ok((number, wire))
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(CUT_OFF)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("proto: integer overflow".to_owned())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(taken)
    }
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "proto: string field contains invalid UTF-8".to_owned())
}
