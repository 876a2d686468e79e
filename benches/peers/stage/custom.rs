//! The CustomResource that is equal to Organization.

use std::time::Duration;

use bulward::groups;
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use crate::client::{Ask, Connector};
use crate::harness::{custom_resource, eventually};
use crate::objects::{CUSTOM_GROUP, OWNER};

/// Where it is served.
pub(crate) const COLLECTION: &str = "/apis/apiserver.example.io/v1alpha1/organizations";
/// Matters only in a failure.
const DEADLINE: Duration = Duration::from_secs(120);

/// Defines it, makes `rules`, and waits until it is served.
pub(super) async fn define(connector: &Connector, rules: &[Value]) {
    let kinds = groups::registry(&groups::Options::default()).kinds();
    let organization = kinds.iter().find(|kind| kind.plural == "organizations");
    let organization = organization.expect("a kind of ours");
    let definition = custom_resource::definition(organization, "apiserver.bulward.io", CUSTOM_GROUP);
    let mut admin = connector.connect(OWNER.0, OWNER.1).await;
    let rbac = |resource| format!("/apis/rbac.authorization.k8s.io/v1/{resource}");
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned();
    let made = [
        (definitions, &definition),
        (rbac("clusterroles"), &rules[0]),
        (rbac("clusterrolebindings"), &rules[1]),
    ];
    for (path, object) in made {
        let (status, text) = admin.text(Ask::post(path, Bytes::from(object.to_string()))).await;
        assert_eq!(status, StatusCode::CREATED, "{text}");
    }
    eventually("the CustomResource is served", DEADLINE, async || {
        let (status, text) = admin.text(Ask::get(COLLECTION.to_owned())).await;
        if status == StatusCode::OK { Ok(()) } else { Err(text) }
    })
    .await;
}
