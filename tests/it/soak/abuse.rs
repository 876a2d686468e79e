//! The abuses, each a task that goes on until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use http_body_util::BodyExt;
use kube::client::Body;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::tally::Tally;
use crate::harness::frames::{self, CONTINUATION, Frames, HEADERS, PING, RST_STREAM};
use crate::harness::in_process::DEADLINE;
use crate::harness::raw::Door;
use crate::harness::tenancy::{organization, organizations};

/// Whom, and as whom.
pub(super) struct Target {
    pub(super) port: u16,
    pub(super) door: Door,
    pub(super) reader: Door,
    pub(super) mallory: kube::Client,
    pub(super) hoarder: kube::Client,
    /// Without a certificate.
    pub(super) nobody: Door,
    pub(super) tally: Arc<Tally>,
    pub(super) stop: CancellationToken,
}

/// Requests that flood at once, each followed by the next after a short while: about 1,000 a second, if they are answered.
const FLOOD: usize = 64;
const BREATH: Duration = Duration::from_millis(60);

/// Sends a request and reads the whole answer; what came of it.
pub(super) async fn ask(
    client: &kube::Client,
    method: Method,
    path: &str,
    body: impl Into<Vec<u8>>,
) -> Result<u16, &'static str> {
    let media = match method {
        Method::PATCH => "application/merge-patch+json",
        _ => "application/json",
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", media);
    let exchange = async {
        let request = request.body(Body::from(body.into())).expect("a request");
        let answer = client.send(request).await.map_err(|_| "cut")?;
        let code = answer.status().as_u16();
        answer.into_body().collect().await.map_err(|_| "cut")?;
        Ok(code)
    };
    timeout(2 * DEADLINE, exchange).await.unwrap_or(Err("no answer"))
}

/// Begins all of them.
pub(super) fn begin(target: Arc<Target>) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    for number in 0..FLOOD {
        tasks.push(again(&target, BREATH, move |it| flood(it, number)));
    }
    tasks.push(again(&target, Duration::from_millis(200), huge_body));
    tasks.push(again(&target, Duration::from_millis(50), bad_json));
    for _ in 0..5 {
        tasks.push(again(&target, Duration::from_millis(100), bad_token));
    }
    tasks.push(again(&target, Duration::from_millis(100), resets));
    tasks.push(again(&target, Duration::from_millis(100), pings));
    tasks.push(again(&target, Duration::from_millis(100), endless_headers));
    tasks.push(again(&target, Duration::from_secs(1), hoard));
    for _ in 0..5 {
        tasks.push(again(&target, Duration::from_millis(100), unread));
        tasks.push(again(&target, Duration::from_millis(100), slow_upload));
    }
    for _ in 0..20 {
        tasks.push(again(&target, Duration::from_millis(100), half_a_head));
        tasks.push(again(&target, Duration::from_millis(100), half_open));
    }
    tasks
}

/// Does `one` again and again; what goes on at the end is dropped.
fn again<F: Future<Output = ()> + Send>(
    target: &Arc<Target>,
    pause: Duration,
    one: impl Fn(Arc<Target>) -> F + Send + Sync + 'static,
) -> JoinHandle<()> {
    let target = target.clone();
    tokio::spawn(async move {
        let stop = target.stop.clone();
        let repeat = async {
            loop {
                one(target.clone()).await;
                sleep(pause).await;
            }
        };
        stop.run_until_cancelled(repeat).await;
    })
}

async fn flood(it: Arc<Target>, number: usize) {
    let (method, path, body) = match number % 4 {
        0 => (Method::GET, organizations(), ""),
        1 => (Method::GET, organization("soak-1"), ""),
        2 => (
            Method::PATCH,
            organization("soak-1"),
            r#"{"metadata":{"labels":{"flood":"yes"}}}"#,
        ),
        _ => (Method::GET, organization("nothing"), ""),
    };
    it.tally.count("flood", ask(&it.mallory, method, &path, body).await);
}

async fn huge_body(it: Arc<Target>) {
    let body = vec![b' '; 8 << 20];
    let answer = ask(&it.mallory, Method::POST, &organizations(), body).await;
    it.tally.count("huge body", answer);
}

async fn bad_json(it: Arc<Target>) {
    for body in [
        "{".repeat(10_000),
        "[".repeat(1 << 20),
        "{\"a\":\"\\ud800\"}".to_owned(),
        "nil".to_owned(),
    ] {
        let answer = ask(&it.mallory, Method::POST, &organizations(), body).await;
        it.tally.count("bad JSON", answer);
    }
}

/// Tokens that nobody has seen before.
async fn bad_token(it: Arc<Target>) {
    let Ok(mut raw) = it.nobody.try_open().await else {
        return it.tally.note("bad token", "cut", 1);
    };
    for _ in 0..20 {
        let token: u128 = rand::random();
        let path = organizations();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token:x}\r\n\r\n");
        if raw.try_send(head.as_bytes()).await.is_err() {
            return it.tally.note("bad token", "cut", 1);
        }
        match raw.response().await {
            (0, _) => return it.tally.note("bad token", "cut", 1),
            (code, _) => it.tally.count("bad token", Ok(code)),
        }
    }
}

/// Requests that are taken back at once.
async fn resets(it: Arc<Target>) {
    let Ok(mut frames) = Frames::open(&it.door, &[]).await else {
        return it.tally.note("resets", "cut", 1);
    };
    for _ in 0..1_000 {
        let stream = frames.begin();
        let request = frames::frame(
            HEADERS,
            frames::END_STREAM | frames::END_HEADERS,
            stream,
            &frames::get(&organizations()),
        );
        let reset = frames::frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        if frames.write(&[request, reset].concat()).await.is_err() {
            return it.tally.note("resets", "cut", 1);
        }
        it.tally.note("resets", "sent", 1);
    }
}

/// Questions whose answers nobody reads.
async fn pings(it: Arc<Target>) {
    let Ok(mut frames) = Frames::open(&it.door, &[]).await else {
        return it.tally.note("pings", "cut", 1);
    };
    let many = frames::frame(PING, 0, 0, &[0; 8]).repeat(1_000);
    for _ in 0..10 {
        match timeout(Duration::from_secs(5), frames.write(&many)).await {
            Ok(Ok(())) => it.tally.note("pings", "sent", 1_000),
            Ok(Err(_)) => return it.tally.note("pings", "cut", 1),
            Err(_) => return it.tally.note("pings", "not taken", 1),
        }
    }
}

/// Headers that never end.
async fn endless_headers(it: Arc<Target>) {
    let Ok(mut frames) = Frames::open(&it.door, &[]).await else {
        return it.tally.note("headers without end", "cut", 1);
    };
    let stream = frames.begin();
    let sent = frames
        .send(HEADERS, frames::END_STREAM, stream, &frames::get("/"))
        .await;
    let more = frames::field("x-more", &"x".repeat(10 << 10));
    let mut count = u64::from(sent.is_ok());
    while frames.send(CONTINUATION, 0, stream, &more).await.is_ok() {
        count += 1;
    }
    it.tally.note("headers without end", "sent", count);
    it.tally.note("headers without end", "cut", 1);
}

/// Watches until one is refused, kept for a while.
async fn hoard(it: Arc<Target>) {
    let mut kept = Vec::new();
    loop {
        let path = format!("{}?watch=true", organizations());
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let Ok(Ok(answer)) = timeout(DEADLINE, it.hoarder.send(request)).await else {
            it.tally.note("watches", "cut", 1);
            break;
        };
        let code = answer.status().as_u16();
        it.tally.count("watches", Ok(code));
        if code != 200 {
            break;
        }
        kept.push(answer);
    }
    sleep(Duration::from_secs(3)).await;
}

/// Large answers on a connection that takes none of them.
async fn unread(it: Arc<Target>) {
    let Ok(mut frames) = Frames::open(&it.reader, &[(4, 0)]).await else {
        return it.tally.note("unread lists", "cut", 1);
    };
    for _ in 0..40 {
        if frames.get(&organizations()).await.is_err() {
            return it.tally.note("unread lists", "cut", 1);
        }
        it.tally.note("unread lists", "sent", 1);
    }
    sleep(Duration::from_secs(20)).await;
}

/// A body that comes byte by byte.
async fn slow_upload(it: Arc<Target>) {
    let Ok(mut raw) = it.door.try_open().await else {
        return it.tally.note("slow uploads", "refused", 1);
    };
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n",
        organizations()
    );
    if raw.try_send(head.as_bytes()).await.is_err() {
        return it.tally.note("slow uploads", "refused", 1);
    }
    it.tally.note("slow uploads", "sent", 1);
    for _ in 0..120 {
        sleep(Duration::from_secs(1)).await;
        if raw.try_send(b" ").await.is_err() {
            return it.tally.note("slow uploads", "cut", 1);
        }
    }
}

/// A head that comes byte by byte.
async fn half_a_head(it: Arc<Target>) {
    let Ok(mut raw) = it.door.try_open().await else {
        return it.tally.note("half a head", "refused", 1);
    };
    if raw
        .try_send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        .await
        .is_err()
    {
        return it.tally.note("half a head", "refused", 1);
    }
    it.tally.note("half a head", "sent", 1);
    while raw.try_send(b"x").await.is_ok() {
        sleep(Duration::from_secs(1)).await;
    }
    it.tally.note("half a head", "cut", 1);
}

/// A connection without a handshake, or with half of one.
async fn half_open(it: Arc<Target>) {
    let Ok(mut socket) = TcpStream::connect(("127.0.0.1", it.port)).await else {
        return it.tally.note("half-open", "refused", 1);
    };
    it.tally.note("half-open", "opened", 1);
    let _ = socket.write_all(&[22, 3, 1, 2, 0, 1]).await;
    let mut byte = [0];
    let _ = tokio::io::AsyncReadExt::read(&mut socket, &mut byte).await;
    it.tally.note("half-open", "cut", 1);
}
