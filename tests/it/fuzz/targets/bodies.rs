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
            assert_eq!(again.value, decoded.value);
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
            assert_eq!(decode_json(&written).expect("JSON").value, yaml.value);
            true
        }
        Err(why) => {
            assert!(why.starts_with("yaml: "), "{why}");
            decoded.is_ok()
        }
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
