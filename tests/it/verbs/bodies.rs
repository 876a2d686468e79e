//! Bodies that are not what they should be: the contract's status, a message that names the field, and nothing stored.

use http::Method;
use serde_json::json;

use crate::harness::in_process::{Settings, memory};
use crate::harness::tenancy::{World, a_project, an_organization, organization, organizations, projects, stored, user};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[tokio::test]
async fn bad_bodies_are_refused_and_nothing_is_stored() {
    let world = World::new(memory().await).await;
    let alice = world.user("alice");
    let good = an_organization("acme", &[user("alice")]);
    let with = |change: serde_json::Value| {
        let mut body = good.clone();
        bulward::wire::patch::merge(&mut body, &change);
        body.to_string()
    };
    let cases = [
        ("{".to_owned(), 400, "unexpected end of JSON input"),
        (String::new(), 400, "json parse error: unexpected end of JSON input"),
        (
            r#"{"kind": "Organization""#.to_owned(),
            400,
            "the object provided is unrecognized",
        ),
        (with(json!({"kind": null})), 400, "Object 'Kind' is missing in"),
        (
            with(json!({"apiVersion": null})),
            400,
            "does not match the expected API version",
        ),
        (
            with(json!({"apiVersion": "apiserver.bulward.io/v2"})),
            400,
            "does not match the expected API version",
        ),
        (with(json!({"kind": "Project"})), 422, "must be Organization"),
        (
            with(json!({"metadata": {"name": null}})),
            422,
            "metadata.name: Required value: name or generateName is required",
        ),
        (
            with(json!({"metadata": {"labels": {"a b": "c"}}})),
            422,
            "metadata.labels: Invalid value: \"a b\"",
        ),
        (
            with(json!({"metadata": {"resourceVersion": "7"}})),
            400,
            "resourceVersion should not be set on objects to be created",
        ),
        (
            with(json!({"spec": {"metadata": {"displayName": "x"}}})),
            422,
            "spec.metadata.description: Required value",
        ),
        (with(json!({"spec": "x"})), 422, "spec in body must be of type object"),
        (with(json!({"spec": null})), 422, "spec: Required value"),
    ];
    for (body, code, wanted) in cases {
        let answer = alice.send(Method::POST, &organizations(), &JSON, body).await;
        let message = answer.expect(code)["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains(wanted), "{wanted:?} is not in {message:?}");
    }
    let huge = alice
        .send(Method::POST, &organizations(), &JSON, vec![b' '; 4 << 20])
        .await;
    huge.refused_with(
        413,
        "RequestEntityTooLarge",
        "Request entity too large: limit is 3145728",
    );
    let media = alice
        .send(
            Method::POST,
            &organizations(),
            &[("content-type", "application/cbor")],
            "x",
        )
        .await;
    media.refused(415, "UnsupportedMediaType");
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(alice.send(Method::POST, &organizations(), &JSON, deep).await.code, 400);
    assert!(world.admin.get(&stored(&organizations())).await.names().is_empty());

    let yaml = "apiVersion: apiserver.bulward.io/v1alpha1\nkind: Organization\nmetadata: {name: yaml}\nspec: {owners: [{kind: User, name: alice}]}\n";
    alice
        .send(
            Method::POST,
            &organizations(),
            &[("content-type", "application/yaml")],
            yaml,
        )
        .await
        .expect(201);
    let broken = alice
        .send(
            Method::POST,
            &organizations(),
            &[("content-type", "application/yaml")],
            "a: [",
        )
        .await;
    broken.refused(400, "BadRequest");
}

#[tokio::test]
async fn names_become_namespaces() {
    let settings = Settings {
        reserved_names: vec!["team-*".to_owned()],
        ..Settings::default()
    };
    let world = World::with(memory().await, settings).await;
    let alice = world.user("alice");
    for name in [
        "default",
        "kube-x",
        "openshift-y",
        "bulward-z",
        "team-a",
        "Upper",
        "a.b",
        &"x".repeat(64),
    ] {
        alice
            .post(&organizations(), &an_organization(name, &[user("alice")]))
            .await
            .invalid(&["metadata.name"]);
    }
    alice
        .post(&organizations(), &an_organization(&"x".repeat(63), &[user("alice")]))
        .await
        .expect(201);
    for (namespace, name) in [("kube", "system"), ("team", "b"), (&*"n".repeat(40), &*"p".repeat(23))] {
        alice
            .post(&projects(namespace), &a_project(name, &[user("alice")]))
            .await
            .invalid(&["metadata.name"]);
    }
    alice
        .post(
            &projects(&"n".repeat(40)),
            &a_project(&"p".repeat(22), &[user("alice")]),
        )
        .await
        .expect(201);
    let mut body = a_project("web", &[user("alice")]);
    body["metadata"]["namespace"] = json!("other");
    let text = "the namespace of the provided object does not match the namespace sent on the request";
    alice
        .post(&projects("here"), &body)
        .await
        .refused_with(400, "BadRequest", text);
}

#[tokio::test]
async fn unknown_fields_are_told_as_asked() {
    let world = World::new(memory().await).await;
    let alice = world.user("alice");
    let mut body = an_organization("acme", &[user("alice")]);
    body["spec"]["bogus"] = json!(1);
    let strict = alice
        .post(&format!("{}?fieldValidation=Strict", organizations()), &body)
        .await;
    let text = r#"Organization in version "v1alpha1" cannot be handled as a Organization: strict decoding error: unknown field "spec.bogus""#;
    strict.refused_with(400, "BadRequest", text);
    let warned = alice.post(&organizations(), &body).await;
    let created = warned.expect(201);
    assert_eq!(
        warned.header("warning"),
        Some(r#"299 - "unknown field \"spec.bogus\"""#)
    );
    assert_eq!(created["spec"].get("bogus"), None, "what is unknown is not kept");
    let ignored = alice
        .merge(
            &format!("{}?fieldValidation=Ignore", organization("acme")),
            &json!({"spec": {"bogus": 1}}),
        )
        .await;
    ignored.expect(200);
    assert_eq!(ignored.header("warning"), None);
    let twice = r#"{"apiVersion":"apiserver.bulward.io/v1alpha1","kind":"Organization","metadata":{"name":"b","name":"b"},"spec":{"owners":[{"kind":"User","name":"alice"}]}}"#;
    let twice = alice
        .send(
            Method::POST,
            &format!("{}?fieldValidation=Strict", organizations()),
            &JSON,
            twice,
        )
        .await;
    assert!(
        twice.refused(400, "BadRequest")["message"]
            .as_str()
            .unwrap()
            .contains("duplicate field \"metadata.name\"")
    );
}

#[tokio::test]
async fn unknown_places_and_methods() {
    let world = World::new(memory().await).await;
    let alice = world.user("alice");
    let base = "/apis/apiserver.bulward.io";
    for path in [
        "/v9/organizations",
        "/v1alpha1/robots",
        "/v1alpha1/organizations/a/scale",
        "/v1alpha1/organizations/a/b/c/d",
        "/v1alpha1/projects/web",
        "/v1alpha1/namespaces/a/organizations",
    ] {
        let answer = alice.get(&format!("{base}{path}")).await;
        answer.refused_with(404, "NotFound", "the server could not find the requested resource");
    }
    for (method, path) in [
        (Method::PUT, organizations()),
        (Method::POST, organization("a")),
        (Method::PATCH, organizations()),
        (Method::POST, format!("{base}/v1alpha1/projects")),
        (Method::OPTIONS, organizations()),
    ] {
        let answer = alice.send(method, &path, &JSON, "{}").await;
        assert!(
            matches!(answer.code, 403 | 405),
            "{}: {}",
            answer.request,
            answer.text()
        );
    }
    let index = world.admin.get("/nowhere").await;
    assert!(
        index.expect(404)["paths"]
            .as_array()
            .unwrap()
            .contains(&json!("/apis/apiserver.bulward.io/v1alpha1"))
    );
}
