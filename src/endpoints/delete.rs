//! DELETE of one object (k8s.io/apiserver pkg/endpoints/handlers/delete.go).

use http::{HeaderMap, Response, StatusCode};

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
    DeleteOptions::from_body(&input::options(headers, &bytes)?)
}
