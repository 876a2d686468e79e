//! Objects as responses: stored bytes behind a view's head, or one of the views that a client may ask for.

use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::Call;
use super::rows::Rows;
use crate::http::body::Body;
use crate::http::respond;
use crate::storage::Revision;
use crate::visibility::Role;
use crate::watchcache::Object;
use crate::wire::json as go_json;
use crate::wire::negotiate::{Format, Shape};
use crate::wire::status::Status;

const YAML: HeaderValue = HeaderValue::from_static("application/yaml");

/// An object with what a table says about the caller.
pub struct Shown<'a> {
    /// The object.
    pub object: &'a Object,
    /// The caller's role; `None` in unfiltered views.
    pub role: Option<Role>,
}

/// One object as the response.
pub fn one(call: &Call<'_>, code: StatusCode, shown: &Shown<'_>) -> Result<Response<Body>, Status> {
    let representation = call.representation;
    let mut out = Vec::with_capacity(1024);
    match representation.shape {
        Shape::Object => shown.object.write(&call.head(), &mut out),
        Shape::Partial => go_json::append(&mut out, &partial(&shown.object.value())),
        Shape::Table => {
            let rows = Rows::new(call)?;
            let value = rows.table(&shown.object.revision.to_string(), [shown]);
            go_json::append(&mut out, &value);
        }
        Shape::PartialList => return Err(representation.mismatch(&call.resource.stored.kind, false)),
    }
    finish(call, code, out)
}

/// A list as the response.
pub fn list(call: &Call<'_>, revision: Revision, shown: &[Shown<'_>]) -> Result<Response<Body>, Status> {
    let representation = call.representation;
    let size: usize = shown.iter().map(|shown| shown.object.size() + 128).sum();
    let mut out = Vec::with_capacity(size + 256);
    let metadata = json!({"resourceVersion": revision.to_string()});
    match representation.shape {
        Shape::Object => {
            let head = call.head();
            out.extend_from_slice(b"{\"apiVersion\":");
            go_json::append(&mut out, &call.resource.group_version.to_string());
            out.extend_from_slice(b",\"items\":[");
            for (index, shown) in shown.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                shown.object.write(&head, &mut out);
            }
            out.extend_from_slice(b"],\"kind\":");
            go_json::append(&mut out, &format!("{}List", call.resource.stored.kind));
            out.extend_from_slice(b",\"metadata\":");
            go_json::append(&mut out, &metadata);
            out.push(b'}');
        }
        Shape::PartialList => {
            let items: Vec<Value> = shown.iter().map(|shown| partial(&shown.object.value())).collect();
            let list = json!({
                "apiVersion": "meta.k8s.io/v1",
                "items": items,
                "kind": "PartialObjectMetadataList",
                "metadata": metadata,
            });
            go_json::append(&mut out, &list);
        }
        Shape::Table => {
            let rows = Rows::new(call)?;
            let value = rows.table(&revision.to_string(), shown);
            go_json::append(&mut out, &value);
        }
        Shape::Partial => return Err(representation.mismatch(&call.resource.stored.kind, true)),
    }
    finish(call, StatusCode::OK, out)
}

/// A Status that is a success.
pub fn status(call: &Call<'_>, status: &Status) -> Result<Response<Body>, Status> {
    finish(call, StatusCode::OK, go_json::to_vec(&status.to_value()))
}

/// Metadata alone.
pub fn partial(object: &Value) -> Value {
    json!({
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": object["metadata"],
    })
}

/// Compact JSON as the client wants to read it.
fn finish(call: &Call<'_>, code: StatusCode, mut compact: Vec<u8>) -> Result<Response<Body>, Status> {
    let format = call.representation.format;
    if format == Format::Json && !call.pretty {
        compact.push(b'\n');
        return Ok(respond::bytes(code, respond::JSON, compact));
    }
    let value: Value = serde_json::from_slice(&compact).map_err(Status::internal)?;
    if format == Format::Json {
        let mut text = go_json::to_vec_pretty(&value);
        text.push(b'\n');
        return Ok(respond::bytes(code, respond::JSON, text));
    }
    let text = serde_saphyr::to_string(&value).map_err(Status::internal)?;
    Ok(respond::bytes(code, YAML, text))
}
