//! OpenAPI v2 as a protobuf message: the only form in which older kubectl and client-go ask for it.
//!
//! Message and field numbers: github.com/google/gnostic-models openapiv2/OpenAPIv2.proto (Apache-2.0), as far as our document uses them.

use serde_json::Value;

/// How a JSON value becomes a protobuf field.
pub(super) enum Form {
    Text,
    Flag,
    Integer,
    Number,
    /// A string, or each string of a list.
    Texts,
    /// An `Any` that holds YAML; JSON is YAML.
    Yaml,
    /// A list of `Any`s.
    Yamls,
    Message(&'static Message),
    /// A list of messages.
    Messages(&'static Form),
    /// A message whose field of that number repeats `{name = 1, value = 2}`.
    Entries(u32, &'static Form),
    /// A message with one field of that number: a oneof with one possible choice, or a list that the schema wraps.
    Wrapped(u32, &'static Form),
    /// A oneof whose choice depends on the value.
    Choice(fn(&Value) -> &'static Form),
}

/// A message: its fields by number, and the number of `vendor_extension`.
pub(super) struct Message {
    fields: &'static [(&'static str, u32, Form)],
    extensions: Option<u32>,
}

use Form::{Choice, Entries, Flag, Integer, Messages, Number, Text, Texts, Wrapped, Yaml, Yamls};

static DOCUMENT: Message = Message {
    fields: &[
        ("swagger", 1, Text),
        ("info", 2, Form::Message(&INFO)),
        ("paths", 8, Entries(2, &Form::Message(&PATH_ITEM))),
        ("definitions", 9, Entries(1, &Form::Message(&SCHEMA))),
        ("parameters", 10, Entries(1, &PARAMETER)),
        ("security", 12, Messages(&Entries(1, &Wrapped(1, &Texts)))),
        (
            "securityDefinitions",
            13,
            Entries(1, &Wrapped(2, &Form::Message(&API_KEY))),
        ),
    ],
    extensions: Some(16),
};

static INFO: Message = Message {
    fields: &[("title", 1, Text), ("version", 2, Text), ("description", 3, Text)],
    extensions: Some(7),
};

static API_KEY: Message = Message {
    fields: &[
        ("type", 1, Text),
        ("name", 2, Text),
        ("in", 3, Text),
        ("description", 4, Text),
    ],
    extensions: Some(5),
};

static PATH_ITEM: Message = Message {
    fields: &[
        ("get", 2, Form::Message(&OPERATION)),
        ("put", 3, Form::Message(&OPERATION)),
        ("post", 4, Form::Message(&OPERATION)),
        ("delete", 5, Form::Message(&OPERATION)),
        ("options", 6, Form::Message(&OPERATION)),
        ("head", 7, Form::Message(&OPERATION)),
        ("patch", 8, Form::Message(&OPERATION)),
        ("parameters", 9, PARAMETERS),
    ],
    extensions: Some(10),
};

static OPERATION: Message = Message {
    fields: &[
        ("tags", 1, Texts),
        ("summary", 2, Text),
        ("description", 3, Text),
        ("operationId", 5, Text),
        ("produces", 6, Texts),
        ("consumes", 7, Texts),
        ("parameters", 8, PARAMETERS),
        ("responses", 9, Entries(1, &Wrapped(1, &Form::Message(&RESPONSE)))),
        ("schemes", 10, Texts),
        ("deprecated", 11, Flag),
    ],
    extensions: Some(13),
};

static RESPONSE: Message = Message {
    fields: &[
        ("description", 1, Text),
        ("schema", 2, Wrapped(1, &Form::Message(&SCHEMA))),
    ],
    extensions: Some(5),
};

const PARAMETERS: Form = Messages(&Choice(|value| {
    if value.get("$ref").is_some() {
        &REFERENCED
    } else {
        &INLINE
    }
}));
static REFERENCED: Form = Wrapped(2, &Form::Message(&REFERENCE));
static INLINE: Form = Wrapped(1, &PARAMETER);

static REFERENCE: Message = Message {
    fields: &[("$ref", 1, Text), ("description", 2, Text)],
    extensions: None,
};

static PARAMETER: Form = Choice(|value| match value.get("in").and_then(Value::as_str) {
    Some("body") => &BODY,
    Some("path") => &PATH,
    _ => &QUERY,
});
static BODY: Form = Wrapped(1, &Form::Message(&BODY_PARAMETER));
static QUERY: Form = Wrapped(2, &Wrapped(3, &Form::Message(&QUERY_PARAMETER)));
static PATH: Form = Wrapped(2, &Wrapped(4, &Form::Message(&PATH_PARAMETER)));

static BODY_PARAMETER: Message = Message {
    fields: &[
        ("description", 1, Text),
        ("name", 2, Text),
        ("in", 3, Text),
        ("required", 4, Flag),
        ("schema", 5, Form::Message(&SCHEMA)),
    ],
    extensions: Some(6),
};

static QUERY_PARAMETER: Message = Message {
    fields: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 6, Text),
        ("format", 7, Text),
        ("uniqueItems", 20, Flag),
    ],
    extensions: Some(23),
};

static PATH_PARAMETER: Message = Message {
    fields: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 5, Text),
        ("format", 6, Text),
        ("uniqueItems", 19, Flag),
    ],
    extensions: Some(22),
};

static SCHEMA: Message = Message {
    fields: &[
        ("$ref", 1, Text),
        ("format", 2, Text),
        ("title", 3, Text),
        ("description", 4, Text),
        ("default", 5, Yaml),
        ("multipleOf", 6, Number),
        ("maximum", 7, Number),
        ("exclusiveMaximum", 8, Flag),
        ("minimum", 9, Number),
        ("exclusiveMinimum", 10, Flag),
        ("maxLength", 11, Integer),
        ("minLength", 12, Integer),
        ("pattern", 13, Text),
        ("maxItems", 14, Integer),
        ("minItems", 15, Integer),
        ("uniqueItems", 16, Flag),
        ("maxProperties", 17, Integer),
        ("minProperties", 18, Integer),
        ("required", 19, Texts),
        ("enum", 20, Yamls),
        (
            "additionalProperties",
            21,
            Choice(|value| if value.is_boolean() { &ANY_PROPERTY } else { &ONE }),
        ),
        ("type", 22, Wrapped(1, &Texts)),
        ("items", 23, Wrapped(1, &Form::Message(&SCHEMA))),
        ("properties", 25, Entries(1, &Form::Message(&SCHEMA))),
        ("readOnly", 27, Flag),
        ("example", 30, Yaml),
    ],
    extensions: Some(31),
};
static ANY_PROPERTY: Form = Wrapped(2, &Flag);
static ONE: Form = Wrapped(1, &Form::Message(&SCHEMA));

/// Encodes an OpenAPI v2 document.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 * 1024);
    DOCUMENT.fields_of(document, &mut out);
    out
}

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

impl Message {
    fn fields_of(&self, value: &Value, out: &mut Vec<u8>) {
        for (key, number, form) in self.fields {
            if let Some(value) = value.get(key) {
                form.encode(*number, value, out);
            }
        }
        let Some(number) = self.extensions else { return };
        let extensions = value
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| key.starts_with("x-"));
        extensions.for_each(|(key, value)| entry(number, key, &Yaml, value, out));
    }
}

impl Form {
    /// Appends `value` as field `number`; as in proto3, zero values are left out.
    fn encode(&self, number: u32, value: &Value, out: &mut Vec<u8>) {
        match self {
            Text => match value.as_str() {
                Some("") | None => {}
                Some(text) => bytes(number, text.as_bytes(), out),
            },
            Flag => {
                if value == true {
                    tag(number, VARINT, out);
                    out.push(1);
                }
            }
            Integer => {
                if let Some(integer) = value.as_i64().filter(|integer| *integer != 0) {
                    tag(number, VARINT, out);
                    varint(integer.cast_unsigned(), out);
                }
            }
            Number => {
                if let Some(float) = value.as_f64().filter(|float| *float != 0.0) {
                    tag(number, FIXED64, out);
                    out.extend(float.to_le_bytes());
                }
            }
            Texts => match value {
                Value::Array(items) => items
                    .iter()
                    .filter_map(Value::as_str)
                    .for_each(|text| bytes(number, text.as_bytes(), out)),
                one => Text.encode(number, one, out),
            },
            Yaml => message(number, out, |out| bytes(2, format!("{value}\n").as_bytes(), out)),
            Yamls => items(value).for_each(|item| Yaml.encode(number, item, out)),
            Self::Message(fields) => message(number, out, |out| fields.fields_of(value, out)),
            Messages(form) => items(value).for_each(|item| form.encode(number, item, out)),
            Entries(inner, form) => message(number, out, |out| {
                let entries = value.as_object().into_iter().flatten();
                entries.for_each(|(name, value)| entry(*inner, name, form, value, out));
            }),
            Wrapped(inner, form) => message(number, out, |out| form.encode(*inner, value, out)),
            Choice(choose) => choose(value).encode(number, value, out),
        }
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn entry(number: u32, name: &str, form: &Form, value: &Value, out: &mut Vec<u8>) {
    message(number, out, |out| {
        bytes(1, name.as_bytes(), out);
        form.encode(2, value, out);
    });
}

fn message(number: u32, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    fill(&mut inner);
    bytes(number, &inner, out);
}

fn bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    tag(number, BYTES, out);
    varint(bytes.len() as u64, out);
    out.extend(bytes);
}

fn tag(number: u32, wire: u32, out: &mut Vec<u8>) {
    varint(u64::from(number << 3 | wire), out);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
