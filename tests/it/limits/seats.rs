//! Seats, watches and time, over the wire.

use std::time::Duration;

use bulward::http::limits::Allowance;
use bulward::http::listener::Limits;
use http::Method;
use tokio::time::Instant;

use super::{large, metric, world};
use crate::harness::eventually;
use crate::harness::frames::{DATA, Frames, HEADERS, RST_STREAM, WINDOW_UPDATE};
use crate::harness::in_process::{Answer, DEADLINE};
use crate::harness::raw::Raw;
use crate::harness::tenancy::{World, an_organization, organization, organizations, user};

const EXECUTING: &str =
    r#"apiserver_flowcontrol_current_executing_requests{flow_schema="callers",priority_level="mutating"}"#;
const READING: &str =
    r#"apiserver_flowcontrol_current_executing_requests{flow_schema="callers",priority_level="readOnly"}"#;
const WAITING: &str = r#"apiserver_current_inqueue_requests{request_kind="mutating"}"#;

/// Until a metric has this value.
async fn until(world: &World, name: &str, value: f64) {
    eventually(name, DEADLINE, async || {
        let now = metric(world, name).await;
        if now == value { Ok(()) } else { Err(now) }
    })
    .await;
}

/// A write that holds its seat until the rest of its body is sent, which is what comes back.
async fn half_a_write(world: &World, caller: &str, name: &str) -> (Raw, String) {
    let body = an_organization(name, &[user(caller)]).to_string();
    let mut raw = world.server.door_of(caller, &[]).open().await;
    let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    raw.request(&format!("POST {}", organizations()), &headers).await;
    let (first, rest) = body.split_at(10);
    raw.send(first.as_bytes()).await;
    (raw, rest.to_owned())
}

fn too_many(answer: &Answer) {
    assert_eq!(answer.code, 429, "{}", answer.text());
    assert_eq!(answer.text(), "Too many requests, please try again later.\n");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
}

#[tokio::test]
async fn who_has_too_many_requests_waits_and_is_refused_and_nobody_else() {
    let allowance = Allowance {
        mutating: 2,
        ..Allowance::default()
    };
    let world = world(allowance, Limits::default()).await;
    let (mut held, rest) = half_a_write(&world, "mallory", "first").await;
    until(&world, EXECUTING, 1.0).await;

    // A quarter of two seconds is what this one waits.
    let mallory = world.user("mallory");
    let post = |name: &str, query: &str| {
        let (caller, body) = (mallory.clone(), an_organization(name, &[user("mallory")]).to_string());
        let path = format!("{}{query}", organizations());
        async move {
            caller
                .send(Method::POST, &path, &[("content-type", "application/json")], body)
                .await
        }
    };
    too_many(&post("second", "?timeout=2s").await);
    let rejected = r#"apiserver_flowcontrol_rejected_requests_total{flow_schema="callers",priority_level="mutating",reason="time-out"}"#;
    assert_eq!(metric(&world, rejected).await, 1.0);

    // Reads have seats of their own, others have their half, and administrators and health need none.
    mallory.get(&organizations()).await.expect(200);
    let body = an_organization("bob", &[user("bob")]);
    world.user("bob").post(&organizations(), &body).await.expect(201);
    world.organization("admins", &[user("alice")]).await;
    assert_eq!(world.server.anonymous().get("/livez").await.text(), "ok");

    // Whoever waits gets the seat that becomes free.
    let waiting = tokio::spawn(post("third", ""));
    until(&world, WAITING, 1.0).await;
    held.send(rest.as_bytes()).await;
    assert_eq!(held.response().await.0, 201);
    waiting.await.unwrap().expect(201);
    until(&world, EXECUTING, 0.0).await;
    assert_eq!(metric(&world, WAITING).await, 0.0);
}

/// A client that goes away frees its seat, and so does one whose time is over.
#[tokio::test]
async fn slow_uploads_lose_their_seats() {
    let allowance = Allowance {
        request_timeout: Duration::from_secs(2),
        ..Allowance::default()
    };
    let world = world(allowance, Limits::default()).await;
    let (mut slow, _) = half_a_write(&world, "mallory", "slow").await;
    let (code, text) = slow.response().await;
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(code, 504, "{text}");
    let words = "Timeout: request did not complete within the allotted timeout";
    assert!(text.contains(words), "{text}");
    until(&world, EXECUTING, 0.0).await;

    let (gone, _) = half_a_write(&world, "mallory", "gone").await;
    drop(gone);
    until(&world, EXECUTING, 0.0).await;
    let names = world.user("mallory").get(&organizations()).await.names();
    assert!(names.is_empty(), "{names:?}");
}

/// An answer that is not read keeps its seat as long as a request may take, and is gone then; its connection goes on.
#[tokio::test]
async fn answers_that_are_not_read_are_given_up() {
    let allowance = Allowance {
        request_timeout: Duration::from_secs(3),
        ..Allowance::default()
    };
    let world = world(allowance, Limits::default()).await;
    large(&world, 200 << 10).await;
    let door = world.server.door_of("alice", &[]);
    // A window of 10 bytes for each stream.
    let mut frames = Frames::open(&door, &[(4, 10)]).await.unwrap();
    let stream = frames.get(&organizations()).await.unwrap();
    let head = frames.next_of(&[HEADERS]).await.expect("an answer");
    assert_eq!(head.stream, stream);
    let some = frames.next_of(&[DATA]).await.expect("as much as the window takes");
    assert_eq!(some.payload.len(), 10);
    until(&world, READING, 1.0).await;
    until(&world, READING, 0.0).await;
    // What the connection had been handed is still there, and after that the stream is broken off.
    let window = 1_000_000_u32.to_be_bytes();
    frames.send(WINDOW_UPDATE, 0, 0, &window).await.unwrap();
    frames.send(WINDOW_UPDATE, 0, stream, &window).await.unwrap();
    let end = frames.next_of(&[RST_STREAM]).await.expect("an end");
    assert_eq!(end.stream, stream);
    let stream = frames.get("/livez").await.unwrap();
    let head = frames.next_of(&[HEADERS]).await.expect("an answer");
    assert_eq!(head.stream, stream);
}

#[tokio::test]
async fn watches_of_one_caller_are_bounded() {
    let allowance = Allowance {
        watches_per_user: 2,
        ..Allowance::default()
    };
    let world = world(allowance, Limits::default()).await;
    let alice = world.user("alice");
    let first = alice.watch(&organizations()).await;
    let mut second = alice.watch(&organizations()).await;
    let path = format!("{}?watch=true", organizations());
    let refused = alice.get(&path).await;
    assert_eq!(refused.code, 429, "{}", refused.text());
    assert_eq!(
        refused.text(),
        "Too many watches: \"alice\" has 2 already, end some first.\n"
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    let rejected = r#"apiserver_flowcontrol_rejected_requests_total{flow_schema="callers",priority_level="readOnly",reason="too-many-watches"}"#;
    assert_eq!(metric(&world, rejected).await, 1.0);

    // Everything else, and everybody else, is not concerned. A watch that runs has no seat.
    alice.get(&organizations()).await.expect(200);
    let _bobs = world.user("bob").watch(&organizations()).await;
    let _admins = [
        world.admin.watch(&organizations()).await,
        world.admin.watch(&organizations()).await,
    ];
    let _third = world.admin.watch(&organizations()).await;
    until(&world, READING, 0.0).await;
    world.organization("acme", &[user("alice")]).await;
    second.expect("ADDED", "acme").await;

    drop(first);
    let again = async || alice.try_watch(&organizations(), "application/json").await;
    let _third = eventually("there is room for a watch", DEADLINE, again).await;
    world.remove(&organization("acme")).await;
    second.expect("DELETED", "acme").await;
}

/// A watch that is refused leaves nothing behind.
#[tokio::test]
async fn refused_watches_are_not_counted() {
    let allowance = Allowance {
        watches_per_user: 1,
        ..Allowance::default()
    };
    let world = world(allowance, Limits::default()).await;
    let alice = world.user("alice");
    for _ in 0..3 {
        let path = format!("{}?watch=true&resourceVersion=x", organizations());
        let refused = alice.get(&path).await;
        assert_eq!(refused.code, 400, "{}", refused.text());
    }
    let _watch = alice.watch(&organizations()).await;
}

/// A watch whose client does not say how long it is to last: half an hour as it comes, here a second; and no two end at once.
#[tokio::test]
async fn watches_end_by_themselves_and_not_at_once() {
    let least = Duration::from_secs(1);
    let allowance = Allowance {
        min_request_timeout: least,
        ..Allowance::default()
    };
    let world = world(allowance, Limits::default()).await;
    let alice = world.user("alice");
    let one = async || {
        let began = Instant::now();
        let path = format!("{}?watch=true", organizations());
        // Everything up to the end of the stream.
        let answer = alice.get(&path).await;
        assert_eq!(answer.code, 200, "{}", answer.text());
        began.elapsed()
    };
    let lasted = futures::future::join_all((0..10).map(|_| one())).await;
    assert!(lasted.iter().all(|time| *time >= least), "{lasted:?}");
    let spread = lasted
        .iter()
        .max()
        .unwrap()
        .saturating_sub(*lasted.iter().min().unwrap());
    assert!(spread > Duration::from_millis(100), "{lasted:?}");

    // Who says how long gets that, also where it is less.
    let path = format!("{}?watch=true&timeoutSeconds=1", organizations());
    assert_eq!(alice.get(&path).await.code, 200);
}

/// Who does not read has no more of the server's memory than their share, whatever they do about their streams.
#[tokio::test]
async fn answers_that_are_not_read_are_bounded() {
    let allowance = Allowance {
        unsent_bytes: 2_200 << 10,
        ..Allowance::default()
    };
    let world = world(allowance, Limits::default()).await;
    large(&world, 200 << 10).await;
    let door = world.server.door_of("alice", &[]);
    let mut frames = Frames::open(&door, &[(4, 10)]).await.unwrap();
    // Five times 200 KiB and a little fit into half of it, and something small, and no sixth.
    for _ in 0..5 {
        frames.get(&organizations()).await.unwrap();
        let some = frames.next_of(&[DATA]).await.expect("as much as the window takes");
        assert_eq!(some.payload.len(), 10);
    }
    let alice = world.user("alice");
    let refused = alice.get(&organizations()).await;
    assert_eq!(refused.code, 429, "{}", refused.text());
    assert_eq!(
        refused.text(),
        "Too many answers wait to be read, please read some first.\n"
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    let rejected = r#"apiserver_flowcontrol_rejected_requests_total{flow_schema="callers",priority_level="readOnly",reason="too-many-unread"}"#;
    assert_eq!(metric(&world, rejected).await, 1.0);
    // What is small has room, and so has everybody else.
    assert_eq!(alice.get("/version").await.code, 200);
    world.user("bob").get(&organizations()).await.expect(200);
    world.admin.get(&organizations()).await.expect(200);

    // All of it comes back with the connection.
    drop(frames);
    let again = async || match alice.get(&organizations()).await {
        answer if answer.code == 200 => Ok(()),
        answer => Err(answer.text()),
    };
    eventually("there is room for an answer", DEADLINE, again).await;
}
