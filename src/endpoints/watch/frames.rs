//! Watch events as bytes, in the representation that the client asked for.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Value, json};

use super::super::encode::{PARTIAL, Shown, partial, write_partial};
use super::super::rows::Rows;
use super::super::view::View;
use super::{Call, Owned};
use crate::http::respond;
use crate::visibility::Role;
use crate::watchcache::encoded::Form;
use crate::watchcache::{Object, Revision};
use crate::wire::json as go_json;
use crate::wire::meta;
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
    representation: Representation,
    rows: Option<Rows>,
    /// A table's columns are sent with the first event alone.
    columns_sent: bool,
    /// The same for all watches whose events are the same bytes.
    form: Form,
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
            representation,
            rows,
            columns_sent: false,
            // A resource stays where it is for as long as a watch holds it.
            form: (Arc::as_ptr(call.resource).addr(), representation),
        })
    }

    /// Which watches are sent the same bytes; `None` for tables, in which everybody has a role of their own.
    pub(super) fn form(&self) -> Option<Form> {
        self.rows.is_none().then_some(self.form)
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
        if self.representation.format == Format::Protobuf {
            return match self.representation.shape {
                Shape::Object => self.object_event(kind, object, revision, out),
                _ => self.metadata_event(kind, object, revision, out),
            };
        }
        open(kind.as_str(), out);
        match &self.rows {
            Some(rows) => {
                let metadata = json!({"resourceVersion": revision.to_string()});
                let columns = !std::mem::replace(&mut self.columns_sent, true);
                rows.write(&metadata, columns, [(&Shown { object, role }, revision)], out);
            }
            None if self.representation.shape == Shape::Object => self.view.write_at(object, revision, out),
            None => write_partial(&self.representation, object, revision, out),
        }
        out.extend_from_slice(b"}\n");
    }

    /// Negotiation lets nothing come here that has no such form.
    fn object_event(&self, kind: Kind, object: &Object, revision: Revision, out: &mut Vec<u8>) {
        let mut json = Vec::with_capacity(object.size() + 128);
        self.view.write_at(object, revision, &mut json);
        let value: Value = serde_json::from_slice(&json).unwrap_or_default();
        self.write(kind.as_str(), &value, out);
    }

    fn metadata_event(&self, kind: Kind, object: &Object, revision: Revision, out: &mut Vec<u8>) {
        let other;
        let raw = if revision == object.revision {
            object.protobuf()
        } else {
            let mut value = object.value();
            meta::set(&mut value, "resourceVersion", revision.to_string());
            other = protobuf::metadata_only(&value);
            &other
        };
        let mut body = Vec::with_capacity(raw.len() + 64);
        protobuf::envelope(self.representation.meta_version, PARTIAL, raw, &mut body);
        frame(&protobuf::watch_event(kind.as_str(), &body), out);
    }

    /// Appends a bookmark of `own` at `revision`; `initial` ends the initial events.
    pub(super) fn bookmark(&mut self, own: &Owned, revision: Revision, initial: bool, out: &mut Vec<u8>) {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let bare = json!({"metadata": metadata});
        if let Some(rows) = &self.rows {
            let metadata = json!({"resourceVersion": revision.to_string()});
            let columns = !std::mem::replace(&mut self.columns_sent, true);
            open("BOOKMARK", out);
            rows.write_bookmark(&metadata, columns, bare, out);
            out.extend_from_slice(b"}\n");
            return;
        }
        let value = match self.representation.shape {
            Shape::Object => {
                let mut object = own.store.nothing(&own.target());
                object["apiVersion"] = json!(own.resource.group_version.to_string());
                object["kind"] = json!(own.resource.stored.kind);
                object["metadata"] = bare["metadata"].clone();
                object
            }
            _ => partial(&self.representation, &bare),
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
        frame(
            &protobuf::watch_event(kind, &protobuf::encode(value).unwrap_or_default()),
            out,
        );
    }
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
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

/// Appends a protobuf event behind its length.
fn frame(event: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(event.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(event);
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
