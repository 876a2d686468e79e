//! Objects as responses: stored bytes behind a view's head, or one of the views that a client may ask for.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::Call;
use super::rows::Rows;
use crate::http::body::Body;
use crate::http::respond::{self, Manner};
use crate::visibility::Role;
use crate::watchcache::{Object, Revision};
use crate::wire::json as go_json;
use crate::wire::negotiate::{Format, Representation, Shape};
use crate::wire::protobuf;
use crate::wire::status::Status;

/// The kind of metadata alone.
pub const PARTIAL: &str = "PartialObjectMetadata";
/// The kind of a list of it.
const PARTIAL_LIST: &str = "PartialObjectMetadataList";

/// An object with what a table says about the caller.
pub struct Shown<'a> {
    /// The object.
    pub object: &'a Object,
    /// The caller's role; `None` in unfiltered views, and where nobody asks for a table.
    pub role: Option<Role>,
}

/// What a list says about itself beside its revision.
#[derive(Debug, Default)]
pub struct Page {
    /// Where it goes on.
    pub token: Option<String>,
    /// How many objects follow.
    pub remaining: Option<usize>,
}

impl Page {
    fn metadata(&self, revision: Revision) -> Value {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if let Some(token) = &self.token {
            metadata["continue"] = json!(token);
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = json!(remaining);
        }
        metadata
    }
}

/// One object as the response.
pub fn one(call: &Call<'_>, code: StatusCode, shown: &Shown<'_>) -> Result<Response<Body>, Status> {
    let representation = call.representation;
    let mut out = Vec::with_capacity(1024);
    match representation.shape {
        Shape::Object => call.view().write(shown.object, &mut out),
        Shape::Partial if representation.format == Format::Protobuf && shown.object.revision != 0 => {
            protobuf::envelope(representation.meta_version, PARTIAL, shown.object.protobuf(), &mut out);
            return Ok(respond::bytes(code, respond::PROTOBUF, out));
        }
        Shape::Partial => write_partial(representation, shown.object, shown.object.revision, &mut out),
        Shape::Table => {
            let metadata = match shown.object.revision {
                // made by a dry run, and not stored
                0 => json!({}),
                revision => json!({"resourceVersion": revision.to_string()}),
            };
            Rows::new(call)?.write(&metadata, true, [(shown, shown.object.revision)], &mut out);
        }
        Shape::PartialList => return Err(representation.mismatch(&call.resource.stored.kind, false)),
    }
    Ok(finish(call, code, out))
}

/// A list as the response.
pub fn list(call: &Call<'_>, revision: Revision, page: &Page, shown: &[Shown<'_>]) -> Result<Response<Body>, Status> {
    let representation = call.representation;
    let size: usize = shown.iter().map(|shown| shown.object.size() + 128).sum();
    let mut out = Vec::with_capacity(size + 256);
    let metadata = page.metadata(revision);
    match representation.shape {
        Shape::Object => {
            let view = call.view();
            let version = call.resource.group_version.to_string();
            let kind = format!("{}List", call.resource.stored.kind);
            let item = |object: &Object, out: &mut Vec<u8>| view.write_item(object, out);
            write_list(&version, &kind, &metadata, shown, item, &mut out);
        }
        Shape::PartialList if representation.format == Format::Protobuf => {
            let items = shown.iter().map(|shown| shown.object.protobuf());
            let list = protobuf::metadata_list(&metadata, items);
            protobuf::envelope(representation.meta_version, PARTIAL_LIST, &list, &mut out);
            return Ok(respond::bytes(StatusCode::OK, respond::PROTOBUF, out));
        }
        Shape::PartialList => {
            let item = |object: &Object, out: &mut Vec<u8>| write_partial(representation, object, object.revision, out);
            write_list(
                representation.meta_version,
                PARTIAL_LIST,
                &metadata,
                shown,
                item,
                &mut out,
            );
        }
        Shape::Table => {
            let shown = shown.iter().map(|shown| (shown, shown.object.revision));
            Rows::new(call)?.write(&metadata, true, shown, &mut out);
        }
        Shape::Partial => return Err(representation.mismatch("unstructured.Unstructured", true)),
    }
    Ok(finish(call, StatusCode::OK, out))
}

/// Appends a list, of which `item` writes each object.
fn write_list(
    api_version: &str,
    kind: &str,
    metadata: &Value,
    shown: &[Shown<'_>],
    item: impl Fn(&Object, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"apiVersion\":");
    go_json::append(out, api_version);
    out.extend_from_slice(b",\"items\":[");
    for (index, shown) in shown.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        item(shown.object, out);
    }
    out.extend_from_slice(b"],\"kind\":");
    go_json::append(out, kind);
    out.extend_from_slice(b",\"metadata\":");
    go_json::append(out, metadata);
    out.push(b'}');
}

/// A Status that is a success.
pub fn status(call: &Call<'_>, status: &Status) -> Response<Body> {
    finish(call, StatusCode::OK, go_json::to_vec(&status.to_value()))
}

/// Appends the metadata alone, cut from what is stored, with this resourceVersion.
pub fn write_partial(representation: &Representation, object: &Object, revision: Revision, out: &mut Vec<u8>) {
    if object.revision == 0 {
        return go_json::append(out, &partial(representation, &object.value()));
    }
    let head = match representation.meta_version {
        "meta.k8s.io/v1" => br#"{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadata","#.as_slice(),
        version => &format!(r#"{{"apiVersion":"{version}","kind":"{PARTIAL}","#).into_bytes(),
    };
    object.write_metadata_at(head, revision, out);
}

/// The metadata of an object that is not stored.
pub fn partial(representation: &Representation, object: &Value) -> Value {
    json!({
        "apiVersion": representation.meta_version,
        "kind": PARTIAL,
        "metadata": object["metadata"],
    })
}

/// As the client wants to read it.
fn finish(call: &Call<'_>, code: StatusCode, compact: Vec<u8>) -> Response<Body> {
    let manner = Manner {
        format: call.representation.format,
        pretty: call.pretty,
    };
    respond::encoded(code, manner, compact)
}
