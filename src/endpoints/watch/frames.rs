//! Watch events as bytes, in the representation that the client asked for.

use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Value, json};

use super::super::encode::{Shown, partial};
use super::super::rows::Rows;
use super::super::view::View;
use super::Call;
use crate::http::respond;
use crate::visibility::Role;
use crate::watchcache::{Object, Revision};
use crate::wire::json as go_json;
use crate::wire::negotiate::{Format, Representation, Shape};
use crate::wire::protobuf;
use crate::wire::status::Status;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Added,
    Modified,
    Deleted,
}

/// Writes events for one watch.
pub(super) struct Frames {
    view: View,
    api_version: String,
    kind: String,
    /// What a bookmark has beside its metadata.
    nothing: Value,
    representation: Representation,
    rows: Option<Rows>,
    /// A table's columns are sent with the first event alone.
    columns_sent: bool,
}

impl Frames {
    pub(super) fn new(call: &Call<'_>) -> Result<Self, Status> {
        let representation = *call.representation;
        let rows = if representation.shape == Shape::Table {
            Some(Rows::new(call)?)
        } else {
            None
        };
        Ok(Self {
            view: call.view(),
            api_version: call.resource.group_version.to_string(),
            kind: call.resource.stored.kind.clone(),
            nothing: call.store.nothing(&call.target()),
            representation,
            rows,
            columns_sent: false,
        })
    }

    /// Whether events say how the caller is related to an object.
    pub(super) fn tell_roles(&self) -> bool {
        self.rows.is_some()
    }

    pub(super) fn content_type(&self) -> HeaderValue {
        match self.representation.format {
            Format::Protobuf => HeaderValue::from_static("application/vnd.kubernetes.protobuf;stream=watch"),
            _ => respond::JSON,
        }
    }

    /// Appends an event about `object`, which carries `revision`.
    pub(super) fn event(
        &mut self,
        kind: Kind,
        object: &Object,
        revision: Revision,
        role: Option<Role>,
        out: &mut Vec<u8>,
    ) {
        if self.representation.shape == Shape::Object {
            open(kind.as_str(), out);
            self.view.write_at(object, revision, out);
            out.extend_from_slice(b"}\n");
            return;
        }
        let mut text = Vec::new();
        object.write_at(b"{", revision, &mut text);
        let value = serde_json::from_slice(&text).unwrap_or_default();
        let value = self.convert(value, Some(&Shown { object, role }), revision);
        self.write(kind.as_str(), &value, out);
    }

    /// Appends a bookmark at `revision`; `initial` ends the initial events.
    pub(super) fn bookmark(&mut self, revision: Revision, initial: bool, out: &mut Vec<u8>) {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let value = match self.representation.shape {
            Shape::Object => {
                let mut object = self.nothing.clone();
                object["apiVersion"] = json!(self.api_version);
                object["kind"] = json!(self.kind);
                object["metadata"] = metadata;
                object
            }
            _ => self.convert(json!({"metadata": metadata}), None, revision),
        };
        self.write("BOOKMARK", &value, out);
    }

    /// The event that ends a watch for good.
    pub(super) fn error(&self, status: &Status) -> Bytes {
        let mut out = Vec::new();
        self.write("ERROR", &status.to_value(), &mut out);
        out.into()
    }

    fn write(&self, kind: &str, value: &Value, out: &mut Vec<u8>) {
        if self.representation.format != Format::Protobuf {
            open(kind, out);
            go_json::append(out, value);
            out.extend_from_slice(b"}\n");
            return;
        }
        // Negotiation lets nothing come here that has no such form.
        let event = protobuf::watch_event(kind, &protobuf::encode(value).unwrap_or_default());
        out.extend_from_slice(&u32::try_from(event.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(&event);
    }

    /// An object as a table or as metadata alone.
    fn convert(&mut self, value: Value, shown: Option<&Shown<'_>>, revision: Revision) -> Value {
        let Some(rows) = &self.rows else {
            return partial(&self.representation, &value);
        };
        let mut table = rows.of_value(&revision.to_string(), &value, shown);
        if !self.columns_sent {
            table["columnDefinitions"] = rows.definitions();
            self.columns_sent = true;
        }
        table
    }
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

fn open(kind: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
}

/// The events of one piece of a stream, one by one, without what separates them there.
pub(super) fn split(format: Format, mut piece: Bytes) -> Vec<Bytes> {
    let mut events = Vec::new();
    while !piece.is_empty() {
        let event = if format == Format::Protobuf {
            let length = piece.split_to(piece.len().min(4));
            let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            piece.split_to(piece.len().min(length))
        } else {
            let end = piece.iter().position(|byte| *byte == b'\n');
            piece.split_to(end.map_or(piece.len(), |end| end + 1))
        };
        events.push(event);
    }
    events
}
