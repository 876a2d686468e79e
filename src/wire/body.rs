//! Bodies of requests: JSON or YAML into values, with the errors of CustomResources
//! (k8s.io/apimachinery pkg/runtime/serializer/json, k8s.io/apiserver pkg/endpoints/handlers transformDecodeError).

mod syntax;
mod value;
mod yaml;

use serde_json::Value;

use super::json;
use super::names::{GroupKind, GroupVersion};
use super::negotiate::{Format, request_format};
use super::protobuf;
use super::status::Status;
use super::validation::FieldError;

/// How deep JSON may nest; Go allows 10000.
pub(super) const DEPTH_LIMIT: usize = 100;
/// As much of a body as a message quotes, in bytes.
const QUOTE_LIMIT: usize = 4096;

/// The format of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

/// A decoded body.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The value; whole numbers are integers, whatever their spelling.
    pub value: Value,
    /// What was given twice, the later value winning, for example `duplicate field "spec.x"`.
    pub duplicates: Vec<String>,
}

/// What a body must be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The group and version in the path.
    pub group_version: &'a GroupVersion,
    /// The kind that is served there.
    pub kind: &'a str,
}

impl MediaType {
    /// The format that a `Content-Type` names; JSON where there is none. `protobuf` says whether what is expected has a
    /// protobuf form.
    ///
    /// # Errors
    /// 415.
    pub fn of(content_type: Option<&str>, protobuf: bool) -> Result<Self, Status> {
        Ok(match request_format(content_type)? {
            Format::Json => Self::Json,
            Format::Yaml => Self::Yaml,
            Format::Protobuf if protobuf => Self::Protobuf,
            Format::Protobuf => return Err(Status::unsupported_media_type(&super::negotiate::MEDIA_TYPES)),
        })
    }
}

/// Decodes JSON, whatever it is about.
///
/// # Errors
/// The text of Go's error: a patch answers it in a 400 after `error decoding patch: `.
pub fn decode_json(bytes: &[u8]) -> Result<Decoded, String> {
    let text = String::from_utf8_lossy(bytes);
    let mut duplicates = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(&text);
    let value = value::read(&mut reader, &mut duplicates).and_then(|value| reader.end().map(|()| value));
    match value {
        Ok(value) => Ok(Decoded { value, duplicates }),
        Err(error) => Err(syntax::error(bytes, DEPTH_LIMIT).unwrap_or_else(|| format!("json: {error}"))),
    }
}

/// Decodes YAML, whatever it is about: one document, bounded in its size, its depth and the work of its aliases.
///
/// # Errors
/// A text that starts with `yaml: `.
pub fn decode_yaml(bytes: &[u8]) -> Result<Decoded, String> {
    yaml::decode(bytes)
}

/// Decodes the options of a deletion, or another object whose kind may be left out.
///
/// # Errors
/// 400.
pub fn decode(media: MediaType, bytes: &[u8]) -> Result<Decoded, Status> {
    interpret(media, bytes).map_err(Status::bad_request)
}

/// Decodes an object that need not say what it is; what it says, others compare with `kind`.
///
/// # Errors
/// 400.
pub fn decode_some(media: MediaType, bytes: &[u8], kind: &str) -> Result<Decoded, Status> {
    interpret(media, bytes).map_err(|why| unrecognized(bytes, kind, &why))
}

fn unrecognized(bytes: &[u8], kind: &str, why: &str) -> Status {
    let summary = summary(bytes);
    let message = format!("the object provided is unrecognized (must be of type {kind}): {why} ({summary})");
    Status::bad_request(message)
}

/// Decodes an object of the expected kind; `apiVersion` and `kind` must be given.
///
/// # Errors
/// 400 for a body that is no such object, 422 for another kind of the same group and version.
pub fn decode_object(media: MediaType, bytes: &[u8], expected: &Expected<'_>) -> Result<Decoded, Status> {
    let decoded = decode_some(media, bytes, expected.kind)?;
    let text = |key: &str| decoded.value.get(key).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if kind.is_empty() {
        let why = format!("Object 'Kind' is missing in '{}'", quoted(bytes));
        return Err(unrecognized(bytes, expected.kind, &why));
    }
    let wanted = expected.group_version.to_string();
    if api_version != wanted {
        return Err(Status::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({wanted})"
        )));
    }
    if kind != expected.kind {
        let group_kind = GroupKind {
            group: expected.group_version.group.clone(),
            kind: kind.to_owned(),
        };
        let error = FieldError::invalid("kind", kind, &format!("must be {}", expected.kind));
        return Err(Status::invalid(
            &group_kind,
            super::meta::name(&decoded.value),
            &[error],
        ));
    }
    Ok(decoded)
}

/// Whether `apiVersion` and `kind` can be read of what a patch left, and are there.
///
/// # Errors
/// The text of Kubernetes' decoder.
pub fn identify(value: &Value) -> Result<(), String> {
    readable(value)?;
    for (key, name) in [("kind", "Kind"), ("apiVersion", "apiVersion")] {
        if value.get(key).and_then(Value::as_str).unwrap_or_default().is_empty() {
            let text = json::to_vec(value);
            return Err(format!("Object '{name}' is missing in '{}'", quoted(&text)));
        }
    }
    Ok(())
}

const OPENING: &str = "couldn't get version/kind; json parse error";

/// Decodes a body and makes sure that `apiVersion` and `kind` can be read.
fn interpret(media: MediaType, bytes: &[u8]) -> Result<Decoded, String> {
    let decoded = match media {
        MediaType::Json => decode_json(bytes).map_err(|why| format!("{OPENING}: {why}"))?,
        MediaType::Yaml => decode_yaml(bytes)?,
        MediaType::Protobuf => Decoded {
            value: protobuf::decode(bytes)?.ok_or("the body is of a kind that has no protobuf form here")?,
            duplicates: Vec::new(),
        },
    };
    readable(&decoded.value)?;
    Ok(decoded)
}

/// Whether `apiVersion` and `kind` have a type that can be read.
fn readable(value: &Value) -> Result<(), String> {
    const TARGET: &str =
        r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
    match value {
        Value::Object(map) => {
            for key in ["apiVersion", "kind"] {
                if let Some(other) = map.get(key).filter(|value| !value.is_string() && !value.is_null()) {
                    let kind = json::kind(other);
                    return Err(format!(
                        "{OPENING}: json: cannot unmarshal {kind} into Go struct field .{key} of type string"
                    ));
                }
            }
            let api_version = map.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
            if api_version.matches('/').count() > 1 {
                return Err(format!("unexpected GroupVersion string: {api_version}"));
            }
        }
        Value::Null => {}
        other => {
            return Err(format!(
                "{OPENING}: json: cannot unmarshal {} into Go value of type {TARGET}",
                json::kind(other)
            ));
        }
    }
    Ok(())
}

/// The beginning of a body for a message: JSON objects as they are, everything else in hexadecimal digits.
fn summary(bytes: &[u8]) -> String {
    const LIMIT: usize = 30;
    let head = &bytes[..bytes.len().min(LIMIT)];
    let dots = if bytes.len() > LIMIT { " ..." } else { "" };
    match bytes.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{dots}", String::from_utf8_lossy(head)),
        Some(_) => {
            let digits: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{digits}{dots}")
        }
    }
}

/// A body as a message quotes it. The original quotes all of it; a limit keeps answers small.
fn quoted(bytes: &[u8]) -> String {
    let dots = if bytes.len() > QUOTE_LIMIT { " ..." } else { "" };
    format!(
        "{}{dots}",
        String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTE_LIMIT)])
    )
}

#[cfg(test)]
mod tests;
