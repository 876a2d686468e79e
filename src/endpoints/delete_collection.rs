//! DELETE of a collection: what is visible, owned and selected, one by one (visibility rule V12).

use std::sync::Arc;

use http::{HeaderMap, Response};
use hyper::body::Incoming;

use super::{Call, delete, encode, list};
use crate::http::body::Body;
use crate::rest::store::read::Freshness;
use crate::watchcache::Object;
use crate::wire::status::Status;

/// Deletes objects and answers with what they were before.
pub async fn delete_collection(call: &Call<'_>, headers: &HeaderMap, body: Incoming) -> Result<Response<Body>, Status> {
    let selection = list::options(call)?;
    selection.validate_list()?;
    let options = delete::options(call, headers, body).await?;
    let target = call.target();
    let snapshot = call.store.snapshot(Freshness::Latest).await?;
    let mut deleted: Vec<Arc<Object>> = Vec::new();
    for object in call.store.select(&target, &selection, &snapshot) {
        if target.filtered() && !object.facts.owned_by(&call.caller.subjects) {
            continue;
        }
        let one = target.named(object.namespace(), object.name());
        match call.store.delete(&one, &options).await {
            Ok(_) => deleted.push(object.clone()),
            // Gone meanwhile, or no longer the caller's: somebody else was faster.
            Err(status) if matches!(status.code, 403 | 404) => {}
            Err(status) => return Err(status),
        }
    }
    encode::list(
        call,
        snapshot.revision,
        &encode::Page::default(),
        &list::shown(call, &deleted, &snapshot),
    )
}
