//! A stored object, ready to be sent: its bytes completed once, its metadata parsed once.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::Value;

use super::KindSpec;
use crate::storage::Revision;
use crate::visibility::{Facts, Key, split};
use crate::wire::json;
use crate::wire::{meta, protobuf};

/// One version of one object. Immutable; shared by the snapshot, the log and every response.
#[derive(Debug)]
pub struct Object {
    /// `name` or `namespace/name`.
    pub key: Key,
    /// The revision that wrote this version: its resourceVersion.
    pub revision: Revision,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// The labels, sorted by key.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// What the object says about who sees it.
    pub facts: Arc<Facts>,
    /// Values of the kind's selectable fields, in the kind's order; absent ones are empty.
    fields: Box<[Box<str>]>,
    /// From `"metadata":` to the closing brace, resourceVersion included; what stands before differs by view.
    body: Bytes,
    /// Where the digits of resourceVersion stand in `body`.
    revision_at: Range<usize>,
    /// Where `metadata` ends in `body`.
    metadata_end: usize,
    /// The cells of a table's row, once somebody has asked for a table.
    row: OnceLock<Box<Row>>,
    /// The metadata as protobuf, once somebody has asked for it.
    protobuf: OnceLock<Box<[u8]>>,
}

/// What a table says of one version of an object, whoever asks.
#[derive(Debug)]
pub struct Row {
    /// The cells as JSON, in the order of the kind's columns; empty where a cell is made anew for each answer.
    pub cells: Box<[Box<[u8]>]>,
    /// `metadata.creationTimestamp`.
    pub created: Box<str>,
}

impl Object {
    /// Completes what was stored under `key` at `revision`.
    ///
    /// # Errors
    /// The stored bytes are not a JSON object with metadata.
    pub fn parse(spec: &KindSpec, key: Key, revision: Revision, stored: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(stored).map_err(|error| error.to_string())?;
        Self::from_value(spec, key, revision, &value)
    }

    /// As [`Object::parse`], from a parsed object; `apiVersion`, `kind` and a resourceVersion in it are ignored.
    ///
    /// # Errors
    /// The value is not an object with metadata.
    pub fn from_value(spec: &KindSpec, key: Key, revision: Revision, value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or("not an object")?;
        let metadata = object.get("metadata").and_then(Value::as_object).ok_or("no metadata")?;
        let (body, revision_at, metadata_end) = complete(object, metadata, revision);
        let text = |value: Option<&Value>| Box::from(value.and_then(Value::as_str).unwrap_or_default());
        let labels = metadata.get("labels").and_then(Value::as_object).into_iter().flatten();
        let fields = spec.fields.iter().map(|path| text(lookup(value, path)));
        Ok(Self {
            uid: text(metadata.get("uid")),
            labels: labels
                .map(|(key, value)| (key.as_str().into(), text(Some(value))))
                .collect(),
            facts: Arc::new((spec.facts)(value)),
            fields: fields.collect(),
            body,
            revision_at,
            metadata_end,
            row: OnceLock::new(),
            protobuf: OnceLock::new(),
            key,
            revision,
        })
    }

    /// What is stored of the object: everything but its resourceVersion, which the storage itself knows.
    pub fn stored(&self) -> Vec<u8> {
        const BEFORE: usize = r#""resourceVersion":""#.len();
        let (mut start, mut end) = (self.revision_at.start - BEFORE, self.revision_at.end + 1);
        // One of the commas around it goes, too.
        match self.body[start - 1] {
            b',' => start -= 1,
            _ if self.body[end] == b',' => end += 1,
            _ => {}
        }
        let mut out = Vec::with_capacity(self.body.len());
        out.push(b'{');
        out.extend_from_slice(&self.body[..start]);
        out.extend_from_slice(&self.body[end..]);
        out
    }

    /// The object as the transaction of `revision` has stored it.
    pub fn at(&self, revision: Revision) -> Self {
        let digits = revision.to_string().len();
        let mut body = Vec::with_capacity(self.body.len() - self.revision_at.len() + digits);
        self.write_at(b"", revision, &mut body);
        let moved = |place: usize| place + body.len() - self.body.len();
        Self {
            key: self.key.clone(),
            revision,
            uid: self.uid.clone(),
            labels: self.labels.clone(),
            facts: self.facts.clone(),
            fields: self.fields.clone(),
            revision_at: self.revision_at.start..moved(self.revision_at.end),
            metadata_end: moved(self.metadata_end),
            body: body.into(),
            row: OnceLock::new(),
            protobuf: OnceLock::new(),
        }
    }

    /// The object's name.
    pub fn name(&self) -> &str {
        split(&self.key).1
    }

    /// The object's namespace; empty for cluster-scoped objects.
    pub fn namespace(&self) -> &str {
        split(&self.key).0.unwrap_or_default()
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        let at = self.labels.binary_search_by(|(own, _)| own.as_ref().cmp(key)).ok()?;
        Some(&self.labels[at].1)
    }

    /// The value of a selectable field; `None` when the kind has no such field.
    pub fn field(&self, spec: &KindSpec, path: &str) -> Option<&str> {
        match path {
            "metadata.name" => Some(self.name()),
            "metadata.namespace" => Some(self.namespace()),
            _ => {
                let at = spec.fields.iter().position(|own| own == path)?;
                Some(&self.fields[at])
            }
        }
    }

    /// Appends the object behind a view's head (`{"apiVersion":…,"kind":…,`).
    pub fn write(&self, head: &[u8], out: &mut Vec<u8>) {
        self.write_at(head, self.revision, out);
    }

    /// As [`Object::write`], with another resourceVersion: a deletion carries the revision at which the object went.
    pub fn write_at(&self, head: &[u8], revision: Revision, out: &mut Vec<u8>) {
        out.extend_from_slice(head);
        self.write_body(self.body.len(), revision, out);
    }

    /// Appends `metadata` alone behind a head, with this resourceVersion.
    pub fn write_metadata_at(&self, head: &[u8], revision: Revision, out: &mut Vec<u8>) {
        out.extend_from_slice(head);
        self.write_body(self.metadata_end, revision, out);
        out.push(b'}');
    }

    /// Appends the body up to a place that is not before the resourceVersion, with this one.
    fn write_body(&self, end: usize, revision: Revision, out: &mut Vec<u8>) {
        if revision == self.revision {
            out.extend_from_slice(&self.body[..end]);
        } else {
            out.extend_from_slice(&self.body[..self.revision_at.start]);
            out.extend_from_slice(revision.to_string().as_bytes());
            out.extend_from_slice(&self.body[self.revision_at.end..end]);
        }
    }

    /// The row of a table; made once from the object.
    pub fn row(&self, make: impl FnOnce(&Value) -> Row) -> &Row {
        self.row.get_or_init(|| Box::new(make(&self.value())))
    }

    /// The metadata alone as protobuf; encoded once.
    pub fn protobuf(&self) -> &[u8] {
        self.protobuf
            .get_or_init(|| protobuf::metadata_only(&self.value()).into())
    }

    /// Length of what [`Object::write`] appends, without the head.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// The parsed object without `apiVersion` and `kind`, resourceVersion included; what a dry run made was not stored and has
    /// none.
    pub fn value(&self) -> Value {
        let mut text = Vec::with_capacity(self.body.len() + 1);
        self.write(b"{", &mut text);
        let mut value = serde_json::from_slice(&text).expect("the body was serialized by this module");
        if self.revision == 0 {
            meta::set(&mut value, "resourceVersion", "");
        }
        value
    }

    /// Bytes of memory that this version holds, roughly, with what tables and metadata forms may come to keep with it.
    pub fn weight(&self) -> usize {
        let labels: usize = self
            .labels
            .iter()
            .map(|(key, value)| key.len() + value.len() + 32)
            .sum();
        let own_members = self.facts.own_members.as_ref().map_or(0, |own| own.len());
        let subjects = self.facts.owners.len() + self.facts.members.len() + own_members;
        let forms = size_of::<Row>() + 2 * self.metadata_end;
        size_of::<Self>() + self.body.len() + forms + self.key.len() + labels + subjects * size_of::<Arc<str>>()
    }
}

/// The value at a dotted path.
pub fn lookup<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, part| value.get(part))
}

/// Serializes the object from `metadata` on with `revision` in its alphabetical place; says where it stands, and where
/// `metadata` ends.
fn complete(
    object: &serde_json::Map<String, Value>,
    metadata: &serde_json::Map<String, Value>,
    revision: Revision,
) -> (Bytes, Range<usize>, usize) {
    let mut out = Vec::with_capacity(1024);
    let mut revision_at = 0..0;
    out.extend_from_slice(b"\"metadata\":{");
    let mut members: Vec<(&str, Option<&Value>)> = metadata
        .iter()
        .filter(|(name, _)| *name != "resourceVersion")
        .map(|(name, value)| (name.as_str(), Some(value)))
        .collect();
    let place = members.partition_point(|(name, _)| *name < "resourceVersion");
    members.insert(place, ("resourceVersion", None));
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::append(&mut out, name);
        out.push(b':');
        match value {
            Some(value) => json::append(&mut out, value),
            None => {
                let digits = revision.to_string();
                let start = out.len() + 1;
                json::append(&mut out, &digits);
                revision_at = start..start + digits.len();
            }
        }
    }
    out.push(b'}');
    let metadata_end = out.len();
    for (name, value) in object {
        if !matches!(name.as_str(), "metadata" | "apiVersion" | "kind") {
            out.push(b',');
            json::append(&mut out, name);
            out.push(b':');
            json::append(&mut out, value);
        }
    }
    out.push(b'}');
    // A copy is as long as it has to be; what was written to is longer by up to a half.
    (Bytes::copy_from_slice(&out), revision_at, metadata_end)
}
