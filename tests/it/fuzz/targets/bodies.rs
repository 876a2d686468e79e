//! Bodies: JSON and YAML from anybody.

use bulward::wire::body::{decode_json, decode_yaml};
use bulward::wire::meta;
use serde_json::Value;

pub(super) fn target(data: &[u8]) -> bool {
    let decoded = decode_json(data);
    match &decoded {
        Ok(decoded) => {
            let written = serde_json::to_vec(&decoded.value).expect("a value can be written");
            let again =
                decode_json(&written).unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&written)));
            assert!(
                same(&again.value, &decoded.value),
                "{} as {}",
                decoded.value,
                again.value
            );
            assert!(again.duplicates.is_empty(), "a value has each member once");
            // Another reader agrees, if there is nothing to disagree about.
            if decoded.duplicates.is_empty()
                && let Ok(other) = serde_json::from_slice::<Value>(data)
            {
                assert_eq!(sizes(&other), sizes(&decoded.value));
            }
            // What everything else looks at first, whatever it is.
            let _ = (meta::name(&decoded.value), meta::namespace(&decoded.value));
        }
        Err(why) => {
            assert!(!why.is_empty());
            // Lenient about bytes that are no text, strict about everything else.
            let text = String::from_utf8_lossy(data);
            if let Ok(other) = serde_json::from_str::<Value>(&text) {
                panic!("refused ({why}) what another reader reads: {other}");
            }
        }
    }
    match decode_yaml(data) {
        Ok(yaml) => {
            let written = serde_json::to_vec(&yaml.value).expect("a value can be written");
            let again = decode_json(&written).expect("JSON").value;
            assert!(same(&again, &yaml.value), "{} as {again}", yaml.value);
            true
        }
        Err(why) => {
            assert!(why.starts_with("yaml: "), "{why}");
            decoded.is_ok()
        }
    }
}

/// Equal, but for the last bit of a fraction: the library reads it fast rather than exactly.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(a, b))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap_or_default(), b.as_f64().unwrap_or_default());
            (a - b).abs() <= a.abs() * 1e-15
        }
        (one, other) => one == other,
    }
}

/// How many members and items there are on each level: numbers may be written in several ways.
fn sizes(value: &Value) -> Vec<usize> {
    match value {
        Value::Object(members) => {
            let below = members.values().flat_map(sizes);
            [members.len()].into_iter().chain(below).collect()
        }
        Value::Array(items) => {
            let below = items.iter().flat_map(sizes);
            [items.len()].into_iter().chain(below).collect()
        }
        _ => vec![0],
    }
}
