//! HTTP/2 that is sent frame by frame, and connections without end.

use std::time::Duration;

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

/// How a connection on which `burst` is sent again and again ends: with the code of a GOAWAY, without a word, or not at all.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Told(u32),
    Cut,
    Never,
}

/// Sends bursts, each followed by a question: the connection that goes on answers it.
async fn end_of(frames: &mut Frames, mut burst: impl FnMut(&mut Frames) -> Vec<u8>) -> End {
    for _ in 0..5 {
        let bytes = [burst(frames), frame(PING, 0, 0, &[0; 8])].concat();
        // What has been said before the end can be read, also where there is nobody left to be written to.
        let _ = frames.write(&bytes).await;
        match frames.next_of(&[PING, GOAWAY]).await {
            Some(goaway) if goaway.kind == GOAWAY => return End::Told(error_code(&goaway.payload)),
            Some(_) => {}
            None => return End::Cut,
        }
    }
    End::Never
}

/// Requests that are taken back before anybody could look at them.
#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let burst = |frames: &mut Frames| {
        let one = |_| {
            let stream = frames.begin();
            let request = frame(HEADERS, END_STREAM | END_HEADERS, stream, &get(&organizations()));
            [request, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
        };
        (0..200).flat_map(one).collect()
    };
    let bounded = world(Allowance::default(), Limits::default()).await;
    let end = end_of(&mut open(&bounded).await, burst).await;
    assert!(matches!(end, End::Told(ENHANCE_YOUR_CALM) | End::Cut), "{end:?}");
    serves_others(&bounded).await;

    // It is this bound that does it.
    let limits = Limits {
        max_pending_resets: usize::MAX,
        ..Limits::default()
    };
    let unbounded = world(Allowance::default(), limits).await;
    assert_eq!(end_of(&mut open(&unbounded).await, burst).await, End::Never);
}

/// Requests that are none, each of which the server has to reset.
#[tokio::test]
async fn faults_end_the_connection() {
    let burst = |frames: &mut Frames| {
        let one = |_| {
            let stream = frames.begin();
            // HTTP/2 has no such header.
            let block = [get("/"), field("connection", "close")].concat();
            frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
        };
        (0..300).flat_map(one).collect()
    };
    let limits = |max_faults| Limits {
        max_faults,
        ..Limits::default()
    };
    assert_eq!(Limits::default().max_faults, 1_024);
    let bounded = world(Allowance::default(), Limits::default()).await;
    let end = end_of(&mut open(&bounded).await, burst).await;
    assert!(matches!(end, End::Told(ENHANCE_YOUR_CALM) | End::Cut), "{end:?}");
    serves_others(&bounded).await;
    let unbounded = world(Allowance::default(), limits(usize::MAX)).await;
    assert_eq!(end_of(&mut open(&unbounded).await, burst).await, End::Never);
}

/// Headers that never end: the connection does, after as many frames as the largest headers may need.
#[tokio::test]
async fn headers_without_end_end_the_connection() {
    let more = field("x-more", "x");
    let begin = async |world: &World| {
        let mut frames = open(world).await;
        let stream = frames.begin();
        frames.send(HEADERS, END_STREAM, stream, &get("/livez")).await.unwrap();
        let many = frame(CONTINUATION, 0, stream, &more).repeat(100);
        let _ = frames.write(&many).await;
        (frames, stream)
    };
    let bounded = world(Allowance::default(), Limits::default()).await;
    let (mut frames, _) = begin(&bounded).await;
    // Nothing else comes: of headers that have not ended there is nothing to be said.
    if let Some(end) = frames.next_of(&[GOAWAY, HEADERS, RST_STREAM]).await {
        assert_eq!((end.kind, error_code(&end.payload)), (GOAWAY, ENHANCE_YOUR_CALM));
    }
    serves_others(&bounded).await;

    // Where headers may be larger, as many frames are taken, and answered once they end.
    let limits = Limits {
        max_header_bytes: 64 << 20,
        ..Limits::default()
    };
    let wide = world(Allowance::default(), limits).await;
    let (mut frames, stream) = begin(&wide).await;
    frames.send(CONTINUATION, END_HEADERS, stream, &more).await.unwrap();
    let answer = frames.next_of(&[GOAWAY, HEADERS]).await.expect("an answer");
    assert_eq!((answer.kind, answer.stream), (HEADERS, stream));
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

/// Questions are answered one by one, however many come. Who does not take the answers is not listened to any more.
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

    // More than two kernels keep for each other.
    const ENOUGH: usize = 64 << 20;
    let mut written = 0;
    let stalled = loop {
        // A server that listens takes this at once; what comes of a slow machine is that less is proven.
        match tokio::time::timeout(Duration::from_secs(5), frames.write(&many)).await {
            Ok(taken) => taken.expect("the connection goes on"),
            Err(_) => break true,
        }
        written += many.len();
        if written > ENOUGH {
            break false;
        }
    };
    assert!(
        stalled,
        "{written} bytes of questions are kept whose answers nobody takes"
    );
    serves_others(&world).await;
}

/// A client that sends nothing, not even an answer to a ping, is taken for dead: its connection ends, whatever runs on it.
#[tokio::test]
async fn clients_that_answer_no_ping_are_cut() {
    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(3600);
    let limits = |ping_timeout| Limits {
        ping_interval: SHORT,
        ping_timeout,
        idle_timeout: LONG,
        ..Limits::default()
    };
    let strict = world(Allowance::default(), limits(SHORT)).await;
    let mut frames = open(&strict).await;
    // A watch would go on for half an hour.
    let _ = frames.get(&format!("{}?watch=true", organizations())).await;
    let ping = frames.next_of(&[PING]).await.expect("a question");
    assert_eq!(ping.flags, 0);
    while frames.next().await.is_some() {}
    serves_others(&strict).await;

    // It is this bound that does it: with more time one who is silent is served still, and one who answers is asked again.
    let patient = world(Allowance::default(), limits(LONG)).await;
    let mut frames = open(&patient).await;
    for _ in 0..3 {
        let ping = frames.next_of(&[PING, GOAWAY]).await.expect("a question");
        assert_eq!((ping.kind, ping.flags), (PING, 0));
        frames.send(PING, ACK, 0, &ping.payload).await.unwrap();
    }
    frames
        .next_of(&[PING, GOAWAY])
        .await
        .expect("a question that stays without an answer");
    let stream = frames.get("/livez").await.unwrap();
    let answer = frames.next_of(&[DATA, GOAWAY]).await.expect("an answer");
    assert_eq!((answer.kind, answer.stream), (DATA, stream));
}

/// Who shows no certificate and no good token may have one answer of an HTTP/2 connection, and no time to leave it there.
#[tokio::test]
async fn strangers_are_sent_away() {
    let limits = Limits {
        write_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let world = world(Allowance::default(), limits).await;
    let nobody = world.server.door_of_nobody();
    let bad = field("authorization", "Bearer made-up");
    for block in [get("/livez"), [get(&organizations()), bad].concat()] {
        let mut frames = Frames::open(&nobody, &[]).await.unwrap();
        let stream = frames.begin();
        frames
            .send(HEADERS, END_STREAM | END_HEADERS, stream, &block)
            .await
            .unwrap();
        let goaway = frames.next_of(&[GOAWAY]).await.expect("a word");
        assert_eq!(error_code(&goaway.payload), NO_ERROR);
    }
    // A client that does not take its answer.
    let mut frames = Frames::open(&nobody, &[(4, 0)]).await.unwrap();
    let stream = frames.get("/livez").await.unwrap();
    let head = frames.next_of(&[HEADERS]).await.expect("an answer begins");
    assert_eq!(head.stream, stream);
    while frames.next().await.is_some() {}

    // Whoever is known stays, and so does a front proxy that brings strangers.
    for (door, name) in [
        (world.server.door_of("alice", &[]), "alice"),
        (world.server.door_of_proxy(), "system:anonymous"),
    ] {
        let mut frames = Frames::open(&door, &[]).await.unwrap();
        for _ in 0..5 {
            let stream = frames.begin();
            let block = [get("/livez"), field("x-remote-user", name)].concat();
            frames
                .send(HEADERS, END_STREAM | END_HEADERS, stream, &block)
                .await
                .unwrap();
            let answer = frames.next_of(&[DATA, GOAWAY]).await.expect("an answer");
            assert_eq!((answer.kind, answer.stream), (DATA, stream), "{name}");
        }
    }
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
