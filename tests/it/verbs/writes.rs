//! Update, patch and delete: preconditions, generations, finalizers, dry runs, and writes that change nothing.

use http::Method;
use serde_json::json;

use crate::harness::in_process::memory;
use crate::harness::tenancy::{
    World, a_project, an_organization, organization, organizations, project, projects, user,
};

#[tokio::test]
async fn what_the_server_decides_itself() {
    let world = World::new(memory().await).await;
    let alice = world.user("alice");
    let mut body = an_organization("acme", &[user("alice")]);
    body["metadata"]["uid"] = json!("mine");
    body["metadata"]["generation"] = json!(7);
    body["metadata"]["creationTimestamp"] = json!("2000-01-01T00:00:00Z");
    body["metadata"]["deletionTimestamp"] = json!("2000-01-01T00:00:00Z");
    let created = alice.post(&organizations(), &body).await.expect(201);
    let metadata = &created["metadata"];
    assert_ne!(metadata["uid"], "mine");
    assert_eq!(metadata["generation"], 1);
    assert_ne!(metadata["creationTimestamp"], "2000-01-01T00:00:00Z");
    assert_eq!(metadata.get("deletionTimestamp"), None);

    // The generation counts the spec alone.
    let labelled = alice
        .merge(&organization("acme"), &json!({"metadata": {"labels": {"a": "b"}}}))
        .await
        .expect(200);
    assert_eq!(labelled["metadata"]["generation"], 1);
    let more = json!({"spec": {"owners": [user("alice"), user("bob")]}});
    let changed = alice.merge(&organization("acme"), &more).await.expect(200);
    assert_eq!(changed["metadata"]["generation"], 2);
    assert_eq!(changed["metadata"]["uid"], metadata["uid"]);

    let mut generated = an_organization("", &[user("alice")]);
    generated["metadata"] = json!({"generateName": "gen-"});
    let first = alice.post(&organizations(), &generated).await.expect(201);
    let second = alice.post(&organizations(), &generated).await.expect(201);
    let name = |object: &serde_json::Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name(&first).starts_with("gen-") && name(&first).len() == 9 && name(&first) != name(&second));
}

#[tokio::test]
async fn nothing_changes_and_nobody_hears_of_it() {
    let world = World::new(memory().await).await;
    let alice = world.user("alice");
    let created = alice
        .post(&organizations(), &an_organization("acme", &[user("alice")]))
        .await
        .expect(201);
    let mut watch = alice
        .watch(&format!(
            "{}?resourceVersion={}",
            organizations(),
            created["metadata"]["resourceVersion"].as_str().unwrap()
        ))
        .await;
    let path = organization("acme");
    for same in [
        alice.put(&path, &created).await,
        alice.merge(&path, &json!({})).await,
        alice.merge(&path, &json!({"metadata": {"labels": null}})).await,
        alice.json_patch(&path, &json!([])).await,
    ] {
        assert_eq!(same.expect(200), created);
    }
    for dry in [
        alice
            .merge(
                &format!("{path}?dryRun=All"),
                &json!({"metadata": {"labels": {"x": "y"}}}),
            )
            .await,
        alice.delete(&format!("{path}?dryRun=All")).await,
    ] {
        dry.expect(200);
    }
    let dry = alice
        .post(
            &format!("{}?dryRun=All", organizations()),
            &an_organization("dry", &[user("alice")]),
        )
        .await
        .expect(201);
    assert!(
        dry["metadata"]["uid"].is_string() && dry["metadata"].get("resourceVersion").is_none(),
        "{dry}"
    );
    let odd = alice.delete(&format!("{path}?dryRun=Some")).await;
    odd.refused(422, "Invalid");
    alice
        .merge(&path, &json!({"metadata": {"labels": {"marker": "m"}}}))
        .await
        .expect(200);
    let marker = watch.expect("MODIFIED", "acme").await;
    assert_eq!(
        marker["metadata"]["labels"],
        json!({"marker": "m"}),
        "the first thing that is heard"
    );
    assert_eq!(alice.get(&organizations()).await.names(), ["acme"]);
}

#[tokio::test]
async fn updates_have_preconditions() {
    let world = World::new(memory().await).await;
    let alice = world.user("alice");
    let created = alice
        .post(&organizations(), &an_organization("acme", &[user("alice")]))
        .await
        .expect(201);
    let path = organization("acme");
    alice
        .merge(&path, &json!({"metadata": {"labels": {"a": "b"}}}))
        .await
        .expect(200);
    let stale = "Operation cannot be fulfilled on organizations.apiserver.bulward.io \"acme\": the object has been modified; please apply your changes to the latest version and try again";
    alice.put(&path, &created).await.refused_with(409, "Conflict", stale);
    alice
        .merge(&path, &json!({"metadata": {"resourceVersion": "1"}}))
        .await
        .refused_with(409, "Conflict", stale);
    let mut none = created.clone();
    none["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    alice.put(&path, &none).await.invalid(&["metadata.resourceVersion"]);
    let mut other = alice.get(&path).await.json();
    other["metadata"]["uid"] = json!("another");
    alice.put(&path, &other).await.refused(409, "Conflict");
    other["metadata"]["name"] = json!("renamed");
    let text = "the name of the object (renamed) does not match the name on the URL (acme)";
    alice.put(&path, &other).await.refused_with(400, "BadRequest", text);
    for patch in [
        json!({"metadata": {"name": "renamed"}}),
        json!({"metadata": {"name": null}}),
    ] {
        alice.merge(&path, &patch).await.refused(400, "BadRequest");
    }
    alice.merge(&path, &json!({"kind": "Robot"})).await.invalid(&["kind"]);
}

#[tokio::test]
async fn patches_of_every_type() {
    let world = World::new(memory().await).await;
    let alice = world.user("alice");
    alice
        .post(&organizations(), &an_organization("acme", &[user("alice")]))
        .await
        .expect(201);
    let path = organization("acme");
    let failing = json!([{"op": "test", "path": "/kind", "value": "Robot"}]);
    let text = "the server rejected our request due to an error in our request";
    alice
        .json_patch(&path, &failing)
        .await
        .refused_with(422, "Invalid", text);
    alice
        .json_patch(
            &path,
            &json!([{"op": "test", "path": "/kind", "value": "Organization"}]),
        )
        .await
        .expect(200);
    let undecodable = alice
        .with_body(
            Method::PATCH,
            &path,
            "application/json-patch+json",
            &json!({"op": "add"}),
        )
        .await;
    assert!(
        undecodable.refused(400, "BadRequest")["message"]
            .as_str()
            .unwrap()
            .starts_with("error decoding patch: ")
    );
    let many: Vec<_> = (0..10_001)
        .map(|_| json!({"op": "test", "path": "/kind", "value": "Organization"}))
        .collect();
    let many = alice
        .json_patch(&path, &json!(many))
        .await
        .refused(413, "RequestEntityTooLarge");
    assert_eq!(
        many["message"],
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
    for media in [
        "application/strategic-merge-patch+json",
        "application/json",
        "text/plain",
    ] {
        let status = alice
            .with_body(Method::PATCH, &path, media, &json!({}))
            .await
            .refused(415, "UnsupportedMediaType");
        let message = status["message"].as_str().unwrap();
        assert!(
            message.contains("application/json-patch+json") && message.contains("application/merge-patch+json"),
            "{message}"
        );
    }
    let force = alice.merge(&format!("{path}?force=true"), &json!({})).await;
    force.refused(422, "Invalid");
    let missing = alice.merge(&organization("nobody"), &json!({})).await;
    missing.refused_with(
        404,
        "NotFound",
        "organizations.apiserver.bulward.io \"nobody\" not found",
    );
}

#[tokio::test]
async fn deletions_wait_for_finalizers_and_keep_their_preconditions() {
    let world = World::new(memory().await).await;
    let alice = world.user("alice");
    let mut body = a_project("web", &[user("alice")]);
    body["metadata"]["finalizers"] = json!(["example.com/wait"]);
    let created = alice.post(&projects("space"), &body).await.expect(201);
    let path = project("space", "web");
    let options = |preconditions| json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions});
    alice
        .delete_with(&path, &options(json!({"uid": "another"})))
        .await
        .refused(409, "Conflict");
    alice
        .delete_with(&path, &options(json!({"resourceVersion": "1"})))
        .await
        .refused(409, "Conflict");
    let weird = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Weird"});
    alice.delete_with(&path, &weird).await.refused(422, "Invalid");

    let marked = alice
        .delete_with(&path, &options(json!({"uid": created["metadata"]["uid"]})))
        .await
        .expect(200);
    assert_eq!(
        (&marked["kind"], &marked["metadata"]["deletionGracePeriodSeconds"]),
        (&json!("Project"), &json!(0))
    );
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(
        alice.delete(&path).await.expect(200),
        marked,
        "the second deletion changes nothing"
    );
    let more = json!({"metadata": {"finalizers": ["example.com/wait", "example.com/more"]}});
    alice
        .merge(&path, &more)
        .await
        .invalid(&["metadata.finalizers", "metadata.finalizers"]);
    let last = alice
        .merge(&path, &json!({"metadata": {"finalizers": null}}))
        .await
        .expect(200);
    assert_eq!(last["metadata"]["uid"], created["metadata"]["uid"]);
    alice.get(&path).await.refused(404, "NotFound");

    alice
        .post(&projects("space"), &a_project("gone", &[user("alice")]))
        .await
        .expect(201);
    let gone = alice.delete(&project("space", "gone")).await.expect(200);
    assert_eq!((&gone["kind"], &gone["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!(
        (&gone["details"]["name"], &gone["details"]["kind"]),
        (&json!("gone"), &json!("projects"))
    );
    assert_eq!(gone.get("code"), None);
}
