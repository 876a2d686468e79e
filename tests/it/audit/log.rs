//! What stands in the file.

use std::time::Duration;

use bulward::audit::{BatchOptions, Mode};
use serde_json::{Value, json};

use super::{events, of_request, recording};
use crate::harness::frames::{END_HEADERS, Frames, HEADERS, field};
use crate::harness::in_process::{Caller, memory};
use crate::harness::tenancy::{World, a_project, an_organization, group, organization, organizations, projects, user};
use crate::harness::{Bulward, guardian};

const EVERYTHING: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitManagedFields: true
rules:
- {level: Metadata, verbs: [get, list, watch]}
- {level: RequestResponse}
";

/// Long enough for a server that has nothing left to do but to end.
const END: Duration = Duration::from_secs(60);

async fn ask(caller: &Caller, method: http::Method, path: &str, id: &str, body: &Value) -> u16 {
    let headers = [("audit-id", id), ("content-type", "application/json")];
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = caller.send(method, path, &headers, body).await;
    assert_eq!(answer.header("audit-id"), Some(id));
    answer.code
}

#[tokio::test]
async fn an_event_says_why_an_object_was_there_for_the_caller() {
    let folder = guardian::temporary("audit");
    let log = folder.path().join("audit.log");
    let world = World::with(memory().await, recording(folder.path(), EVERYTHING)).await;
    world.organization("acme", &[user("alice"), group("team")]).await;
    world.claim(&organization("acme"), "acme").await;
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let teamed = world.server.introduced("carol", &["team"]);
    let get = http::Method::GET;
    for (caller, id, code, role, subject) in [
        (&alice, "by-user", 200, Some("owner"), Some("User:alice")),
        (&teamed, "by-group", 200, Some("owner"), Some("Group:team")),
        (&bob, "hidden", 404, Some("none"), None),
    ] {
        assert_eq!(
            ask(caller, get.clone(), &organization("acme"), id, &Value::Null).await,
            code
        );
        let own = of_request(&log, id, "ResponseComplete").await;
        let stages: Vec<&str> = own.iter().map(|event| event["stage"].as_str().unwrap()).collect();
        assert_eq!(stages, ["RequestReceived", "ResponseComplete"]);
        let facts = &own[1]["annotations"];
        assert_eq!(facts["visibility.bulward.io/role"].as_str(), role, "{id}: {facts}");
        assert_eq!(
            facts["visibility.bulward.io/subject"].as_str(),
            subject,
            "{id}: {facts}"
        );
        assert_eq!(facts["authorization.k8s.io/decision"], "allow");
        assert_eq!(own[1]["responseStatus"]["code"], code);
        assert!(own[1].get("responseObject").is_none(), "of reads no objects are wanted");
    }
    assert_eq!(
        ask(&alice, get.clone(), &organization("absent"), "absent", &Value::Null).await,
        404
    );
    let absent = of_request(&log, "absent", "ResponseComplete").await;
    assert!(absent[1]["annotations"].get("visibility.bulward.io/role").is_none());

    assert_eq!(
        ask(&alice, get.clone(), &organizations(), "list", &Value::Null).await,
        200
    );
    assert_eq!(
        of_request(&log, "list", "ResponseComplete").await[1]["annotations"]["visibility.bulward.io/seen"],
        "1"
    );

    // What is sent and answered, and by whose right it is changed.
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    let headers = [("audit-id", "patch"), ("content-type", "application/merge-patch+json")];
    let answer = teamed
        .send(http::Method::PATCH, &organization("acme"), &headers, patch.to_string())
        .await;
    assert_eq!(answer.code, 200, "{}", answer.text());
    let event = of_request(&log, "patch", "ResponseComplete").await.remove(1);
    assert_eq!(event["requestObject"], patch);
    assert_eq!(event["responseObject"]["metadata"]["labels"], json!({"a": "b"}));
    assert!(event["responseObject"]["metadata"].get("managedFields").is_none());
    assert_eq!(event["annotations"]["visibility.bulward.io/subject"], "Group:team");
    let web = a_project("web", &[user("alice")]);
    assert_eq!(
        ask(&alice, http::Method::POST, &projects("acme"), "create", &web).await,
        201
    );
    let event = of_request(&log, "create", "ResponseComplete").await.remove(1);
    assert_eq!(event["objectRef"]["name"], "web", "taken from what was sent");
    assert_eq!(event["requestObject"]["spec"], web["spec"]);
}

#[tokio::test]
async fn a_watch_is_recorded_when_it_begins_and_when_it_ends() {
    let folder = guardian::temporary("audit");
    let log = folder.path().join("audit.log");
    let world = World::with(memory().await, recording(folder.path(), EVERYTHING)).await;
    world.organization("acme", &[user("alice")]).await;
    let alice = world.user("alice");
    let path = format!(
        "{}?watch=true&resourceVersion=0&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
        organizations()
    );
    let mut watch = alice.watch(path.replace("watch=true&", "").as_str()).await;
    watch.expect("ADDED", "acme").await;
    let begun = crate::harness::eventually("the watch's beginning", END, async || {
        let found = events(&log)
            .into_iter()
            .find(|event| event["stage"] == "ResponseStarted");
        found.ok_or("no such event")
    })
    .await;
    assert_eq!(
        (&begun["verb"], &begun["responseStatus"]["code"]),
        (&json!("watch"), &json!(200))
    );
    let id = begun["auditID"].as_str().unwrap();
    assert!(
        events(&log)
            .iter()
            .all(|event| event["auditID"] != id || event["stage"] != "ResponseComplete")
    );
    // A client that goes away ends it as well.
    drop(watch);
    drop(alice);
    let own = of_request(&log, id, "ResponseComplete").await;
    assert_eq!(own.last().unwrap()["annotations"]["visibility.bulward.io/seen"], "1");
    assert_eq!(own.len(), 3);
}

#[tokio::test]
async fn secrets_do_not_get_into_the_record() {
    let folder = guardian::temporary("audit");
    let log = folder.path().join("audit.log");
    let world = World::with(memory().await, recording(folder.path(), EVERYTHING)).await;
    let alice = world.user("alice");
    let secret = "sesame-open-up-now";
    let bearer = format!("Bearer {secret}");
    // As a browser sends a token, and as a front proxy would say who asks, if it were one.
    let socket = "base64url.bearer.authorization.k8s.io.c2VzYW1lLW9wZW4tdXAtbm93, v4.channel.k8s.io";
    let sent = |id: &'static str| {
        vec![
            ("audit-id", id),
            ("authorization", bearer.as_str()),
            ("cookie", secret),
            ("sec-websocket-protocol", socket),
            ("x-remote-user", secret),
            ("x-remote-group", secret),
            ("x-remote-extra-token", secret),
        ]
    };
    let anonymous = world.server.anonymous();
    let refused = anonymous
        .send(http::Method::GET, &organizations(), &sent("refused"), "")
        .await;
    assert_eq!(refused.code, 401);
    let own = of_request(&log, "refused", "ResponseStarted").await;
    assert_eq!(own.len(), 1, "one event says all: {own:?}");
    assert_eq!(
        (&own[0]["user"], &own[0]["responseStatus"]["code"]),
        (&json!({}), &json!(401))
    );
    let mut headers = sent("created");
    headers.push(("content-type", "application/json"));
    let body = an_organization("acme", &[user("alice")]).to_string();
    assert_eq!(
        alice
            .send(http::Method::POST, &organizations(), &headers, body)
            .await
            .code,
        201
    );
    of_request(&log, "created", "ResponseComplete").await;
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("acme") && !text.contains(secret), "{text}");
    assert!(!text.contains("c2VzYW1l"), "{text}");
}

/// Where every request must be recorded, one that cannot be is refused before anything happens.
#[tokio::test]
async fn what_cannot_be_recorded_does_not_happen_if_it_must_be() {
    let folder = guardian::temporary("audit");
    let policy = "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata, users: [alice]}]}";
    let mut settings = recording(folder.path(), policy);
    let log = settings.audit.log.as_mut().expect("a log");
    // A disk without any room.
    log.path = "/dev/full".into();
    log.mode = Mode::BlockingStrict;
    let world = World::with(memory().await, settings).await;
    world.organization("acme", &[user("alice")]).await;
    let alice = world.user("alice");
    let refused = alice.get(&organizations()).await;
    assert_eq!(refused.code, 500, "{}", refused.text());
    let expected = format!(
        "Internal Server Error: {:?}: failed to store audit event\n",
        organizations()
    );
    assert_eq!(refused.text(), expected);
    let body = an_organization("other", &[user("alice")]);
    assert_eq!(alice.post(&organizations(), &body).await.code, 500);
    assert_eq!(world.admin.get(&organization("other")).await.code, 404);
    let metrics = world.admin.get("/metrics").await.text();
    assert!(
        metrics.contains("apiserver_audit_requests_rejected_total 2"),
        "{metrics}"
    );
}

/// Also what is cut because it did not end in time has its last event.
#[tokio::test]
async fn a_request_that_is_cut_at_the_end_is_recorded() {
    let folder = guardian::temporary("audit");
    let log = folder.path().join("audit.log");
    let mut settings = recording(folder.path(), EVERYTHING);
    settings.connections.drain_timeout = Duration::from_millis(100);
    // Nothing more is taken once the server has ended.
    settings.audit.log.as_mut().expect("a log").mode = Mode::Batch(BatchOptions {
        buffer: 1000,
        max_size: 1,
        max_wait: Duration::ZERO,
        throttle: None,
        concurrent: false,
        max_bytes: None,
    });
    let world = World::with(memory().await, settings).await;
    let mut frames = Frames::open(&world.server.door_of("alice", &[]), &[]).await.unwrap();
    let head = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", &organizations()),
        (":authority", "localhost"),
        ("content-type", "application/json"),
        ("audit-id", "cut"),
    ];
    let head: Vec<u8> = head.iter().flat_map(|(name, value)| field(name, value)).collect();
    let stream = frames.begin();
    // Its body never comes.
    frames.send(HEADERS, END_HEADERS, stream, &head).await.unwrap();
    of_request(&log, "cut", "RequestReceived").await;
    world.server.drain();
    let own = of_request(&log, "cut", "ResponseComplete").await;
    assert_eq!(own.len(), 2);
    // Whoever hears of it first: the handler, whose body breaks off, or nobody.
    let code = own[1]["responseStatus"]["code"].as_u64();
    assert!(matches!(code, Some(400 | 499)), "{}", own[1]);
}

#[tokio::test]
async fn a_server_that_ends_loses_no_event() {
    let plane = crate::harness::ControlPlane::shared().await;
    let flags = ["--audit-log-mode=batch", "--audit-log-batch-buffer-size=100000"];
    let server = Bulward::start(plane, &flags).await;
    let caller = server.introduced(plane, "auditor-of-the-end", &["audited"]).await;
    let ids: Vec<String> = (0..100).map(|n| format!("end-{n}")).collect();
    for id in &ids {
        let answer = caller
            .send(http::Method::GET, &organizations(), &[("audit-id", id)], "")
            .await;
        assert_eq!(answer.code, 200, "{}", answer.text());
    }
    let watch = caller.watch(&organizations()).await;
    let log = server.audit_log();
    assert!(server.stop(END).await.success());
    drop(watch);
    let all = events(&log);
    for id in &ids {
        let own = all.iter().filter(|event| event["auditID"] == id.as_str());
        assert_eq!(own.count(), 2, "{id}");
    }
    let watches: Vec<&Value> = all.iter().filter(|event| event["verb"] == "watch").collect();
    assert_eq!(watches.last().unwrap()["stage"], "ResponseComplete", "{watches:?}");
}
