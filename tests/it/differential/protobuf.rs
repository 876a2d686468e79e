//! Protobuf without a schema, as a value that can be compared: field numbers with what is below them.

use serde_json::{Map, Value, json};

/// What stands before every object of `application/vnd.kubernetes.protobuf`.
const MAGIC: &[u8] = b"k8s\0";

/// A message, with or without the magic; `None` if it is none.
pub(super) fn decode(bytes: &[u8]) -> Option<Value> {
    match bytes.strip_prefix(MAGIC) {
        Some(rest) => Some(json!({"k8s": message(rest)?})),
        None => message(bytes),
    }
}

fn message(mut bytes: &[u8]) -> Option<Value> {
    let mut fields = Map::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let (number, wire_type) = (key >> 3, key & 7);
        let value = match wire_type {
            0 => number_or_time(varint(&mut bytes)?),
            1 => json!(u64::from_le_bytes(take(&mut bytes, 8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                delimited(take(&mut bytes, length)?)
            }
            5 => json!(u32::from_le_bytes(take(&mut bytes, 4)?.try_into().ok()?)),
            _ => return None,
        };
        if number == 0 {
            return None;
        }
        let values = fields.entry(number.to_string()).or_insert_with(|| json!([]));
        values.as_array_mut()?.push(value);
    }
    Some(Value::Object(fields))
}

/// Text where it is text, else a message where it is one.
fn delimited(bytes: &[u8]) -> Value {
    let text = std::str::from_utf8(bytes).ok();
    match text.filter(|text| text.chars().all(|c| !c.is_control() || c == '\n')) {
        Some(text) if !text.starts_with('\n') => json!(text),
        _ => message(bytes).unwrap_or_else(|| json!(format!("{bytes:02x?}"))),
    }
}

/// Seconds since 1970 of these years are a time.
fn number_or_time(value: u64) -> Value {
    match value {
        1_500_000_000..2_500_000_000 => json!("{time}"),
        _ => json!(value),
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

#[test]
fn messages_are_read_without_a_schema() {
    let inner = [0x0a, 2, b'v', b'1', 0x10, 5];
    let mut bytes = b"k8s\0\x12\x06".to_vec();
    bytes.extend(inner);
    assert_eq!(decode(&bytes), Some(json!({"k8s": {"2": [{"1": ["v1"], "2": [5]}]}})));
    assert_eq!(decode(b"k8s\0\xff"), None);
}
