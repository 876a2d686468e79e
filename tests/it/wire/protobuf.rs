//! Protobuf for what has such a form, byte for byte as kube-apiserver writes it.
//!
//! Of every answer the JSON is asked for as well: what our encoder makes of kube-apiserver's JSON must be kube-apiserver's
//! protobuf.

use bulward::wire::protobuf::{encode, watch_event};
use http::Method;
use serde_json::{Value, json};

use super::gadget::{gadget, gadgets};
use crate::harness::twin::{Ask, Side, Twin, assert_equal};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

fn accept(format: &str, shape: &str) -> String {
    format!("{format};as={shape};g=meta.k8s.io;v=v1")
}

/// The same in both forms.
async fn compared(side: &Side, path: &str, suffix: &str, code: u16) {
    // an object itself has no such form, and that would be the error then
    let instead = if code >= 400 { ",application/json" } else { "" };
    let json = Ask::get(path).accepting(&format!("application/json{suffix}"));
    let protobuf = Ask::get(path).accepting(&format!("{PROTOBUF}{suffix}{instead}"));
    // Discovery changes when another test defines something: equal before and after, it was so in between.
    let mut before = side.send(&json).await;
    let got = loop {
        let got = side.send(&protobuf).await;
        let after = side.send(&json).await;
        if after.body == before.body {
            break got;
        }
        before = after;
    };
    assert_eq!((before.code, got.code), (code, code), "{}: {}", got.request, got.text());
    let media = got.header("content-type").unwrap_or_default();
    assert!(media.starts_with(PROTOBUF), "{path}: {media}");
    let wanted = encode(&before.json()).unwrap();
    let wanted = String::from_utf8_lossy(&wanted);
    assert!(wanted == got.text(), "{path}:\n{wanted:?}\n{:?}", got.text());
}

async fn populated(group: &str) -> Twin {
    let twin = gadgets(group).await;
    let mut rich = gadget(&twin, "rich");
    rich["metadata"] = json!({"name": "rich", "labels": {"b": "2", "a": "1"}, "annotations": {"x": "<&>", "": "é"},
        "finalizers": ["example.com/a", "example.com/b"], "ownerReferences": [
            {"apiVersion": "nowhere.example.com/v1", "kind": "Ghost", "name": "g", "uid": "u", "controller": true},
            {"apiVersion": "nowhere.example.com/v1", "kind": "Ghost", "name": "h", "uid": "v", "blockOwnerDeletion": false}]});
    rich["metadata"]["annotations"].as_object_mut().unwrap().remove("");
    for body in [rich, gadget(&twin, "plain"), gadget(&twin, "third")] {
        let create = Ask::json(Method::POST, twin.path("gadgets"), &body);
        twin.send(&create).await.expect(201);
    }
    let apply = Ask::patch(
        twin.path("gadgets/rich/status?fieldManager=m"),
        "application/apply-patch+yaml",
        json!({"apiVersion": format!("{group}/v1"), "kind": "Gadget", "status": {"phase": "x"}}).to_string(),
    );
    twin.send(&apply).await.expect(200);
    twin.send(&Ask::new(Method::DELETE, twin.path("gadgets/rich")))
        .await
        .expect(200);
    twin
}

#[tokio::test]
async fn every_form_is_kube_apiservers() {
    let twin = populated("bytes.example.com").await;
    for side in [&twin.ours, &twin.theirs] {
        let single = ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let list = ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        compared(side, &twin.path("gadgets/rich"), single, 200).await;
        compared(side, &twin.path("gadgets/plain"), single, 200).await;
        compared(
            side,
            &twin.path("gadgets/plain"),
            ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1beta1",
            200,
        )
        .await;
        let first = side.send(&Ask::get(twin.path("gadgets"))).await;
        let at = first.revision();
        let path = twin.path(&format!("gadgets?resourceVersion={at}&resourceVersionMatch=Exact"));
        compared(side, &path, list, 200).await;
        let page = twin.path(&format!(
            "gadgets?resourceVersion={at}&resourceVersionMatch=Exact&limit=2"
        ));
        let ask = Ask::get(&page).accepting(&format!("{PROTOBUF}{list}"));
        assert_eq!(side.send(&ask).await.code, 200);
        // errors
        compared(side, &twin.path("gadgets/missing"), "", 404).await;
        compared(side, &twin.path("gadgets?labelSelector=("), "", 400).await;
        compared(side, &twin.path("gadgets?watch=true&sendInitialEvents=true"), "", 422).await;
        // discovery; of kube-apiserver that is every group there is
        compared(side, "/apis", "", 200).await;
        compared(side, &format!("/apis/{}", twin.group), "", 200).await;
        compared(side, &format!("/apis/{}/v1", twin.group), "", 200).await;
    }
    let aggregated = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    compared(&twin.ours, "/apis", aggregated, 200).await;
    compared(&twin.theirs, "/api", aggregated, 200).await;
    compared(&twin.theirs, "/apis/apps/v1", "", 200).await;
}

#[tokio::test]
async fn watches_are_frames() {
    let twin = populated("frames.example.com").await;
    let path = twin.path("gadgets?watch=true&timeoutSeconds=2");
    for side in [&twin.ours, &twin.theirs] {
        let json = side
            .send(&Ask::get(&path).accepting(&accept("application/json", "PartialObjectMetadata")))
            .await;
        let got = side
            .send(&Ask::get(&path).accepting(&accept(PROTOBUF, "PartialObjectMetadata")))
            .await;
        let named = accept(
            "application/vnd.kubernetes.protobuf;stream=watch",
            "PartialObjectMetadata",
        );
        let named = side.send(&Ask::get(&path).accepting(&named)).await;
        for answer in [&got, &named] {
            let media = answer.header("content-type");
            assert_eq!(
                media,
                Some("application/vnd.kubernetes.protobuf;stream=watch"),
                "{}",
                answer.text()
            );
        }
        assert_eq!(frames(&got.body), events(&json.text()), "{}", got.request);
        assert_eq!(named.body.len(), got.body.len());
    }
    // what is wrong later is an event as well
    let old = twin.path("gadgets?watch=true&timeoutSeconds=2&resourceVersion=1");
    let old = Ask::get(old).accepting(&accept(PROTOBUF, "PartialObjectMetadata"));
    let got = twin.theirs.send(&old).await;
    assert!(got.body.windows(5).any(|five| five == b"ERROR"), "{}", got.text());
}

/// The events of a stream, in the order of their bytes: initial events have no other.
fn frames(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = body.split_first_chunk::<4>() {
        let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        frames.push(frame.to_vec());
        body = rest;
    }
    frames.sort();
    frames
}

/// The same from the JSON.
fn events(text: &str) -> Vec<Vec<u8>> {
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        watch_event(event["type"].as_str().unwrap(), &encode(&event["object"]).unwrap())
    };
    let mut events: Vec<Vec<u8>> = text.lines().map(event).collect();
    events.sort();
    events
}

#[tokio::test]
async fn what_has_no_such_form() {
    let twin = populated("formless.example.com").await;
    let mut wrong = Vec::new();
    let path = twin.path("gadgets/plain");
    for accept in [
        PROTOBUF.to_owned(),
        format!("{PROTOBUF},application/json"),
        format!("{PROTOBUF},application/yaml"),
        accept(PROTOBUF, "Table"),
        format!("{},application/json", accept(PROTOBUF, "Table")),
    ] {
        twin.compare(&Ask::get(&path).accepting(&accept), &mut wrong).await;
    }
    let options = |value: Value| encode(&value).unwrap();
    let mut other = options(json!({"apiVersion": "v1", "kind": "Status"}));
    let of_another_kind = other.clone();
    other.truncate(other.len() - 9);
    for body in [
        options(json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "x"}})),
        options(json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Weird"})),
        options(json!({"apiVersion": "meta.k8s.io/v1", "kind": "DeleteOptions", "dryRun": ["All"]})),
        options(json!({"apiVersion": format!("{}/v1", twin.group), "kind": "DeleteOptions", "dryRun": ["All"]})),
        options(
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "propagationPolicy": "Background"}),
        ),
    ] {
        let ask = Ask::new(Method::DELETE, &path).sending(PROTOBUF, body);
        twin.compare(&ask, &mut wrong).await;
    }
    let create = Ask::json(Method::POST, twin.path("gadgets"), &gadget(&twin, "fourth"));
    twin.compare(&create, &mut wrong).await.expect(201);
    // What is no such body is refused; in which words, nobody reads.
    for body in [b"{}".to_vec(), of_another_kind, other, b"k8s\0".to_vec()] {
        let ask = Ask::new(Method::DELETE, twin.path("gadgets/fourth")).sending(PROTOBUF, body.clone());
        let answers = twin.send(&ask).await;
        assert_eq!(
            (answers.ours.code, answers.theirs.code),
            (400, 400),
            "{body:?}: {:?}",
            answers
        );
    }
    // kube-apiserver breaks the connection off
    let ask = Ask::new(Method::POST, twin.path("gadgets")).sending(PROTOBUF, b"k8s\0".to_vec());
    let answer = twin.ours.send(&ask).await;
    assert_eq!(answer.code, 415, "{}", answer.text());
    assert_equal(&wrong);
}
