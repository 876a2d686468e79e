//! GET of a collection (k8s.io/apiserver pkg/endpoints/handlers/get.go ListResource).
//!
//! `limit` is not implemented yet: the whole list is one page, which every client accepts.

use std::sync::Arc;

use http::Response;

use super::Call;
use super::encode::{self, Shown};
use crate::http::body::Body;
use crate::rest::store::read::Freshness;
use crate::watchcache::{Object, Snapshot};
use crate::wire::options::{ListOptions, VersionMatch};
use crate::wire::status::Status;

/// Answers with everything that exists for the caller.
pub async fn list(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let options = options(call)?;
    options.validate_list()?;
    let revision = options.revision()?;
    let target = call.target();
    let snapshot = call.store.snapshot(Freshness::from(revision)).await?;
    let exact = options.resource_version_match == Some(VersionMatch::Exact);
    let (at, objects) = match revision {
        Some(wanted) if exact && wanted < snapshot.revision => {
            (wanted, call.store.select_at(&target, &options, &snapshot, wanted)?)
        }
        _ => (snapshot.revision, call.store.select(&target, &options, &snapshot)),
    };
    encode::list(call, at, &shown(call, &objects, &snapshot))
}

/// The query of a list, watch or deletion of a collection.
pub fn options(call: &Call<'_>) -> Result<ListOptions, Status> {
    let options = ListOptions::parse(call.query)?;
    let spec = call.store.spec(call.kind);
    let known = |field: &str| {
        matches!(field, "metadata.name" | "metadata.namespace") || spec.fields.iter().any(|own| own == field)
    };
    options.field_selector.check(known).map_err(Status::bad_request)?;
    Ok(options)
}

/// The objects with what a table says about the caller.
pub fn shown<'a>(call: &Call<'_>, objects: &'a [Arc<Object>], snapshot: &Snapshot) -> Vec<Shown<'a>> {
    let target = call.target();
    let shown = objects.iter().map(|object| Shown {
        role: call.store.role(&target, object, snapshot),
        object,
    });
    shown.collect()
}
