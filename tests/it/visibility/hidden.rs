//! V7: nothing about an invisible object can be told apart from its absence.

use http::Method;
use serde_json::{Value, json};

use crate::harness::in_process::{Answer, Caller, Opened, each_storage};
use crate::harness::tenancy::{
    World, a_project, all_projects, an_organization, organization, organizations, project, projects, user,
};

const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const JSON: &str = "application/json";

/// Every way to ask for the object at `path`, well formed and not.
async fn probe(caller: &Caller, path: &str, body: &Value) -> Vec<Answer> {
    let mut stale = body.clone();
    stale["metadata"]["resourceVersion"] = json!("1");
    let mut foreign = stale.clone();
    foreign["metadata"]["uid"] = json!("00000000-0000-0000-0000-000000000000");
    let mut bad = stale.clone();
    bad["spec"]["owners"] = json!([]);
    let mut nameless = body.clone();
    nameless["metadata"]["name"] = json!("other");
    let precondition = json!({"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}});
    let test = json!([{"op": "test", "path": "/metadata/name", "value": "nope"}]);
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    let requests: Vec<(Method, &str, &str, Vec<u8>)> = vec![
        (Method::GET, "", JSON, vec![]),
        (Method::GET, "?resourceVersion=0", JSON, vec![]),
        (Method::GET, "?pretty=true", JSON, vec![]),
        (Method::GET, "?resourceVersion=x", JSON, vec![]),
        (Method::GET, "/status", JSON, vec![]),
        (Method::GET, "/scale", JSON, vec![]),
        (Method::PUT, "", JSON, body.to_string().into()),
        (Method::PUT, "", JSON, stale.to_string().into()),
        (Method::PUT, "", JSON, foreign.to_string().into()),
        (Method::PUT, "", JSON, bad.to_string().into()),
        (Method::PUT, "", JSON, nameless.to_string().into()),
        (Method::PUT, "", JSON, b"{".to_vec()),
        (Method::PUT, "", "text/plain", b"x".to_vec()),
        (Method::PUT, "?dryRun=All", JSON, stale.to_string().into()),
        (Method::PUT, "/status", JSON, stale.to_string().into()),
        (Method::PATCH, "", MERGE, label.to_string().into()),
        (Method::PATCH, "?dryRun=All", MERGE, label.to_string().into()),
        (Method::PATCH, "", MERGE, b"{}".to_vec()),
        (Method::PATCH, "", MERGE, bad.to_string().into()),
        (Method::PATCH, "", MERGE, foreign.to_string().into()),
        (Method::PATCH, "", MERGE, b"nonsense".to_vec()),
        (Method::PATCH, "", JSON_PATCH, test.to_string().into()),
        (Method::PATCH, "", JSON_PATCH, b"[]".to_vec()),
        (
            Method::PATCH,
            "",
            "application/strategic-merge-patch+json",
            b"{}".to_vec(),
        ),
        (Method::PATCH, "/status", MERGE, label.to_string().into()),
        (Method::DELETE, "", JSON, vec![]),
        (Method::DELETE, "", JSON, precondition.to_string().into()),
        (Method::DELETE, "?dryRun=All", JSON, vec![]),
        (Method::DELETE, "?propagationPolicy=Foreground", JSON, vec![]),
        (Method::DELETE, "?propagationPolicy=Weird", JSON, vec![]),
        (Method::DELETE, "/status", JSON, vec![]),
    ];
    let mut answers = Vec::new();
    for (method, suffix, media, bytes) in requests {
        let headers = [("content-type", media)];
        answers.push(caller.send(method, &format!("{path}{suffix}"), &headers, bytes).await);
    }
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    answers.push(caller.get_as(path, table).await);
    let partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json";
    answers.push(caller.get_as(path, partial).await);
    answers
}

/// Lists, which must not change either, but for the revision.
async fn lists(caller: &Caller, collection: &str, name: &str) -> Vec<Value> {
    let mut lists = Vec::new();
    for query in [
        "",
        "?limit=1",
        "?resourceVersion=0",
        &format!("?fieldSelector=metadata.name%3D{name}"),
        "?labelSelector=a",
    ] {
        for accept in [JSON, "application/json;as=Table;v=v1;g=meta.k8s.io"] {
            let mut list = caller.get_as(&format!("{collection}{query}"), accept).await.expect(200);
            list["metadata"]["resourceVersion"].take();
            // Time goes on: the last of the columns that are shown by default is the age.
            for row in list["rows"].as_array_mut().into_iter().flatten() {
                row["cells"]
                    .as_array_mut()
                    .unwrap()
                    .retain(|cell| !cell.as_str().is_some_and(is_age));
            }
            lists.push(list);
        }
    }
    lists
}

/// `0s`, `12s`.
fn is_age(cell: &str) -> bool {
    cell.strip_suffix('s')
        .is_some_and(|digits| digits.parse::<u32>().is_ok())
}

#[track_caller]
fn assert_same(missing: &[Answer], hidden: &[Answer]) {
    assert_eq!(missing.len(), hidden.len());
    for (missing, hidden) in missing.iter().zip(hidden) {
        let request = &missing.request;
        assert_eq!(missing.code, hidden.code, "{request}");
        assert_eq!(missing.text(), hidden.text(), "{request}");
        let headers = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            // Of each answer its own.
            headers.remove("date");
            headers.remove("audit-id");
            headers
        };
        assert_eq!(headers(missing), headers(hidden), "{request}");
    }
}

async fn v07_hidden_is_like_missing(opened: Opened) {
    let world = World::new(opened).await;
    world.organization("own", &[user("eve")]).await;
    world.claim(&organization("own"), "own").await;
    world.project("own", "own", &[user("eve")]).await;
    let eve = world.user("eve");
    let (organization_body, project_body) = (an_organization("x", &[user("eve")]), a_project("x", &[user("eve")]));
    let (org_path, project_path) = (organization("x"), project("own", "x"));

    let missing = probe(&eve, &org_path, &organization_body).await;
    let missing_project = probe(&eve, &project_path, &project_body).await;
    let (empty, empty_projects) = (
        lists(&eve, &organizations(), "x").await,
        lists(&eve, &all_projects(), "x").await,
    );
    missing[0].refused_with(404, "NotFound", r#"organizations.apiserver.bulward.io "x" not found"#);

    world.organization("x", &[user("alice")]).await;
    world.project("own", "x", &[user("alice")]).await;
    world
        .status(
            &org_path,
            json!({"members": [user("bob")], "phase": "Ready", "namespace": {"name": "x"}}),
        )
        .await;
    world.members(&project_path, &[user("bob")]).await;
    assert_same(&missing, &probe(&eve, &org_path, &organization_body).await);
    assert_same(&missing_project, &probe(&eve, &project_path, &project_body).await);
    assert_eq!(empty, lists(&eve, &organizations(), "x").await);
    assert_eq!(empty_projects, lists(&eve, &all_projects(), "x").await);

    // While it is being deleted, and when it is gone again.
    let finalizer = json!({"metadata": {"finalizers": ["example.com/wait"]}});
    for path in [&org_path, &project_path] {
        world.edit(path, finalizer.clone()).await;
        let marked = world.remove(path).await;
        assert!(marked["metadata"]["deletionTimestamp"].is_string());
    }
    assert_same(&missing, &probe(&eve, &org_path, &organization_body).await);
    assert_same(&missing_project, &probe(&eve, &project_path, &project_body).await);
    assert_eq!(empty, lists(&eve, &organizations(), "x").await);
    for path in [&org_path, &project_path] {
        world.edit(path, json!({"metadata": {"finalizers": null}})).await;
    }
    assert_same(&missing, &probe(&eve, &org_path, &organization_body).await);
}
each_storage!(v07_hidden_is_like_missing);

/// The one exception: a taken name cannot be created. The answer says nothing else of the other object.
async fn v07_create_under_a_taken_name(opened: Opened) {
    let world = World::new(opened).await;
    world.organization("taken", &[user("alice")]).await;
    world.project("free", "taken", &[user("alice")]).await;
    let eve = world.user("eve");
    for deleting in [false, true] {
        if deleting {
            for path in [organization("taken"), project("free", "taken")] {
                world
                    .edit(&path, json!({"metadata": {"finalizers": ["example.com/wait"]}}))
                    .await;
                world.remove(&path).await;
            }
        }
        for query in ["", "?dryRun=All"] {
            let organizations = format!("{}{query}", organizations());
            let mine = eve
                .post(&organizations, &an_organization("taken", &[user("eve")]))
                .await;
            let text = r#"organizations.apiserver.bulward.io "taken" already exists"#;
            let status = mine.refused_with(409, "AlreadyExists", text);
            let details = json!({"group": "apiserver.bulward.io", "kind": "organizations", "name": "taken"});
            assert_eq!(status["details"], details);
            // Whether the name is taken is not said to somebody who would not own the object.
            let others = eve
                .post(&organizations, &an_organization("taken", &[user("alice")]))
                .await;
            let text = "cannot create organization you're not the owner of";
            others.refused_with(400, "BadRequest", text);
            let projects = format!("{}{query}", projects("free"));
            let mine = eve.post(&projects, &a_project("taken", &[user("eve")])).await;
            let text = r#"projects.apiserver.bulward.io "taken" already exists"#;
            mine.refused_with(409, "AlreadyExists", text);
            let others = eve.post(&projects, &a_project("taken", &[user("alice")])).await;
            others.refused_with(400, "BadRequest", "cannot create project you're not the owner of");
        }
    }
}
each_storage!(v07_create_under_a_taken_name);

/// The owner of a terminating object gets the same words as a stranger.
#[tokio::test]
async fn v07_create_over_a_terminating_object_says_no_more() {
    let world = World::new(crate::harness::in_process::memory().await).await;
    let alice = world.user("alice");
    let mut body = an_organization("acme", &[user("alice")]);
    body["metadata"]["finalizers"] = json!(["example.com/wait"]);
    alice.post(&organizations(), &body).await.expect(201);
    alice.delete(&organization("acme")).await.expect(200);
    let again = alice.post(&organizations(), &body).await;
    again.refused_with(
        409,
        "AlreadyExists",
        r#"organizations.apiserver.bulward.io "acme" already exists"#,
    );
}

/// A deletion of a collection says nothing of, and does nothing to, what is not the caller's.
#[tokio::test]
async fn v07_collections_say_nothing_of_strangers() {
    let world = World::new(crate::harness::in_process::memory().await).await;
    let eve = world.user("eve");
    let without = eve.delete(&organizations()).await.expect(200);
    world.organization("x", &[user("alice")]).await;
    let with = eve.delete(&organizations()).await.expect(200);
    assert_eq!(without["items"], json!([]));
    assert_eq!(without["items"], with["items"]);
    world.user("alice").get(&organization("x")).await.expect(200);
}
