//! V8 and V9: callers without anything, and callers without a name.

use std::time::{Duration, SystemTime};

use bulward::certs::{Authority, Leaf};
use serde_json::json;

use crate::harness::in_process::{Opened, authority, each_storage, memory};
use crate::harness::tenancy::{World, all_projects, organization, organizations, projects, user};

/// A caller in no Organization: 200 and an empty list, an idle watch, a completed WatchList.
async fn v08_nothing_is_a_complete_answer(opened: Opened) {
    let world = World::new(opened).await;
    world.organization("acme", &[user("alice")]).await;
    world.project("acme", "web", &[user("alice")]).await;
    let nobody = world.user("nobody");
    for path in [organizations(), all_projects(), projects("acme"), projects("elsewhere")] {
        let list = nobody.get(&path).await;
        assert_eq!(list.expect(200)["items"], json!([]));
        assert!(list.revision() > 0);
        let listing = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let mut complete = nobody.watch(&format!("{path}?{listing}")).await;
        let (names, revision) = complete.initial().await;
        assert!(names.is_empty());
        assert!(revision >= list.revision());
        // Idle until its end: neither object nor bookmark.
        nobody.watch(&format!("{path}?timeoutSeconds=1")).await.end().await;
        let from = list.revision();
        nobody
            .watch(&format!("{path}?resourceVersion={from}&timeoutSeconds=1"))
            .await
            .end()
            .await;
    }
}
each_storage!(v08_nothing_is_a_complete_answer);

/// Without credentials one is `system:anonymous`: always-allowed paths, and nothing that RBAC does not give.
#[tokio::test]
async fn v09_no_credentials_are_anonymous() {
    let world = World::new(memory().await).await;
    world.organization("acme", &[user("alice")]).await;
    let anonymous = world.server.anonymous();
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(anonymous.get(path).await.code, 200, "{path}");
    }
    let text = r#"organizations.apiserver.bulward.io is forbidden: User "system:anonymous" cannot list resource "organizations" in API group "apiserver.bulward.io" at the cluster scope"#;
    anonymous
        .get(&organizations())
        .await
        .refused_with(403, "Forbidden", text);
    anonymous
        .get(&format!("{}?watch=true", organizations()))
        .await
        .refused(403, "Forbidden");
    anonymous.get(&organization("acme")).await.refused(403, "Forbidden");
    anonymous.get(&organization("nothing")).await.refused(403, "Forbidden");
    anonymous.delete(&organization("acme")).await.refused(403, "Forbidden");
    anonymous.get("/apis").await.refused(403, "Forbidden");
    anonymous.get("/metrics").await.refused(403, "Forbidden");
    // Headers of a front proxy count for nothing without its certificate.
    let headers = [
        ("x-remote-user", "alice"),
        ("x-remote-group", "system:masters"),
        ("x-remote-group", "system:authenticated"),
    ];
    let spoofed = anonymous.send(http::Method::GET, &organizations(), &headers, "").await;
    spoofed.refused_with(403, "Forbidden", text);
    let alice = world.user("alice");
    let spoofed = alice
        .send(http::Method::GET, &organizations(), &[("x-remote-user", "bob")], "")
        .await;
    assert_eq!(spoofed.names(), ["acme"], "alice stays alice");
}

/// What names `system:anonymous` is seen by it, once RBAC lets it in; here a front proxy says who it is.
#[tokio::test]
async fn v09_anonymous_sees_what_names_it() {
    let world = World::new(memory().await).await;
    world
        .organization("open", &[user("alice"), user("system:anonymous")])
        .await;
    world.organization("closed", &[user("alice")]).await;
    let anonymous = world.server.introduced("system:anonymous", &["system:unauthenticated"]);
    assert_eq!(anonymous.get(&organizations()).await.names(), ["open"]);
}

/// Credentials that are present but invalid are refused, not ignored.
#[tokio::test]
async fn v09_invalid_credentials_are_401() {
    let world = World::new(memory().await).await;
    let stranger = Authority::new("it").unwrap();
    let foreign = stranger.issue(&Leaf::client("alice", &["system:masters"])).unwrap();
    let day = Duration::from_secs(24 * 3600);
    let expired = authority()
        .issue(&Leaf {
            not_before: SystemTime::now() - 2 * day,
            not_after: SystemTime::now() - day,
            ..Leaf::client("alice", &["system:masters"])
        })
        .unwrap();
    let early = authority()
        .issue(&Leaf {
            not_before: SystemTime::now() + day,
            not_after: SystemTime::now() + 2 * day,
            ..Leaf::client("alice", &[])
        })
        .unwrap();
    let server_certificate = authority().issue(&Leaf::server(["localhost"])).unwrap();
    for pair in [foreign, expired, early, server_certificate] {
        let caller = world.server.presenting(&pair);
        for path in [organizations(), organization("x"), "/apis".to_owned()] {
            caller
                .get(&path)
                .await
                .refused_with(401, "Unauthorized", "Unauthorized");
        }
    }
    let token = [("authorization", "Bearer nonsense")];
    let bearer = world.server.anonymous();
    let answer = bearer.send(http::Method::GET, &organizations(), &token, "").await;
    answer.refused_with(401, "Unauthorized", "Unauthorized");
}

/// Any number of groups, from a front proxy; each of them counts.
#[tokio::test]
async fn v09_every_group_of_a_caller_counts() {
    let world = World::new(memory().await).await;
    let groups: Vec<String> = (0..300).map(|number| format!("g{number}")).collect();
    let borrowed: Vec<&str> = groups.iter().map(String::as_str).collect();
    for number in [0, 150, 299] {
        let owner = crate::harness::tenancy::group(&format!("g{number}"));
        world.organization(&format!("o{number}"), &[owner]).await;
    }
    // A user is no group, and a group no user.
    world.organization("user-named-group", &[user("g1")]).await;
    world
        .organization("group-named-user", &[crate::harness::tenancy::group("dora")])
        .await;
    let dora = world.server.introduced("dora", &borrowed);
    assert_eq!(dora.get(&organizations()).await.names(), ["o0", "o150", "o299"]);
    let account = world
        .server
        .introduced("system:serviceaccount:ns:robot", &["system:serviceaccounts"]);
    world
        .organization("sa", &[crate::harness::tenancy::service_account("ns", "robot")])
        .await;
    world
        .organization("all-sa", &[crate::harness::tenancy::group("system:serviceaccounts")])
        .await;
    world
        .organization(
            "other-sa",
            &[crate::harness::tenancy::service_account("other", "robot")],
        )
        .await;
    assert_eq!(account.get(&organizations()).await.names(), ["all-sa", "sa"]);
}
