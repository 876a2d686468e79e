//! DELETE of a collection: what is visible, owned and selected, one by one (visibility rule V12).

use std::sync::Arc;

use http::{HeaderMap, Response};

use super::list::Listed;
use super::{Call, delete, encode, list};
use crate::http::body::Body;
use crate::http::upload::Upload;
use crate::rest::store::grounds::forget;
use crate::watchcache::Object;
use crate::wire::status::Status;

/// Deletes objects and answers with what they were before.
pub async fn delete_collection(
    call: &Call<'_>,
    headers: &HeaderMap,
    upload: &Upload,
) -> Result<Response<Body>, Status> {
    // Bad options are told before anything is looked for.
    list::options(call)?.validate_list()?;
    let options = delete::options(call, headers, upload).await?;
    let Listed {
        snapshot,
        at,
        objects,
        page,
    } = list::selected(call).await?;
    let target = call.target();
    let mut deleted: Vec<Arc<Object>> = Vec::new();
    for object in objects {
        if target.filtered() && !object.facts.owned_by(&call.caller.subjects) {
            continue;
        }
        let one = target.named(object.namespace(), object.name());
        match call.store.delete_of(&target, &one, &options).await {
            Ok(_) => deleted.push(object.clone()),
            // Gone meanwhile, or no longer the caller's: somebody else was faster.
            Err(status) if status.code == 404 => {}
            Err(status) if status.code == 403 && !call.store.owns(&one)? => {}
            Err(status) => return Err(status),
        }
    }
    forget(&call.caller.notes);
    call.caller.notes.show(deleted.len());
    encode::list(call, at, &page, &list::shown(call, &deleted, &snapshot, at))
}
