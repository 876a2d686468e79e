//! Bodies in protobuf: what is understood is written again with the same meaning.

use bulward::wire::protobuf::{MAGIC, decode, encode, has_form};
use serde_json::Value;

/// A value of so many bytes is not made from a small message.
const GROWTH: usize = 64;

pub(super) fn target(data: &[u8]) -> bool {
    let whole = understood(data);
    // With what every body begins with, more comes through.
    let framed = understood(&[MAGIC, data].concat());
    whole || framed
}

fn understood(bytes: &[u8]) -> bool {
    let value = match decode(bytes) {
        Ok(None) => return false,
        Ok(Some(value)) => value,
        Err(why) => {
            assert!(!why.is_empty());
            return false;
        }
    };
    let text = |name: &str| value[name].as_str().expect("a text");
    assert!(has_form(text("apiVersion"), text("kind")), "{value}");
    let size = serde_json::to_vec(&value).expect("JSON").len();
    assert!(size <= 256 + GROWTH * bytes.len(), "{size} bytes of {}", bytes.len());
    let written = encode(&value).expect("what can be read can be written");
    let again = decode(&written).unwrap_or_else(|why| panic!("{why}: {value}"));
    let again = again.expect("the same kind");
    assert_eq!(plain(again), plain(value.clone()));
    true
}

/// Go leaves empty messages out of JSON, or writes them; both mean the same.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, plain(value)));
            Value::Object(members.filter(|(_, value)| !is_empty(value)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        value => value,
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}
