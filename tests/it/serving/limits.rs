use std::time::Duration;

use bulward::http::listener::{ConnectionEvent, Limits};
use http::{Request, StatusCode};
use http_body_util::Empty;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    Server,
    client::{Client, text},
    within,
};

const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_silent_socket_is_dropped_after_the_handshake_timeout() {
    let limits = Limits {
        handshake_timeout: SHORT,
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    assert!(within(socket.read_u8()).await.is_err());
    server.probe.observed(ConnectionEvent::HandshakeFailed, 1).await;
}

#[tokio::test]
async fn half_a_request_is_dropped_after_the_header_timeout() {
    let limits = Limits {
        header_timeout: SHORT,
        idle_timeout: LONG,
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let mut stream = Client::h1().handshake(&server).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").await.unwrap();
    stream.flush().await.unwrap();
    assert!(within(stream.read_u8()).await.is_err());
    server.probe.observed(ConnectionEvent::Closed, 1).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let limits = Limits {
        write_timeout: SHORT,
        idle_timeout: LONG,
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let mut stream = Client::h1().handshake(&server).await.unwrap();
    stream
        .write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    stream.flush().await.unwrap();
    server.probe.observed(ConnectionEvent::Closed, 1).await;
    drop(stream);
    // One that reads gets everything.
    let patient = Server::start(Limits::default()).await;
    let mut connection = Client::h1().connect(&patient).await;
    assert_eq!(connection.text("/large").await.len(), super::LARGE);
}

#[tokio::test]
async fn the_header_timeout_is_no_idle_timeout() {
    let limits = Limits {
        header_timeout: SHORT,
        idle_timeout: LONG,
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let mut connection = Client::h1().connect(&server).await;
    connection.text("/").await;
    // Nothing can be waited for here: that something does not happen shows only in time.
    tokio::time::sleep(SHORT * 3).await;
    connection.text("/").await;
    // A request that takes longer than its headers may.
    let running = tokio::spawn(connection.get("/wait"));
    server.probe.waiting(1).await;
    tokio::time::sleep(SHORT * 3).await;
    server.probe.go.notify_waiters();
    assert_eq!(text(within(running).await.unwrap().unwrap()).await, "waited");
}

#[tokio::test]
async fn idle_connections_are_closed_and_busy_ones_are_not() {
    let limits = Limits {
        // Long enough for a slow machine to get its requests out.
        idle_timeout: SHORT * 8,
        header_timeout: LONG,
        close_grace: SHORT,
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let mut busy = [Client::h1().connect(&server).await, Client::h2().connect(&server).await];
    let running: Vec<_> = busy.iter_mut().map(|it| tokio::spawn(it.get("/wait"))).collect();
    server.probe.waiting(2).await;
    // Never sent anything; sent and was answered; the same over HTTP/2.
    let mut fresh = Client::h1().handshake(&server).await.unwrap();
    let mut used = [Client::h1().connect(&server).await, Client::h2().connect(&server).await];
    for connection in &mut used {
        connection.text("/").await;
    }
    assert!(within(fresh.read_u8()).await.is_err());
    for connection in used {
        within(connection.ended).await.unwrap().unwrap();
    }
    server.probe.observed(ConnectionEvent::Closed, 3).await;
    server.probe.go.notify_waiters();
    for request in running {
        assert_eq!(text(within(request).await.unwrap().unwrap()).await, "waited");
    }
}

#[tokio::test]
async fn header_limits() {
    let server = Server::start(Limits::default()).await;
    let request = |headers: usize, bytes: usize| {
        let mut request = Request::get("https://localhost/").header("host", "localhost");
        for _ in 0..headers {
            request = request.header("x-remote-group", "a".repeat(bytes));
        }
        request.body(Empty::new()).unwrap()
    };
    for client in [Client::h1(), Client::h2()] {
        // As many groups as a directory may give a user.
        let response = within(client.connect(&server).await.send(request(900, 100)))
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(text(response).await.contains("headers=90"));
        // HTTP/2 clients may send large frames once they know that the server takes them.
        let mut connection = client.connect(&server).await;
        connection.text("/").await;
        let large = within(connection.send(request(1, 700 << 10))).await.unwrap();
        assert_eq!(large.status(), StatusCode::OK);
        // Too large: 431, or the connection is reset while the client still writes.
        if let Ok(response) = within(client.connect(&server).await.send(request(20, 100 << 10))).await {
            assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
    }
    Client::h2().connect(&server).await.text("/").await;
}

#[tokio::test]
async fn many_streams_on_one_connection() {
    let server = Server::start(Limits::default()).await;
    let mut connection = Client::h2().connect(&server).await;
    let running: Vec<_> = (0..900).map(|_| tokio::spawn(connection.get("/wait"))).collect();
    server.probe.waiting(900).await;
    server.probe.go.notify_waiters();
    for request in running {
        assert_eq!(within(request).await.unwrap().unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_their_turn() {
    let limits = Limits {
        max_connections: 1,
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let mut first = Client::h1().connect(&server).await;
    first.text("/").await;
    let client = Client::h1();
    let second = client.connect(&server);
    tokio::pin!(second);
    assert!(tokio::time::timeout(SHORT, &mut second).await.is_err());
    drop(first);
    assert!(within(second).await.text("/turn").await.starts_with("/turn"));
}
