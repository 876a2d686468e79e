//! Watches over WebSocket.

use serde_json::{Value, json};

use super::gadget::{gadget, gadgets};
use crate::harness::Bulward;
use crate::harness::in_process::{InProcess, memory, revision};
use crate::harness::raw::{Door, Raw};
use crate::harness::twin::Ask;

const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://localhost\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PONG: u8 = 10;

/// One frame that the server sent: its opcode and its payload.
async fn frame(raw: &mut Raw) -> Option<(u8, Vec<u8>)> {
    let head = raw.exactly(2).await;
    let [first, second] = head[..] else { return None };
    let length = match second {
        126 => raw.exactly(2).await,
        127 => raw.exactly(8).await,
        short => vec![short],
    };
    let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    assert_eq!(first & 0xf0, 0x80, "each message is one frame");
    Some((first & 0x0f, raw.exactly(length).await))
}

/// A short frame as a client sends it, with a mask of zeros.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

async fn open(door: &Door, path: &str, headers: &str) -> (Raw, String) {
    let mut raw = door.open().await;
    raw.request(&format!("GET {path}"), &format!("{HANDSHAKE}{headers}"))
        .await;
    let head = raw.head().await;
    (raw, head)
}

async fn event(raw: &mut Raw) -> Value {
    let (opcode, payload) = frame(raw).await.expect("goes on");
    assert_eq!(opcode, TEXT);
    assert!(payload.ends_with(b"}\n"), "as over HTTP, with its line feed");
    serde_json::from_slice(&payload).unwrap()
}

/// The same frames from kube-apiserver's watch of a CustomResource and from ours.
#[tokio::test]
async fn one_message_an_event() {
    let twin = gadgets("sockets.example.com").await;
    let plane = crate::harness::ControlPlane::shared().await;
    for name in ["a", "b"] {
        let create = Ask::json(http::Method::POST, twin.path("gadgets"), &gadget(&twin, name));
        twin.send(&create).await.expect(201);
    }
    let doors = [twin.server.door(), Door::of_plane(plane)];
    let path = twin.path("gadgets?watch=true&allowWatchBookmarks=true");
    for door in &doors {
        let (mut raw, head) = open(door, &path, "").await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        let head = head.to_ascii_lowercase();
        for line in [
            "upgrade: websocket",
            "connection: upgrade",
            "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
        ] {
            assert!(head.contains(line), "{head}");
        }
        let mut names = Vec::new();
        for _ in 0..2 {
            let added = event(&mut raw).await;
            assert_eq!(added["type"], "ADDED", "{added}");
            names.push(added["object"]["metadata"]["name"].to_string());
        }
        names.sort();
        assert_eq!(names, [r#""a""#, r#""b""#]);
        assert_eq!(event(&mut raw).await["type"], "BOOKMARK");
        raw.send(&masked(9, b"still there?")).await;
        assert_eq!(frame(&mut raw).await, Some((PONG, b"still there?".to_vec())));
        raw.send(&masked(CLOSE, &1000u16.to_be_bytes())).await;
        assert_eq!(frame(&mut raw).await, Some((CLOSE, 1000u16.to_be_bytes().to_vec())));
        assert_eq!(raw.rest().await, b"");
        // at its end a watch says goodbye
        let (mut raw, _) = open(door, &twin.path("gadgets?watch=true&timeoutSeconds=1"), "").await;
        event(&mut raw).await;
        event(&mut raw).await;
        assert_eq!(frame(&mut raw).await, Some((CLOSE, 1000u16.to_be_bytes().to_vec())));
        // what is wrong with the request is said before
        let (_, head) = open(door, &twin.path("gadgets?watch=true&labelSelector=("), "").await;
        assert!(head.starts_with("HTTP/1.1 400"), "{head}");
        let protocols = "Sec-WebSocket-Protocol: mine\r\n";
        let (_, head) = open(door, &path, protocols).await;
        assert!(
            head.to_ascii_lowercase().contains("sec-websocket-protocol: mine"),
            "{head}"
        );
        let unmasked = [0x81, 1, b'x'];
        let (mut raw, _) = open(door, &twin.path("gadgets?watch=true&resourceVersion=0"), "").await;
        raw.send(&unmasked).await;
        let mut last = frame(&mut raw).await;
        while last.as_ref().is_some_and(|(opcode, _)| *opcode == TEXT) {
            last = frame(&mut raw).await;
        }
        assert_eq!(last.map(|(opcode, _)| opcode), Some(CLOSE));
        for missing in ["Origin: http://localhost\r\n", "Sec-WebSocket-Version: 13\r\n"] {
            let mut raw = door.open().await;
            raw.request(&format!("GET {path}"), &HANDSHAKE.replace(missing, ""))
                .await;
            let head = raw.head().await;
            let code = if missing.starts_with("Origin") { "403" } else { "400" };
            assert!(head.starts_with(&format!("HTTP/1.1 {code}")), "{missing}: {head}");
        }
    }
    // protobuf comes in binary messages, without the length that frames it elsewhere
    let accept = "Accept: application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1\r\n";
    for door in &doors {
        let (mut raw, _) = open(door, &path, accept).await;
        let (opcode, payload) = frame(&mut raw).await.expect("goes on");
        assert_eq!((opcode, &payload[..7]), (BINARY, &b"\x0a\x05ADDED"[..]));
    }
}

/// Through the aggregator of a real kube-apiserver.
#[tokio::test]
async fn through_the_aggregator() {
    let (plane, _) = Bulward::shared().await;
    let admin = plane.client("admin").await;
    let base = "/apis/storage.bulward.io/v1alpha1/organizations";
    let body = json!({"apiVersion": "storage.bulward.io/v1alpha1", "kind": "Organization",
        "metadata": {"name": "by-socket"}, "spec": {"owners": [{"kind": "User", "name": "alice"}]}});
    let caller = crate::harness::in_process::Caller::through(admin);
    let created = caller.post(base, &body).await.expect(201);
    let door = Door::of_plane(plane);
    let path = format!(
        "{base}?watch=true&resourceVersion={}&fieldSelector=metadata.name%3Dby-socket",
        revision(&created)
    );
    let (mut raw, head) = open(&door, &path, "").await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    caller.delete(&format!("{base}/by-socket")).await.expect(200);
    assert_eq!(event(&mut raw).await["type"], "DELETED");
    raw.send(&masked(9, b"x")).await;
    assert_eq!(frame(&mut raw).await, Some((PONG, b"x".to_vec())));
}

/// A server that ends says goodbye, and does not wait for its watches.
#[tokio::test]
async fn a_server_that_ends() {
    let server = InProcess::start(memory().await.storage.clone()).await;
    let path = "/apis/storage.bulward.io/v1alpha1/organizations?watch=true&allowWatchBookmarks=true";
    let (mut raw, _) = open(&server.door(), path, "").await;
    assert_eq!(event(&mut raw).await["type"], "BOOKMARK");
    server.drain();
    assert_eq!(frame(&mut raw).await, Some((CLOSE, 1000u16.to_be_bytes().to_vec())));
    assert_eq!(raw.rest().await, b"");
}
