//! The same requests to kube-apiserver's CustomResources and to us, under one policy: what is recorded must be equal.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::{events, of_request, recording};
use crate::harness::in_process::{Caller, DEADLINE};
use crate::harness::twin::{Ask, Twin, kind, strip};
use crate::harness::{AUDIT_POLICY, ControlPlane, eventually, guardian};
use crate::metrics::scrape::Scrape;

const GROUP: &str = "audit.example.com";

fn schema() -> Value {
    json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"size": {"type": "integer"}, "color": {"type": "string", "default": "red"}}},
        "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
    }})
}

fn object(kind: &str, name: &str, size: Value) -> Value {
    json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": {"name": name}, "spec": {"size": size, "unknown": 1}})
}

/// What is asked of one kind.
fn asks(kind: &str, plural: &str) -> Vec<Ask> {
    let all = format!("/apis/{GROUP}/v1/{plural}");
    let one = format!("{all}/one");
    let body = object(kind, "one", json!(1));
    let with_revision = |size| {
        let mut body = object(kind, "one", json!(size));
        body["metadata"]["resourceVersion"] = json!("$RV");
        body
    };
    let mut stale = body.clone();
    stale["metadata"]["resourceVersion"] = json!("1");
    let mut ready = with_revision(2);
    ready["status"] = json!({"ready": true});
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
    vec![
        Ask::json(Method::POST, &all, &body),
        Ask::json(Method::POST, &all, &body),
        Ask::json(Method::POST, &all, &object(kind, "bad", json!("text"))),
        Ask::json(Method::POST, &all, &object(kind, "Bad_Name", json!(1))),
        Ask::get(&one),
        Ask::get(format!("{one}?pretty=true")).with("user-agent", "curl/8"),
        Ask::get(format!("{all}/missing")),
        Ask::get(&all),
        Ask::get(format!("{all}?limit=1&labelSelector=a%3Db")),
        Ask::get(format!("{all}?fieldSelector=metadata.name%3Done")),
        Ask::get(format!("{all}?limit=x")),
        Ask::get(&all).accepting("application/json;as=Table;v=v1;g=meta.k8s.io"),
        Ask::get(&one).accepting("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"),
        Ask::get(&one).accepting("application/yaml"),
        Ask::get(&one).with("x-forwarded-for", "192.0.2.7, 192.0.2.8").with("x-real-ip", "192.0.2.9"),
        Ask::json(Method::PUT, &one, &with_revision(2)),
        Ask::json(Method::PUT, &one, &stale),
        Ask::json(Method::PUT, format!("{one}/status"), &ready),
        Ask::patch(&one, "application/merge-patch+json", r#"{"spec":{"size":3}}"#),
        Ask::patch(&one, "application/json-patch+json", r#"[{"op":"replace","path":"/spec/size","value":4}]"#),
        Ask::patch(&one, "application/json-patch+json", r#"[{"op":"test","path":"/spec/size","value":9}]"#),
        Ask::patch(
            format!("{one}?fieldManager=me&force=true"),
            "application/apply-patch+yaml",
            json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": {"name": "one"}, "spec": {"size": 5}}).to_string(),
        ),
        Ask::get(format!("{all}?watch=true&resourceVersion=0&timeoutSeconds=1")),
        Ask::get(&one).with("impersonate-user", "alice").with("impersonate-group", "system:masters"),
        Ask::get(&one)
            .with("impersonate-user", "carol")
            .with("impersonate-uid", "c-1")
            .with("impersonate-group", "crew")
            .with("impersonate-extra-example.org%2fscopes", "view"),
        Ask::get(&all).with("impersonate-user", "system:serviceaccount:default:robot"),
        Ask::get(&all).with("impersonate-user", "system:anonymous"),
        Ask::get(&all).with("impersonate-user", "system:node:n1"),
        Ask::get(&all).with("impersonate-group", "crew"),
        Ask::json(Method::DELETE, format!("{all}/missing"), &options),
        Ask::json(Method::DELETE, &one, &options),
        Ask::json(Method::POST, &all, &object(kind, "two", json!(2))),
        Ask::new(Method::DELETE, format!("{all}/two")),
        Ask::json(Method::POST, &all, &object(kind, "three", json!(3))),
        Ask::new(Method::DELETE, &all),
    ]
}

/// An event without what differs between any two servers.
fn normal(mut event: Value) -> Value {
    strip(&mut event);
    for field in ["auditID", "requestReceivedTimestamp", "stageTimestamp"] {
        event.as_object_mut().unwrap().remove(field);
    }
    if let Some(facts) = event["annotations"].as_object_mut() {
        // Ours, and how long a slow request took.
        facts.retain(|key, _| key.starts_with("authorization.k8s.io"));
        // One decides by RBAC, the other by rules of its own.
        if let Some(reason) = facts.get_mut("authorization.k8s.io/reason") {
            *reason = json!("reason");
        }
    }
    for user in ["user", "impersonatedUser"] {
        if let Some(id) = event[user]["extra"].get_mut("authentication.kubernetes.io/credential-id") {
            *id = json!(["certificate"]);
        }
    }
    // Go shows its internal version of what was sent as v1.
    if let Some(options) = event["requestObject"].as_object_mut()
        && options.get("kind") == Some(&json!("DeleteOptions"))
    {
        options.remove("apiVersion");
    }
    // No fields and none of them named are the same to everybody.
    if event["impersonatedUser"].is_null() {
        event.as_object_mut().unwrap().remove("impersonatedUser");
    }
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_those_of_kube_apiserver() {
    let folder = guardian::temporary("audit-oracle");
    let ours = folder.path().join("audit.log");
    let plane = ControlPlane::shared().await;
    let theirs = plane.audit_log();
    let kinds = [("Meta", "metas"), ("Req", "reqs"), ("Full", "fulls")];
    let served = kinds.iter().map(|(name, _)| kind(name, false, schema())).collect();
    let twin = Twin::with(GROUP, served, recording(folder.path(), AUDIT_POLICY)).await;
    let counted = async || {
        (
            Scrape::of(&twin.ours.caller).await,
            Scrape::of(&twin.theirs.caller).await,
        )
    };
    let (before, recorded) = (counted().await, events(&ours).len());
    let (mut compared, mut wrong, mut asked) = (0, Vec::new(), 0);
    for (name, plural) in kinds {
        for ask in asks(name, plural) {
            asked += 1;
            let id = format!("oracle-{plural}-{asked}");
            let ask = ask.with("audit-id", &id);
            let answers = twin.send(&ask).await;
            let request = answers.ours.request.clone();
            compared += compare(&ours, &theirs, &id, &request, &mut wrong).await;
        }
    }
    // Whoever cannot be told, and paths that are no resource.
    let token = |url: String| async move { Caller::through(plane.client_with_token(&url, Some("sesame")).await) };
    let unknown = token(plane.server().to_owned()).await;
    for (id, path) in [
        ("unknown-1", "/apis/audit.example.com/v1/fulls"),
        ("unknown-2", "/audit-probe"),
    ] {
        let bearer = [("audit-id", id), ("authorization", "Bearer sesame")];
        let plain = [("audit-id", id)];
        let answered = unknown.send(Method::GET, path, &plain, "").await.code;
        assert_eq!(
            (
                twin.server.anonymous().send(Method::GET, path, &bearer, "").await.code,
                answered
            ),
            (401, 401)
        );
        compared += compare(&ours, &theirs, id, path, &mut wrong).await;
    }
    // What is refused before anybody asks who it is from.
    for (id, path) in [
        ("unknown-3", "/apis/audit.example.com/v1/metas?timeout=soon"),
        ("unknown-4", "/apis/audit.example.com/v1/fulls/one?timeout=1"),
    ] {
        let headers = [("audit-id", id)];
        let theirs_said = twin.theirs.caller.send(Method::GET, path, &headers, "").await.code;
        let ours_said = twin.ours.caller.send(Method::GET, path, &headers, "").await.code;
        assert_eq!((ours_said, theirs_said), (400, 400));
        compared += compare(&ours, &theirs, id, path, &mut wrong).await;
    }
    for (id, path) in [("path-1", "/audit-probe/x?a=b"), ("path-2", "/audit-probe")] {
        let headers = [("audit-id", id)];
        twin.theirs.caller.send(Method::GET, path, &headers, "").await;
        twin.ours.caller.send(Method::GET, path, &headers, "").await;
        compared += compare(&ours, &theirs, id, path, &mut wrong).await;
    }
    let series = compare_counts(&before, &counted().await, &events(&ours)[recorded..], &mut wrong);
    println!("audit: {series} series of metrics compared");
    println!(
        "audit: {compared} events of {} requests compared, {} differ",
        asked + 6,
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 150, "{compared}");
}

/// Compares what both have recorded of a request; how many events that is.
async fn compare(
    ours: &std::path::Path,
    theirs: &std::path::Path,
    id: &str,
    request: &str,
    wrong: &mut Vec<String>,
) -> usize {
    // The last one says that all are there. What fails before its sender is known has one alone.
    let last = if id.starts_with("unknown") {
        "ResponseStarted"
    } else {
        "ResponseComplete"
    };
    let theirs = of_request(theirs, id, last).await;
    let number = theirs.len();
    let ours = eventually(&format!("what we record of {request}"), DEADLINE, async || {
        let all = events(ours).into_iter().filter(|event| event["auditID"] == id);
        let own: Vec<Value> = all.collect();
        if own.iter().any(|event| event["stage"] == last) {
            Ok(own)
        } else {
            Err(format!("{own:?}"))
        }
    })
    .await;
    let (ours, theirs): (Vec<Value>, Vec<Value>) = (
        ours.into_iter().map(normal).collect(),
        theirs.into_iter().map(normal).collect(),
    );
    if ours != theirs {
        let show = |events: &[Value]| {
            events
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n         ")
        };
        wrong.push(format!(
            "{request}\n  ours   {}\n  theirs {}",
            show(&ours),
            show(&theirs)
        ));
    }
    number
}

/// What was counted meanwhile: by us what stands in our log, and by kube-apiserver at least as much, as others ask it as well. How
/// many series there are.
fn compare_counts(
    before: &(Scrape, Scrape),
    after: &(Scrape, Scrape),
    recorded: &[Value],
    wrong: &mut Vec<String>,
) -> usize {
    let grown = |name| {
        let ours = after.0.growth(&before.0, name);
        (ours, after.1.growth(&before.1, name))
    };
    let (mut levels, theirs) = grown("apiserver_audit_level_total");
    levels.retain(|labels, _| labels["level"] != "None");
    for (labels, count) in &levels {
        let theirs = theirs.get(labels).copied().unwrap_or_default();
        if *count > theirs {
            wrong.push(format!(
                "apiserver_audit_level_total{labels:?}: ours {count}, theirs {theirs}"
            ));
        }
    }
    let float = |count: usize| u32::try_from(count).map_or(f64::NAN, f64::from);
    let requests: BTreeSet<&str> = recorded.iter().filter_map(|event| event["auditID"].as_str()).collect();
    let leveled: f64 = levels.values().sum();
    if leveled != float(requests.len()) {
        wrong.push(format!(
            "{} requests are recorded, and {leveled} counted",
            requests.len()
        ));
    }
    let (ours, theirs) = grown("apiserver_audit_event_total");
    let (ours, theirs): (f64, f64) = (ours.values().sum(), theirs.values().sum());
    if ours != float(recorded.len()) || ours > theirs {
        wrong.push(format!(
            "{} events are recorded, {ours} counted, by kube-apiserver {theirs}",
            recorded.len()
        ));
    }
    levels.len() + 1
}
