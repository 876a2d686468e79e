//! DELETE of one object (k8s.io/apiserver pkg/endpoints/handlers/delete.go).

use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::encode::{self, Shown};
use super::{Call, input};
use crate::http::body::Body;
use crate::http::upload::Upload;
use crate::rest::store::delete::Deleted;
use crate::wire::options::DeleteOptions;
use crate::wire::status::Status;

/// Deletes an object, or marks it when it has finalizers.
pub async fn delete(call: &Call<'_>, headers: &HeaderMap, upload: &Upload) -> Result<Response<Body>, Status> {
    let options = options(call, headers, upload).await?;
    let target = call.target();
    match call.store.delete(&target, &options).await? {
        Deleted::Gone(object) => {
            let gone = Status::deleted(&call.resource.group_resource(), call.name, &object.uid);
            Ok(encode::status(call, &gone))
        }
        Deleted::Marked(object) => {
            let snapshot = call.store.cache().any().map_err(crate::rest::store::stale)?;
            let shown = Shown {
                role: call.store.role(&target, &object, &snapshot),
                object: &object,
            };
            // Accepted is said to nobody but those who said in the old way that dependents are to go, too.
            let code = match options.orphan_dependents {
                Some(false) => StatusCode::ACCEPTED,
                _ => StatusCode::OK,
            };
            encode::one(call, code, &shown)
        }
    }
}

/// The options of a deletion: from the body if there is one, else from the query.
pub async fn options(call: &Call<'_>, headers: &HeaderMap, upload: &Upload) -> Result<DeleteOptions, Status> {
    let verb = match call.name {
        "" => "delete_collection",
        _ => "delete",
    };
    let bytes = input::read_counted(call, verb, upload).await?;
    if bytes.is_empty() {
        return DeleteOptions::from_query(call.query);
    }
    let body = input::options(headers, &bytes)?;
    let options = DeleteOptions::from_body(&body)?;
    call.caller.notes.submit_other(|| Some(named(body)));
    Ok(options)
}

/// Options as an audit shows them, with what they are.
fn named(mut options: Value) -> Value {
    for (field, what) in [("kind", "DeleteOptions"), ("apiVersion", "v1")] {
        if options[field].as_str().unwrap_or_default().is_empty() {
            options[field] = json!(what);
        }
    }
    options
}
