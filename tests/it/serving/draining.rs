use std::time::Duration;

use bulward::http::listener::{ConnectionEvent, Limits};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{
    DEADLINE, Server,
    client::{Client, text},
    within,
};
use crate::harness::eventually;
use crate::harness::in_process::{InProcess, memory};

#[tokio::test]
async fn running_requests_finish_and_streams_are_told() {
    let server = Server::start(Limits::default()).await;
    let (mut h1, mut h2) = (Client::h1().connect(&server).await, Client::h2().connect(&server).await);
    let mut idle = Client::h1().connect(&server).await;
    idle.text("/").await;
    let waiting = (tokio::spawn(h1.get("/wait")), tokio::spawn(h2.get("/wait")));
    server.probe.waiting(2).await;
    let mut stream = within(h2.get("/stream")).await.unwrap().into_body();
    let first = within(stream.frame()).await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "first\n");

    server.shutdown.cancel();
    let rest = within(stream.collect()).await.expect("the stream ends cleanly");
    assert_eq!(rest.to_bytes(), "last\n");
    within(idle.ended).await.unwrap().unwrap();
    within(async {
        while TcpStream::connect(server.addr).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(!server.served.is_finished(), "two requests are still running");

    server.probe.go.notify_waiters();
    let on_h1 = within(waiting.0).await.unwrap().unwrap();
    assert_eq!(on_h1.headers()["connection"], "close");
    assert_eq!(text(on_h1).await, "waited");
    assert_eq!(text(within(waiting.1).await.unwrap().unwrap()).await, "waited");
    within(h1.ended).await.unwrap().unwrap();
    within(h2.ended).await.unwrap().unwrap();
    assert_eq!(within(server.served).await.unwrap().aborted, 0);
    server.probe.observed(ConnectionEvent::Closed, 3).await;
}

#[tokio::test]
async fn what_does_not_finish_is_cut() {
    let limits = Limits {
        drain_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let (mut h1, mut h2) = (Client::h1().connect(&server).await, Client::h2().connect(&server).await);
    let running = (tokio::spawn(h1.get("/never")), tokio::spawn(h2.get("/never")));
    server.probe.waiting(2).await;
    assert!(server.stop().await.aborted >= 2);
    assert!(within(running.0).await.unwrap().is_err());
    assert!(within(running.1).await.unwrap().is_err());
}

#[tokio::test]
async fn dropping_the_server_cuts_everything() {
    let server = Server::start(Limits::default()).await;
    let mut h2 = Client::h2().connect(&server).await;
    let running = tokio::spawn(h2.get("/never"));
    server.probe.waiting(1).await;
    server.served.abort();
    assert!(within(running).await.unwrap().is_err());
    server.probe.observed(ConnectionEvent::Closed, 1).await;
}

/// What a client is answered that has begun its request before the drain and ends it afterwards; nothing if the server had
/// not read the beginning and closed the connection as an idle one.
async fn answered_late(path: &str) -> Option<String> {
    let opened = memory().await;
    let server = InProcess::start(opened.storage.clone()).await;
    let mut late = server.connection().await;
    late.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n").as_bytes())
        .await
        .unwrap();
    late.flush().await.unwrap();
    // Gives the server a chance to read that.
    server.anonymous().get("/livez").await;
    server.drain();
    let refused = async || match TcpStream::connect(("127.0.0.1", server.port())).await {
        Ok(_) => Err("it still accepts connections"),
        Err(_) => Ok(()),
    };
    eventually("the drain begins", DEADLINE, refused).await;
    late.write_all(b"\r\n").await.ok()?;
    let mut answer = Vec::new();
    within(late.read_to_end(&mut answer)).await.ok()?;
    Some(String::from_utf8(answer).unwrap()).filter(|answer| !answer.is_empty())
}

#[tokio::test]
async fn who_comes_during_the_drain_is_sent_elsewhere() {
    let look = async |path: &'static str| {
        let look = async || answered_late(path).await.ok_or("the beginning was not read");
        eventually("an answer during the drain", 3 * DEADLINE, look).await
    };
    let refused = look("/apis/apiserver.bulward.io/v1alpha1/organizations").await;
    let (head, body) = refused.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 "), "{refused}");
    let head = head.to_lowercase();
    for line in ["retry-after: 1", "connection: close", "content-type: application/json"] {
        assert!(head.lines().any(|found| found == line), "{line}: {refused}");
    }
    assert_eq!(
        body,
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\
         \"message\":\"apiserver is shutting down\",\"reason\":\"ServiceUnavailable\",\"code\":503}\n"
    );
    let exempt = look("/livez").await;
    assert!(
        exempt.starts_with("HTTP/1.1 200 ") && exempt.ends_with("ok"),
        "{exempt}"
    );
}
