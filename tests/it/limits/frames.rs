//! HTTP/2 that is sent frame by frame, and connections without end.

use bulward::http::limits::Allowance;
use bulward::http::listener::Limits;

use super::world;
use crate::harness::eventually;
use crate::harness::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, field,
    frame, get,
};
use crate::harness::in_process::DEADLINE;
use crate::harness::tenancy::{World, organizations, user};

/// What a GOAWAY says beside the last stream: its error code.
fn error_code(goaway: &[u8]) -> u32 {
    u32::from_be_bytes(goaway[4..8].try_into().expect("a GOAWAY has two numbers"))
}

const NO_ERROR: u32 = 0;
const ENHANCE_YOUR_CALM: u32 = 11;

async fn open(world: &World) -> Frames {
    let door = world.server.door_of("mallory", &[]);
    Frames::open(&door, &[]).await.unwrap()
}

async fn serves_others(world: &World) {
    world.user("alice").get(&organizations()).await.expect(200);
}

/// Requests that are taken back before anybody could look at them.
#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let world = world(Allowance::default(), Limits::default()).await;
    let mut frames = open(&world).await;
    let mut ended = None;
    for _ in 0..1_000 {
        let mut burst = Vec::new();
        for _ in 0..100 {
            let stream = frames.begin();
            burst.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &get(&organizations())));
            burst.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        }
        if frames.write(&burst).await.is_err() {
            ended = frames.next_of(&[GOAWAY]).await;
            break;
        }
    }
    if let Some(goaway) = ended {
        assert_eq!(error_code(&goaway.payload), ENHANCE_YOUR_CALM);
    }
    assert!(frames.write(&frame(PING, 0, 0, &[0; 8])).await.is_err() || frames.next_of(&[PING]).await.is_none());
    serves_others(&world).await;
}

/// Headers that never end: the connection does, before they are larger than headers may be and a frame more.
#[tokio::test]
async fn headers_without_end_end_the_connection() {
    let world = world(Allowance::default(), Limits::default()).await;
    let mut frames = open(&world).await;
    let stream = frames.begin();
    frames.send(HEADERS, END_STREAM, stream, &get("/")).await.unwrap();
    let more = field("x-more", &"x".repeat(10 << 10));
    let mut sent = 0;
    while sent < (64 << 20) && frames.send(CONTINUATION, 0, stream, &more).await.is_ok() {
        sent += more.len();
    }
    assert!(sent < (64 << 20), "{sent} bytes are taken");
    serves_others(&world).await;
}

/// More requests at once than are allowed: the rest is refused one by one.
#[tokio::test]
async fn streams_of_a_connection_are_bounded() {
    let limits = Limits {
        max_concurrent_streams: 3,
        ..Limits::default()
    };
    let world = world(Allowance::default(), limits).await;
    let mut frames = open(&world).await;
    let settings = frames.next_of(&[SETTINGS]).await.expect("settings");
    let pairs: Vec<&[u8]> = settings.payload.chunks(6).collect();
    assert!(pairs.contains(&[0, 3, 0, 0, 0, 3].as_slice()), "{pairs:?}");
    frames.send(SETTINGS, ACK, 0, &[]).await.unwrap();
    let watch = format!("{}?watch=true", organizations());
    for _ in 0..3 {
        frames.get(&watch).await.unwrap();
        frames.next_of(&[HEADERS]).await.expect("a watch begins");
    }
    let fourth = frames.get(&watch).await.unwrap();
    let refused = frames.next_of(&[RST_STREAM, HEADERS]).await.expect("a word");
    // REFUSED_STREAM
    assert_eq!(
        (refused.kind, refused.stream, refused.payload),
        (RST_STREAM, fourth, vec![0, 0, 0, 7])
    );
    serves_others(&world).await;
}

/// Questions are answered one by one, however many come.
#[tokio::test]
async fn pings_are_answered_one_by_one() {
    let world = world(Allowance::default(), Limits::default()).await;
    let mut frames = open(&world).await;
    const PINGS: u64 = 5_000;
    let many: Vec<u8> = (0..PINGS)
        .flat_map(|number| frame(PING, 0, 0, &number.to_be_bytes()))
        .collect();
    frames.write(&many).await.unwrap();
    for number in 0..PINGS {
        let answer = frames.next_of(&[PING]).await.expect("an answer");
        assert_eq!(
            (answer.flags, answer.payload.as_slice()),
            (ACK, number.to_be_bytes().as_slice())
        );
    }
    serves_others(&world).await;
}

/// A connection that is told to close now and then, and what runs on it goes on.
#[tokio::test]
async fn goaway_leaves_running_watches_alone() {
    let allowance = Allowance {
        goaway_chance: 1.0,
        ..Allowance::default()
    };
    let world = world(allowance, Limits::default()).await;
    let door = world.server.door_of("alice", &[]);
    let mut frames = Frames::open(&door, &[]).await.unwrap();
    let stream = frames.get(&format!("{}?watch=true", organizations())).await.unwrap();
    let goaway = frames.next_of(&[GOAWAY]).await.expect("a word");
    assert_eq!(error_code(&goaway.payload), NO_ERROR);
    world.organization("acme", &[user("alice")]).await;
    let event = frames.next_of(&[DATA]).await.expect("an event");
    let text = String::from_utf8_lossy(&event.payload).into_owned();
    assert_eq!(event.stream, stream);
    assert!(text.contains("ADDED") && text.contains("acme"), "{text}");

    // HTTP/1.1 has no such frame, and its connections go on.
    let mut raw = door.open().await;
    for _ in 0..3 {
        raw.request("GET /livez", "").await;
        assert_eq!(raw.response().await, (200, b"ok".to_vec()));
    }
}

#[tokio::test]
async fn no_goaway_without_a_chance() {
    let world = world(Allowance::default(), Limits::default()).await;
    let mut frames = open(&world).await;
    for _ in 0..50 {
        let stream = frames.get("/livez").await.unwrap();
        let answer = frames.next_of(&[DATA, GOAWAY]).await.expect("an answer");
        assert_eq!((answer.kind, answer.stream), (DATA, stream));
    }
}

#[tokio::test]
async fn connections_of_one_address_are_bounded() {
    let limits = Limits {
        // One is the harness' own, one the administrator's.
        max_connections_per_address: 4,
        ..Limits::default()
    };
    let world = world(Allowance::default(), limits).await;
    let door = world.server.door_of("mallory", &[]);
    let mut open = Vec::new();
    while let Ok(raw) = door.try_open().await {
        open.push(raw);
        assert!(open.len() <= 4, "no connection is refused");
    }
    assert!(!open.is_empty());
    open.clear();
    let again = async || door.try_open().await.map_err(|error| error.to_string());
    eventually("there is room for a connection", DEADLINE, again).await;
    let refused = async || match super::metric(&world, "bulward_refused_connections_total").await {
        0.0 => Err("none".to_owned()),
        _ => Ok(()),
    };
    eventually("refusals are counted", DEADLINE, refused).await;
}
