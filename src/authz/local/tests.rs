use super::*;
use crate::{
    authz::{AlwaysAllowPaths, ResourceAttributes, Union},
    wire::user::GROUP_MASTERS,
};

fn member(group: &str) -> UserInfo {
    UserInfo {
        name: "alice".to_owned(),
        groups: vec![group.to_owned()],
        ..UserInfo::default()
    }
}

fn path(verb: &str, path: &str) -> Attributes {
    Attributes::Path {
        path: path.to_owned(),
        verb: verb.to_owned(),
    }
}

fn resource(verb: &str, group: &str) -> Attributes {
    Attributes::Resource(ResourceAttributes {
        verb: verb.to_owned(),
        group: group.to_owned(),
        version: "v1alpha1".to_owned(),
        resource: "organizations".to_owned(),
        ..ResourceAttributes::default()
    })
}

async fn may(user: &UserInfo, attributes: &Attributes) -> bool {
    let union = Union::local(AlwaysAllowPaths::default(), Local::new("apiserver.bulward.io"));
    matches!(union.authorize(user, attributes).await.unwrap(), Decision::Allow { .. })
}

#[tokio::test]
async fn authenticated_callers_use_the_one_group_and_discovery() {
    let alice = member(GROUP_AUTHENTICATED);
    let open = [
        resource("deletecollection", "apiserver.bulward.io"),
        resource("create", "apiserver.bulward.io"),
        path("get", "/api"),
        path("get", "/apis"),
        path("get", "/apis/storage.bulward.io/v1alpha1"),
        path("get", "/openapi/v2"),
        path("get", "/version"),
        path("get", "/version/"),
    ];
    let masters_only = [
        resource("list", "storage.bulward.io"),
        resource("list", ""),
        path("get", "/metrics"),
        path("get", "/"),
        path("get", "/apisomething"),
        path("get", "/healthz/etcd"),
        path("post", "/apis"),
    ];
    for attributes in &open {
        assert!(may(&alice, attributes).await, "{attributes:?}");
        assert!(!may(&UserInfo::anonymous(), attributes).await, "{attributes:?}");
        assert!(may(&member(GROUP_MASTERS), attributes).await, "{attributes:?}");
    }
    for attributes in &masters_only {
        assert!(!may(&alice, attributes).await, "{attributes:?}");
        assert!(!may(&UserInfo::anonymous(), attributes).await, "{attributes:?}");
        assert!(may(&member(GROUP_MASTERS), attributes).await, "{attributes:?}");
    }
    assert!(may(&UserInfo::anonymous(), &path("get", "/healthz")).await);
}
