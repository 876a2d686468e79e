//! Members are the subjects of RoleBindings (tenancy.md R5; cases 3 and 6).

use futures::StreamExt;
use serde_json::{Value, json};

use super::stage::{Admin, Stage, a_binding, bindings, members};
use crate::harness::tenancy::{group, organization, organizations, project, service_account, stored, user};

/// Waits until an Organization has exactly these members.
async fn has(admin: &Admin, path: &str, wanted: &[&str]) -> Value {
    admin
        .until(path, &format!("members {wanted:?}"), |it| members(it) == wanted)
        .await
}

/// Case 3.
#[tokio::test]
async fn a_role_binding_makes_a_member_who_sees_and_may_not_change() {
    let stage = Stage::shared().await;
    let (admin, bob) = (stage.admin().await, stage.caller("bob").await);
    admin.organization("memb-one", &[user("alice")]).await;
    admin.ready_organization("memb-one").await;
    bob.get(&organization("memb-one")).await.refused(404, "NotFound");
    admin.bind("memb-one", "bob", &[user("bob")]).await;
    let path = stored(&organization("memb-one"));
    let object = has(&admin, &path, &["bob"]).await;
    assert_eq!(
        object["status"]["members"],
        json!([user("alice"), user("bob")]),
        "verbatim"
    );
    assert_eq!(object["status"].get("ownMembers"), None, "the same as members");
    // Once, whatever else binds him; sorted by kind and name.
    let more = [
        group("devs"),
        user("bob"),
        service_account("memb-one", "robot"),
        user("adam"),
    ];
    admin.bind("memb-one", "more", &more).await;
    let object = has(&admin, &path, &["devs", "robot", "adam", "bob"]).await;
    assert_eq!(
        object["status"]["members"],
        json!([
            group("devs"),
            service_account("memb-one", "robot"),
            user("adam"),
            user("alice"),
            user("bob")
        ])
    );
    let mut seen = bob.get(&organization("memb-one")).await.expect(200);
    seen["metadata"]["labels"] = json!({"a": "b"});
    let refused = bob
        .put(&organization("memb-one"), &seen)
        .await
        .refused(403, "Forbidden");
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("ownership is required for update operation"),
        "{message}"
    );
    bob.delete(&organization("memb-one")).await.refused(403, "Forbidden");
    admin.delete(&format!("{}/bob", bindings("memb-one"))).await;
    admin.delete(&format!("{}/more", bindings("memb-one"))).await;
    has(&admin, &path, &[]).await;
    bob.get(&organization("memb-one")).await.refused(404, "NotFound");
}

/// Case 6.
#[tokio::test]
async fn who_gains_gets_added_and_who_loses_deleted_also_under_a_selector() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    let (alice, bob) = (stage.caller("alice").await, stage.caller("bob").await);
    admin.organization("memb-live", &[user("alice")]).await;
    admin.ready_organization("memb-live").await;
    let path = stored(&organization("memb-live"));
    let labelled = admin
        .merge(&path, json!({"metadata": {"labels": {"case": "six"}}}))
        .await;
    let from = labelled["metadata"]["resourceVersion"].as_str().unwrap();
    let watched = format!("{}?labelSelector=case%3Dsix&resourceVersion={from}", organizations());
    let (mut hers, mut his) = (alice.watch(&watched).await, bob.watch(&watched).await);
    for round in 0..2 {
        admin.bind("memb-live", "bob", &[user("bob")]).await;
        let added = his.expect("ADDED", "memb-live").await;
        assert_eq!(members(&added), ["bob"], "round {round}");
        assert_eq!(members(&hers.expect("MODIFIED", "memb-live").await), ["bob"]);
        admin.delete(&format!("{}/bob", bindings("memb-live"))).await;
        let deleted = his.expect("DELETED", "memb-live").await;
        assert_eq!(members(&deleted), ["bob"], "the last state that he was allowed to see");
        assert_eq!(members(&hers.expect("MODIFIED", "memb-live").await), [""; 0]);
    }
}

#[tokio::test]
async fn an_organization_has_the_members_of_its_ready_projects_too() {
    let stage = Stage::shared().await;
    let (admin, bob) = (stage.admin().await, stage.caller("bob").await);
    admin.organization("memb-up", &[user("alice")]).await;
    admin.ready_organization("memb-up").await;
    admin.project("memb-up", "web", &[user("alice")]).await;
    admin.ready_project("memb-up", "web").await;
    admin.bind("memb-up", "carol", &[user("carol")]).await;
    admin.bind("memb-up-web", "bob", &[user("bob")]).await;
    has(&admin, &stored(&project("memb-up", "web")), &["bob"]).await;
    let path = stored(&organization("memb-up"));
    let object = has(&admin, &path, &["bob", "carol"]).await;
    assert_eq!(object["status"]["ownMembers"], json!([user("alice"), user("carol")]));
    assert_eq!(bob.get(&organization("memb-up")).await.code, 200);
    admin.delete(&format!("{}/carol", bindings("memb-up"))).await;
    let object = has(&admin, &path, &["bob"]).await;
    assert_eq!(
        object["status"]["ownMembers"],
        json!([user("alice")]),
        "its own are not the same as all"
    );
    admin.delete(&stored(&project("memb-up", "web"))).await;
    has(&admin, &path, &[]).await;
}

/// What a controller wrote for `Everyone` makes nobody a member; a label alone, or a copy from elsewhere, is no such mark.
#[tokio::test]
async fn a_binding_for_everyone_makes_no_members() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    admin.organization("memb-every", &[user("alice")]).await;
    let made = admin.ready_organization("memb-every").await;
    let uid = made["metadata"]["uid"].as_str().unwrap();
    let marked = |name: &str, who: &str, owner: &str| {
        let mut binding = a_binding(name, &[user(who)]);
        binding["metadata"]["labels"] = json!({
            "bulward.io/managed-by": "organizationroletemplate", "bulward.io/everyone": "true",
            "bulward.io/owner-uid": owner,
        });
        binding
    };
    let mut bare = a_binding("bare", &[user("carol")]);
    bare["metadata"]["labels"] = json!({"bulward.io/everyone": "true"});
    for binding in [
        marked("everyone", "bob", uid),
        marked("copied", "dave", "another"),
        bare,
    ] {
        admin.caller.post(&bindings("memb-every"), &binding).await.expect(201);
    }
    let path = stored(&organization("memb-every"));
    has(&admin, &path, &["carol", "dave"]).await;
    admin.bind("memb-every", "bob", &[user("bob")]).await;
    has(&admin, &path, &["bob", "carol", "dave"]).await;
    admin.delete(&format!("{}/bob", bindings("memb-every"))).await;
    has(&admin, &path, &["carol", "dave"]).await;
}

/// A burst of 1,000 RoleBindings is a handful of writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_role_bindings_are_a_handful_of_writes() {
    const COUNT: usize = 1_000;
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    admin.organization("memb-burst", &[user("alice")]).await;
    let made = admin.ready_organization("memb-burst").await;
    let from = made["metadata"]["resourceVersion"].as_str().unwrap();
    let field = "fieldSelector=metadata.name%3Dmemb-burst";
    let watched = format!("{}?{field}&resourceVersion={from}", stored(&organizations()));
    let mut watching = admin.caller.watch(&watched).await;
    let began = tokio::time::Instant::now();
    let binds = futures::stream::iter(0..COUNT).map(|number| {
        let admin = admin.clone();
        async move {
            let name = format!("user-{number:04}");
            admin.bind("memb-burst", &name, &[user(&name)]).await;
        }
    });
    let writes = async {
        let mut writes = 0;
        loop {
            writes += 1;
            if members(&watching.expect("MODIFIED", "memb-burst").await).len() == COUNT {
                return writes;
            }
        }
    };
    let ((), writes) = tokio::join!(binds.buffer_unordered(16).collect::<()>(), writes);
    let took = began.elapsed();
    println!("{COUNT} RoleBindings in {took:?}: {writes} writes of the status");
    // Two a second at most, once the pauses have grown: what a slow machine may take longer for, it may write more often.
    let allowed = 8 + 2 * usize::try_from(took.as_secs()).unwrap();
    assert!(writes <= allowed, "{writes} writes in {took:?}");
    admin.delete(&stored(&organization("memb-burst"))).await;
    admin.gone(&stored(&organization("memb-burst"))).await;
}
