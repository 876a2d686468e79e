//! `application/vnd.kubernetes.protobuf` for the few kinds that have one definition for all servers: metadata-only forms,
//! Status, discovery, DeleteOptions, and those of Kubernetes' own kinds that a server without a cluster serves itself
//! (k8s.io/apimachinery pkg/runtime/serializer/protobuf).
//!
//! Tables of field numbers say how a JSON value is written and read. Go's generated code writes fields that are no pointers
//! even when they are empty; so do we, byte for byte.

mod builtin;
mod decode;
mod messages;

use serde_json::{Map, Value};

use super::json as go_json;
use super::meta::parse_time;

pub use decode::decode;

/// What every body begins with.
pub const MAGIC: &[u8; 4] = b"k8s\0";
/// The media type.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// A message: its fields by their numbers.
struct Message(&'static [Field]);

/// One field.
#[derive(Clone, Copy)]
struct Field {
    number: u32,
    name: &'static str,
    kind: Kind,
    presence: Presence,
}

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Integer,
    Flag,
    /// A message of seconds and nanoseconds; nothing where there is no time.
    Time,
    /// The bytes of a JSON value, within a message of its own.
    Json,
    /// A map from text to text.
    TextMap,
    /// A map from text to lists of texts, each within a message of its own.
    ListMap,
    Message(&'static Message),
}

/// When a field is written.
#[derive(Clone, Copy, PartialEq)]
enum Presence {
    /// Always, empty if need be.
    Always,
    /// When it is there.
    Optional,
    /// Once for each item of a list.
    Repeated,
    /// A list within a message of its own, which is written when there is a list.
    List,
}

/// The whole body for an object with `apiVersion` and `kind`; `None` for a kind that has no protobuf form here.
pub fn encode(object: &Value) -> Option<Vec<u8>> {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let message = messages::of(text("apiVersion"), text("kind"))?;
    let mut raw = Vec::with_capacity(512);
    message.write(object, &mut raw);
    let mut out = Vec::with_capacity(raw.len() + 64);
    envelope(text("apiVersion"), text("kind"), &raw, &mut out);
    Some(out)
}

/// Whether objects of a kind have a protobuf form here.
pub fn has_form(api_version: &str, kind: &str) -> bool {
    messages::of(api_version, kind).is_some()
}

/// The metadata of an object as a message without an envelope (meta/v1 PartialObjectMetadata).
pub fn metadata_only(object: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    messages::PARTIAL.write(object, &mut out);
    out
}

/// A list of such messages (meta/v1 PartialObjectMetadataList) with its own metadata.
pub fn metadata_list<'a>(metadata: &Value, items: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut own = Vec::new();
    messages::LIST_META.write(metadata, &mut own);
    let mut out = Vec::with_capacity(1024);
    bytes_field(1, &own, &mut out);
    items.for_each(|item| bytes_field(2, item, &mut out));
    out
}

/// Appends a body: a message within its envelope, which says what it is (runtime.Unknown: typeMeta, raw, contentEncoding,
/// contentType).
pub fn envelope(api_version: &str, kind: &str, raw: &[u8], out: &mut Vec<u8>) {
    let mut type_meta = Vec::with_capacity(api_version.len() + kind.len() + 4);
    bytes_field(1, api_version.as_bytes(), &mut type_meta);
    bytes_field(2, kind.as_bytes(), &mut type_meta);
    out.extend_from_slice(MAGIC);
    bytes_field(1, &type_meta, out);
    bytes_field(2, raw, out);
    bytes_field(3, b"", out);
    bytes_field(4, b"", out);
}

/// A watch event about `object`, which is an encoded body (meta/v1 WatchEvent).
pub fn watch_event(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(object.len() + 8);
    bytes_field(1, object, &mut raw);
    let mut event = Vec::with_capacity(raw.len() + 24);
    bytes_field(1, kind.as_bytes(), &mut event);
    bytes_field(2, &raw, &mut event);
    event
}

impl Message {
    fn write(&self, value: &Value, out: &mut Vec<u8>) {
        let empty = Map::new();
        let members = value.as_object().unwrap_or(&empty);
        for field in self.0 {
            let value = members.get(field.name).filter(|value| !value.is_null());
            match (&field.presence, value) {
                (Presence::Always, value) => field.write(value.unwrap_or(&Value::Null), out),
                (Presence::Optional, Some(value)) => field.write(value, out),
                (Presence::Repeated, Some(Value::Array(items))) => {
                    items.iter().for_each(|item| field.write(item, out));
                }
                (Presence::List, Some(Value::Array(items))) => {
                    let mut list = Vec::new();
                    let item = Field { number: 1, ..*field };
                    items.iter().for_each(|one| item.write(one, &mut list));
                    bytes_field(field.number, &list, out);
                }
                _ => {}
            }
        }
    }
}

impl Field {
    fn write(&self, value: &Value, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Text => bytes_field(self.number, value.as_str().unwrap_or_default().as_bytes(), out),
            Kind::Integer => {
                tag(self.number, 0, out);
                varint(value.as_i64().unwrap_or(0).cast_unsigned(), out);
            }
            Kind::Flag => {
                tag(self.number, 0, out);
                out.push(u8::from(value.as_bool().unwrap_or(false)));
            }
            Kind::Time => {
                let mut time = Vec::new();
                if let Some(at) = value.as_str().and_then(parse_time) {
                    tag(1, 0, &mut time);
                    varint(at.as_second().cast_unsigned(), &mut time);
                    tag(2, 0, &mut time);
                    varint(0, &mut time);
                }
                bytes_field(self.number, &time, out);
            }
            Kind::Json => {
                let mut raw = Vec::new();
                bytes_field(1, &go_json::to_vec(value), &mut raw);
                bytes_field(self.number, &raw, out);
            }
            Kind::TextMap => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    let mut entry = Vec::new();
                    bytes_field(1, key.as_bytes(), &mut entry);
                    bytes_field(2, value.as_str().unwrap_or_default().as_bytes(), &mut entry);
                    bytes_field(self.number, &entry, out);
                }
            }
            Kind::ListMap => {
                for (key, list) in value.as_object().into_iter().flatten() {
                    let mut items = Vec::new();
                    for item in list.as_array().into_iter().flatten() {
                        bytes_field(1, item.as_str().unwrap_or_default().as_bytes(), &mut items);
                    }
                    let mut entry = Vec::new();
                    bytes_field(1, key.as_bytes(), &mut entry);
                    bytes_field(2, &items, &mut entry);
                    bytes_field(self.number, &entry, out);
                }
            }
            Kind::Message(message) => {
                let mut inner = Vec::new();
                message.write(value, &mut inner);
                bytes_field(self.number, &inner, out);
            }
        }
    }
}

fn tag(number: u32, wire_type: u8, out: &mut Vec<u8>) {
    varint(u64::from(number) << 3 | u64::from(wire_type), out);
}

fn bytes_field(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    tag(number, 2, out);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        // the low seven bits, and a sign that more follow
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests;
