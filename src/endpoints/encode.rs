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
use crate::wire::meta;
use crate::wire::negotiate::{Representation, Shape};
use crate::wire::status::Status;

/// An object with what a table says about the caller.
pub struct Shown<'a> {
    /// The object.
    pub object: &'a Object,
    /// The caller's role; `None` in unfiltered views.
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
        // A dry run stores nothing, and what is not stored has no version.
        Shape::Object if shown.object.revision == 0 => {
            let mut value = call.resource.complete(shown.object.value());
            call.resource.serve(&mut value);
            meta::set(&mut value, "resourceVersion", "");
            go_json::append(&mut out, &value);
        }
        Shape::Object => call.view().write(shown.object, &mut out),
        Shape::Partial => go_json::append(&mut out, &partial(representation, &shown.object.value())),
        Shape::Table => {
            let rows = Rows::new(call)?;
            let value = rows.table(&shown.object.revision.to_string(), [shown]);
            go_json::append(&mut out, &value);
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
            out.extend_from_slice(b"{\"apiVersion\":");
            go_json::append(&mut out, &call.resource.group_version.to_string());
            out.extend_from_slice(b",\"items\":[");
            for (index, shown) in shown.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                view.write_item(shown.object, &mut out);
            }
            out.extend_from_slice(b"],\"kind\":");
            go_json::append(&mut out, &format!("{}List", call.resource.stored.kind));
            out.extend_from_slice(b",\"metadata\":");
            go_json::append(&mut out, &metadata);
            out.push(b'}');
        }
        Shape::PartialList => {
            let items = shown.iter().map(|shown| partial(representation, &shown.object.value()));
            let items: Vec<Value> = items.collect();
            let list = json!({
                "apiVersion": representation.meta_version,
                "items": items,
                "kind": "PartialObjectMetadataList",
                "metadata": metadata,
            });
            go_json::append(&mut out, &list);
        }
        Shape::Table => {
            let rows = Rows::new(call)?;
            let mut value = rows.table(&revision.to_string(), shown);
            value["metadata"] = metadata;
            go_json::append(&mut out, &value);
        }
        Shape::Partial => return Err(representation.mismatch("unstructured.Unstructured", true)),
    }
    Ok(finish(call, StatusCode::OK, out))
}

/// A Status that is a success.
pub fn status(call: &Call<'_>, status: &Status) -> Response<Body> {
    finish(call, StatusCode::OK, go_json::to_vec(&status.to_value()))
}

/// Metadata alone.
pub fn partial(representation: &Representation, object: &Value) -> Value {
    json!({
        "apiVersion": representation.meta_version,
        "kind": "PartialObjectMetadata",
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
