use futures::stream;
use proptest::prelude::*;

use super::*;

/// A client's frame.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    append(Opcode::Binary, payload, &mut frame);
    frame[0] = 0x80 | opcode;
    frame[1] |= 0x80;
    let head = frame.len() - payload.len();
    let mask = [1, 2, 3, 4];
    let payload: Vec<u8> = payload
        .iter()
        .enumerate()
        .map(|(at, byte)| byte ^ mask[at % 4])
        .collect();
    frame.truncate(head);
    frame.extend_from_slice(&mask);
    frame.extend_from_slice(&payload);
    frame
}

/// What is answered to bytes that arrive in these pieces.
fn answered<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Option<u16>) {
    let (mut parser, mut out, mut end) = (Parser::default(), Vec::new(), None);
    for piece in pieces {
        end = end.or(answer(&mut parser, piece, &mut out));
    }
    (out, end)
}

#[test]
fn pings_are_answered_and_all_else_is_passed_over() {
    let mut sent = Vec::new();
    for (opcode, payload) in [
        (1, &b"text"[..]),
        (9, b"hello"),
        (2, &[7; 70_000]),
        (10, b"x"),
        (9, &[1; 300]),
        (8, b""),
    ] {
        sent.extend(masked(opcode, payload));
    }
    let mut wanted = b"\x8a\x05hello\x8a\x7d".to_vec();
    wanted.extend([1; 125]);
    assert_eq!(answered([&sent[..]]), (wanted.clone(), Some(1000)));
    assert_eq!(answered(sent.chunks(1)), (wanted, Some(1000)));
    assert_eq!(answered([&b"\x81\x01x"[..]]), (Vec::new(), Some(1002)));
}

#[test]
fn what_a_client_sends_takes_no_memory() {
    let mut parser = Parser::default();
    let mut head = masked(2, b"");
    head[1] = 0xff;
    head.splice(2..2, u64::MAX.to_be_bytes());
    parser.feed(&head, |_| panic!("nothing"));
    for _ in 0..1000 {
        parser.feed(&[0; 4096], |_| panic!("nothing"));
    }
    assert!(parser.memory() <= 64);
}

#[tokio::test]
async fn messages_are_frames_and_the_end_is_said() {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let long = vec![b'x'; 70_000];
    let messages = stream::iter([
        Bytes::from_static(b"one"),
        Bytes::from(vec![b'y'; 300]),
        long.clone().into(),
    ])
    .boxed();
    serve(server, Opcode::Text, messages, CancellationToken::new()).await;
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.expect("reads");
    let mut wanted = b"\x81\x03one\x81\x7e\x01\x2c".to_vec();
    wanted.extend([b'y'; 300]);
    wanted.extend(b"\x81\x7f\x00\x00\x00\x00\x00\x01\x11\x70");
    wanted.extend(long);
    wanted.extend(b"\x88\x02\x03\xe8");
    assert!(got == wanted, "{} bytes", got.len());
}

/// Whoever sends pings and takes no answer is made to wait: nothing is gathered for them.
#[tokio::test]
async fn endless_pings_find_a_limit() {
    let (mut client, server) = tokio::io::duplex(4096);
    let serving = serve(
        server,
        Opcode::Text,
        stream::pending().boxed(),
        CancellationToken::new(),
    );
    let serving = tokio::spawn(serving);
    let ping = masked(9, &[b'x'; 125]);
    let pings = ping.repeat(100);
    let (mut sent, mut waited) = (0, 0);
    // On one thread a task that could go on has done so after some turns.
    while waited < 1000 {
        match futures::poll!(std::pin::pin!(client.write(&pings[sent % ping.len()..]))) {
            std::task::Poll::Ready(written) => {
                sent += written.expect("the connection is open");
                waited = 0;
            }
            std::task::Poll::Pending => {
                waited += 1;
                tokio::task::yield_now().await;
            }
        }
        assert!(sent < 1 << 20, "everything is taken");
    }
    assert!(!serving.is_finished());
    // with the answers read it goes on
    let mut answers = [0; 4096];
    client.read_exact(&mut answers).await.expect("answers");
    let rest = &pings[sent % ping.len()..][..ping.len()];
    client.write_all(rest).await.expect("takes more");
    serving.abort();
}

#[test]
fn handshakes() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (UPGRADE, "WebSocket"),
        (CONNECTION, "keep-alive, Upgrade"),
        (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
        (SEC_WEBSOCKET_VERSION, "13"),
        (ORIGIN, "http://localhost"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    assert!(asked_for(&headers));
    let response = accept(&headers).expect("accepted");
    // RFC 6455, section 1.3
    assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    for (name, code) in [(SEC_WEBSOCKET_KEY, 400), (SEC_WEBSOCKET_VERSION, 400), (ORIGIN, 403)] {
        let mut without = headers.clone();
        without.remove(name);
        assert_eq!(accept(&without).expect_err("refused").status(), code);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        answered([&bytes[..]]);
    }
}
