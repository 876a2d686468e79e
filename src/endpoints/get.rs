//! GET of one object (k8s.io/apiserver pkg/endpoints/handlers/get.go).

use http::{Response, StatusCode};

use super::Call;
use super::encode::{self, Shown};
use crate::http::body::Body;
use crate::wire::options::GetOptions;
use crate::wire::status::Status;

/// Answers with the object.
pub async fn get(call: &Call<'_>) -> Result<Response<Body>, Status> {
    if call.query.flag("export") {
        let text = "the export parameter, deprecated since v1.14, is no longer supported";
        return Err(Status::bad_request(text));
    }
    let revision = GetOptions::parse(call.query).revision()?;
    let target = call.target();
    let (object, snapshot) = call.store.get(&target, revision.into()).await?;
    let shown = Shown {
        role: call.store.role(&target, &object, &snapshot),
        object: &object,
    };
    encode::one(call, StatusCode::OK, &shown)
}
