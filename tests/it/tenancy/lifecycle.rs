//! Namespaces, finalizers and conditions of Organizations and Projects (tenancy.md R6, R10, R11, R12; cases 8 and 13).

use serde_json::{Value, json};

use super::stage::{Admin, Stage, namespace, ready};
use crate::harness::eventually;
use crate::harness::tenancy::{
    a_project, an_organization, as_stored, organization, organizations, project, projects, stored, user,
};

const OWNER_UID: &str = "bulward.io/owner-uid";

fn labels(object: &Value) -> &Value {
    &object["metadata"]["labels"]
}

/// Case 8, but for the templates.
#[tokio::test]
async fn an_organization_gets_its_namespace_and_a_project_one_beside_it() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    let alice = stage.caller("alice").await;
    let body = an_organization("life-made", &[user("alice")]);
    alice.post(&organizations(), &body).await.expect(201);
    let made = admin.ready_organization("life-made").await;
    assert_eq!(made["status"]["namespace"]["name"], "life-made");
    assert_eq!(made["status"]["phase"], "Ready");
    assert_eq!(made["status"]["observedGeneration"], made["metadata"]["generation"]);
    assert_eq!(
        made["metadata"]["finalizers"],
        json!(["organization.bulward.io/controller"])
    );
    let own = admin.get(&namespace("life-made")).await;
    assert_eq!(labels(&own)["bulward.io/organization"], "life-made");
    assert_eq!(labels(&own)[OWNER_UID], made["metadata"]["uid"]);
    assert_eq!(own["metadata"].get("ownerReferences"), None);

    admin.project("life-made", "web", &[user("alice")]).await;
    let web = admin.ready_project("life-made", "web").await;
    assert_eq!(web["status"]["namespace"]["name"], "life-made-web");
    assert_eq!(web["metadata"]["finalizers"], json!(["project.bulward.io/controller"]));
    let own = admin.get(&namespace("life-made-web")).await;
    assert_eq!(labels(&own)["bulward.io/organization"], "life-made");
    assert_eq!(labels(&own)["bulward.io/project"], "web");
    assert_eq!(labels(&own)[OWNER_UID], web["metadata"]["uid"]);
    assert_eq!(own["metadata"].get("ownerReferences"), None);

    // A change of the spec is observed.
    let change = json!({"spec": {"owners": [user("alice"), user("dave")]}});
    let changed = admin.merge(&stored(&organization("life-made")), change).await;
    assert_eq!(changed["metadata"]["generation"], 2);
    let observed = |it: &Value| it["status"]["observedGeneration"] == 2;
    admin
        .until(&stored(&organization("life-made")), "observed", observed)
        .await;
}

/// Case 13, and the order: Projects, then the Namespace, then the Organization.
#[tokio::test]
async fn deletion_takes_projects_first_and_waits_for_the_namespaces() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    let alice = stage.caller("alice").await;
    admin.organization("life-gone", &[user("alice")]).await;
    admin.ready_organization("life-gone").await;
    admin.project("life-gone", "web", &[user("alice")]).await;
    admin.ready_project("life-gone", "web").await;
    // What holds the Project's namespace: nothing may go before it.
    let held = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "held", "finalizers": ["example.com/test"]},
    });
    let maps = format!("{}/configmaps", namespace("life-gone-web"));
    admin.caller.post(&maps, &held).await.expect(201);

    alice.delete(&organization("life-gone")).await.expect(200);
    let terminating = |it: &Value| ready(it) == "False/Deleting" && it["status"]["phase"] == "Terminating";
    admin
        .until(&stored(&organization("life-gone")), "terminating", terminating)
        .await;
    admin
        .until(&stored(&project("life-gone", "web")), "terminating", terminating)
        .await;
    let going = |it: &Value| it["metadata"]["deletionTimestamp"].is_string();
    admin.until(&namespace("life-gone-web"), "going", going).await;
    // Its owner sees it until the end.
    let seen = alice.get(&organization("life-gone")).await.expect(200);
    assert_eq!(seen["status"]["phase"], "Terminating");
    let own = admin.get(&namespace("life-gone")).await;
    assert_eq!(
        own["metadata"].get("deletionTimestamp"),
        None,
        "the Project is still there"
    );

    admin
        .merge(&format!("{maps}/held"), json!({"metadata": {"finalizers": null}}))
        .await;
    admin.gone(&stored(&project("life-gone", "web"))).await;
    admin.gone(&stored(&organization("life-gone"))).await;
    admin.gone(&namespace("life-gone-web")).await;
    admin.gone(&namespace("life-gone")).await;
    alice.get(&organization("life-gone")).await.refused(404, "NotFound");
}

/// An Organization that is made anew inherits nothing: neither the Namespace on its way out, nor what was in it.
#[tokio::test]
async fn a_new_organization_waits_for_the_namespace_of_the_old_one() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    let first = admin.organization("life-again", &[user("alice")]).await;
    admin.ready_organization("life-again").await;
    let old = admin.get(&namespace("life-again")).await;
    admin.delete(&stored(&organization("life-again"))).await;
    admin.gone(&stored(&organization("life-again"))).await;
    let second = admin.organization("life-again", &[user("alice")]).await;
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    let made = admin.ready_organization("life-again").await;
    let own = admin.get(&namespace("life-again")).await;
    assert_ne!(own["metadata"]["uid"], old["metadata"]["uid"]);
    assert_eq!(labels(&own)[OWNER_UID], made["metadata"]["uid"]);
}

async fn refused(admin: &Admin, path: &str) -> Value {
    let conflict = |it: &Value| ready(it) == "False/NamespaceConflict";
    let object = admin.until(path, "refused", conflict).await;
    assert_eq!(object["status"]["namespace"]["name"], "", "{object}");
    assert_eq!(object["status"]["phase"], "NotReady");
    object
}

#[tokio::test]
async fn a_namespace_that_is_not_ours_is_refused_until_it_is_handed_over() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    let before = admin
        .namespace("life-taken", json!({"labels": {"team": "other"}}))
        .await;
    admin.bind("life-taken", "of-another", &[user("bob")]).await;
    admin.organization("life-taken", &[user("alice")]).await;
    let object = refused(&admin, &stored(&organization("life-taken"))).await;
    assert_eq!(
        object["status"]["members"],
        json!([]),
        "what is in it is not ours either"
    );
    // An order for somebody else is none.
    let order = |text: &str| json!({"metadata": {"annotations": {"bulward.io/adopt": text}}});
    admin
        .merge(&namespace("life-taken"), order("organization/life-other"))
        .await;
    admin.organization("life-other", &[user("alice")]).await;
    admin.ready_organization("life-other").await;
    refused(&admin, &stored(&organization("life-taken"))).await;
    let found = admin.get(&namespace("life-taken")).await;
    assert_eq!(labels(&found).get(OWNER_UID), None, "{found}");

    // Deleted, it leaves the Namespace alone.
    admin.delete(&stored(&organization("life-taken"))).await;
    admin.gone(&stored(&organization("life-taken"))).await;
    let found = admin.get(&namespace("life-taken")).await;
    assert_eq!(found["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(found["metadata"].get("deletionTimestamp"), None);

    admin.organization("life-taken", &[user("alice")]).await;
    refused(&admin, &stored(&organization("life-taken"))).await;
    admin
        .merge(&namespace("life-taken"), order("organization/life-taken"))
        .await;
    let made = admin.ready_organization("life-taken").await;
    let found = admin.get(&namespace("life-taken")).await;
    assert_eq!(
        found["metadata"]["uid"], before["metadata"]["uid"],
        "the same Namespace"
    );
    assert_eq!(labels(&found)[OWNER_UID], made["metadata"]["uid"]);
    assert_eq!(labels(&found)["team"], "other");
    let path = stored(&organization("life-taken"));
    admin
        .until(&path, "its members count now", |it| {
            super::stage::members(it) == ["bob"]
        })
        .await;
}

/// A Project `b` in `life-x` and an Organization `life-x-b` want the same Namespace: who has it keeps it, whatever anybody
/// orders, and the other one gets it when it is free.
#[tokio::test]
async fn two_that_want_one_namespace_never_share_it() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    admin.organization("life-x", &[user("alice")]).await;
    admin.ready_organization("life-x").await;
    admin.project("life-x", "b", &[user("alice")]).await;
    let project_made = admin.ready_project("life-x", "b").await;
    admin.organization("life-x-b", &[user("dave")]).await;
    refused(&admin, &stored(&organization("life-x-b"))).await;
    let order = json!({"metadata": {"annotations": {"bulward.io/adopt": "organization/life-x-b"}}});
    admin.merge(&namespace("life-x-b"), order).await;
    let path = stored(&organization("life-x-b"));
    let told = |it: &Value| it["status"]["conditions"].to_string().contains("belongs to another");
    admin.until(&path, "told that somebody has it", told).await;
    let found = admin.get(&namespace("life-x-b")).await;
    assert_eq!(labels(&found)[OWNER_UID], project_made["metadata"]["uid"]);
    admin.delete(&stored(&project("life-x", "b"))).await;
    let made = admin.ready_organization("life-x-b").await;
    let found = admin.get(&namespace("life-x-b")).await;
    assert_eq!(labels(&found)[OWNER_UID], made["metadata"]["uid"]);
    assert_eq!(labels(&found)["bulward.io/project"], Value::Null);
}

#[tokio::test]
async fn a_label_that_is_removed_or_changed_is_repaired() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    admin.organization("life-drift", &[user("alice")]).await;
    let made = admin.ready_organization("life-drift").await;
    let whole = admin.get(&namespace("life-drift")).await["metadata"]["labels"].clone();
    for change in [
        json!({"bulward.io/organization": null}),
        json!({"bulward.io/organization": "somebody"}),
        json!({ OWNER_UID: null }),
        json!({"bulward.io/organization": null, OWNER_UID: null}),
    ] {
        admin
            .merge(&namespace("life-drift"), json!({"metadata": {"labels": change}}))
            .await;
        admin
            .until(&namespace("life-drift"), "repaired", |it| *labels(it) == whole)
            .await;
    }
    let annotations = json!({"metadata": {"annotations": {OWNER_UID: null}}});
    admin.merge(&namespace("life-drift"), annotations).await;
    let annotated = |it: &Value| it["metadata"]["annotations"][OWNER_UID] == made["metadata"]["uid"];
    admin.until(&namespace("life-drift"), "annotated", annotated).await;
}

#[tokio::test]
async fn a_namespace_deleted_by_hand_takes_its_projects_with_it_and_is_made_again() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    admin.organization("life-hand", &[user("alice")]).await;
    admin.ready_organization("life-hand").await;
    admin.project("life-hand", "web", &[user("alice")]).await;
    admin.ready_project("life-hand", "web").await;
    let old = admin.get(&namespace("life-hand")).await["metadata"]["uid"].clone();
    admin.delete(&namespace("life-hand")).await;
    let another = |it: &Value| it["metadata"]["uid"] != old && it["metadata"].get("deletionTimestamp").is_none();
    admin.until(&namespace("life-hand"), "made again", another).await;
    admin.ready_organization("life-hand").await;
    admin.gone(&stored(&project("life-hand", "web"))).await;
    admin.gone(&namespace("life-hand-web")).await;
}

/// R10: in any namespace, also one that no Organization owns; without its namespace nothing is made.
#[tokio::test]
async fn a_project_may_live_in_a_namespace_of_nobody() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    admin.project("life-nobody", "web", &[user("alice")]).await;
    let path = stored(&project("life-nobody", "web"));
    admin
        .until(&path, "waits", |it| ready(it) == "False/ParentUnavailable")
        .await;
    assert_eq!(admin.caller.get(&namespace("life-nobody-web")).await.code, 404);
    admin.namespace("life-nobody", json!({})).await;
    admin.ready_project("life-nobody", "web").await;
    let own = admin.get(&namespace("life-nobody-web")).await;
    assert_eq!(labels(&own)["bulward.io/project"], "web");
    assert_eq!(labels(&own).get("bulward.io/organization"), None);
    admin.delete(&namespace("life-nobody")).await;
    admin.gone(&path).await;
    admin.gone(&namespace("life-nobody-web")).await;
    admin.gone(&namespace("life-nobody")).await;
}

/// Nothing of ours is re-made while its Organization goes: a Namespace that is deleted then stays deleted.
#[tokio::test]
async fn nothing_is_made_again_in_what_is_going() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    admin.organization("life-end", &[user("alice")]).await;
    admin.ready_organization("life-end").await;
    admin.project("life-end", "web", &[user("alice")]).await;
    admin.ready_project("life-end", "web").await;
    // Another finalizer keeps the Project, so that it is there, going, while its Namespace is not.
    let path = stored(&project("life-end", "web"));
    let both = json!({"metadata": {"finalizers": ["project.bulward.io/controller", "example.com/test"]}});
    admin.merge(&path, both).await;
    admin.delete(&stored(&organization("life-end"))).await;
    let ours_gone = |it: &Value| it["metadata"]["finalizers"] == json!(["example.com/test"]);
    admin.until(&path, "let go", ours_gone).await;
    admin.gone(&namespace("life-end-web")).await;
    // Something that makes the controllers look at it, and that they answer elsewhere: when that is done, they have looked.
    let look = json!({"metadata": {"labels": {"look": "again"}}});
    admin.merge(&path, look.clone()).await;
    admin.merge(&stored(&organization("life-end")), look).await;
    admin.organization("life-after", &[user("alice")]).await;
    admin.ready_organization("life-after").await;
    assert_eq!(admin.caller.get(&namespace("life-end-web")).await.code, 404);
    let own = admin.get(&namespace("life-end")).await;
    assert_eq!(
        own["metadata"].get("deletionTimestamp"),
        None,
        "the Project is still in it"
    );
    admin.merge(&path, json!({"metadata": {"finalizers": null}})).await;
    admin.gone(&stored(&organization("life-end"))).await;
    admin.gone(&namespace("life-end")).await;
}

/// R11: what cannot have a Namespace is refused, in either view.
#[tokio::test]
async fn names_that_cannot_be_namespaces_are_refused_at_create() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    let alice = stage.caller("alice").await;
    let long = "l".repeat(64);
    let body = an_organization(&long, &[user("alice")]);
    let refused = alice.post(&organizations(), &body).await.refused(422, "Invalid");
    assert!(refused["message"].as_str().unwrap().contains("63 bytes"), "{refused}");
    let body = an_organization("kube-something", &[user("alice")]);
    alice.post(&organizations(), &body).await.refused(422, "Invalid");
    admin.namespace("life-long", json!({})).await;
    let body = as_stored(a_project(&"p".repeat(54), &[user("alice")]));
    let path = stored(&projects("life-long"));
    let refused = admin.caller.post(&path, &body).await.refused(422, "Invalid");
    assert!(
        refused["message"].as_str().unwrap().contains("63 characters"),
        "{refused}"
    );
}

/// Events about an Organization lie in its own namespace, and while it has none there are none.
#[tokio::test]
async fn events_lie_in_the_organizations_own_namespace() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    admin.namespace("life-mute", json!({})).await;
    admin.organization("life-mute", &[user("alice")]).await;
    refused(&admin, &stored(&organization("life-mute"))).await;
    admin.organization("life-told", &[user("alice")]).await;
    admin.ready_organization("life-told").await;
    let events = async |name: &str| {
        let list = admin.get("/apis/events.k8s.io/v1/events?limit=10000").await;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let about = |item: &&Value| item["regarding"]["kind"] == "Organization" && item["regarding"]["name"] == name;
        let places = items.iter().filter(about).map(|item| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&item["metadata"]["namespace"]), text(&item["reason"]))
        });
        places.collect::<Vec<_>>()
    };
    let wanted = ("life-told".to_owned(), "SetupComplete".to_owned());
    let told = async || match events("life-told").await {
        found if found == [wanted.clone()] => Ok(()),
        found => Err(format!("{found:?}")),
    };
    eventually("there is one event", super::stage::SOON, told).await;
    assert_eq!(events("life-mute").await, [], "it has no namespace");
}
