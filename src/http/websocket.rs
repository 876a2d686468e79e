//! The server's side of WebSocket (RFC 6455), as far as a watch needs it: messages go out, and of what comes in just
//! pings and the end mean something (k8s.io/apiserver pkg/endpoints/handlers/watch.go HandleWS, golang.org/x/net/websocket).
//!
//! Written here because a general library gathers messages, and these would be the client's to fill the memory with. A
//! connection needs one buffer, whatever is sent to it.

mod frames;

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::header::{
    CONNECTION, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::body::{self, Body};
use super::respond;

pub use crate::authn::subprotocol::asked_for;
pub use frames::Opcode;
use frames::{NORMAL, PROTOCOL_ERROR, Parser, Received, append};

/// What a server appends to a client's key to show that it has understood (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// How long a client may take nothing of what is sent to it.
const STALLED: Duration = Duration::from_secs(60);
/// How long saying goodbye may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// The answer to the client's handshake.
///
/// # Errors
/// The refusal of a handshake that is none.
pub fn accept(headers: &HeaderMap) -> Result<Response<Body>, Box<Response<Body>>> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let refused = |code, why: &'static str| Err(Box::new(respond::bytes(code, respond::TEXT, why)));
    let Some(key) = text(SEC_WEBSOCKET_KEY).filter(|key| !key.is_empty()) else {
        return refused(StatusCode::BAD_REQUEST, "mismatch challenge/response");
    };
    if text(SEC_WEBSOCKET_VERSION) != Some("13") {
        let mut response = respond::bytes(
            StatusCode::BAD_REQUEST,
            respond::TEXT,
            "missing or bad WebSocket Version",
        );
        let headers = response.headers_mut();
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(Box::new(response));
    }
    // A browser says which page asks; others have to, as well.
    if text(ORIGIN).is_none_or(str::is_empty) {
        return refused(StatusCode::FORBIDDEN, "");
    }
    let protocol = headers.get(SEC_WEBSOCKET_PROTOCOL).filter(|value| !value.is_empty());
    if protocol.is_some_and(|protocol| protocol.as_bytes().contains(&b',')) {
        return refused(StatusCode::BAD_REQUEST, "");
    }
    let proof = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    let Ok(proof) = HeaderValue::try_from(STANDARD.encode(proof)) else {
        return refused(StatusCode::BAD_REQUEST, "");
    };
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(SEC_WEBSOCKET_ACCEPT, proof);
    if let Some(protocol) = protocol {
        answer.insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
    }
    Ok(response)
}

/// Sends `messages` until they end, the client goes, or the server drains.
pub async fn serve<S>(socket: S, opcode: Opcode, mut messages: BoxStream<'static, Bytes>, drain: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut reader, mut writer) = tokio::io::split(socket);
    let mut parser = Parser::default();
    let mut buffer = [0; 4096];
    let mut out = Vec::new();
    let code = loop {
        out.clear();
        let mut end = None;
        tokio::select! {
            () = drain.cancelled() => break NORMAL,
            read = reader.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(length) => end = answer(&mut parser, &buffer[..length], &mut out),
            },
            message = messages.next() => match message {
                Some(message) => append(opcode, &message, &mut out),
                None => break NORMAL,
            },
        }
        // What is sent is no more than one buffer or one message: nothing more is read before it is gone.
        let sent = async {
            writer.write_all(&out).await?;
            writer.flush().await
        };
        let sent = drain.run_until_cancelled(tokio::time::timeout(STALLED, sent)).await;
        match sent {
            Some(Ok(Ok(()))) => {}
            Some(_) => return,
            // in the middle of a message there is no goodbye
            None => return,
        }
        if let Some(code) = end {
            break code;
        }
    };
    out.clear();
    append(Opcode::Close, &code.to_be_bytes(), &mut out);
    let goodbye = async {
        writer.write_all(&out).await?;
        writer.shutdown().await
    };
    // Whoever does not take it is gone anyhow.
    let _ = tokio::time::timeout(FAREWELL, goodbye).await;
}

/// Pongs for the pings among these bytes; a code when the connection is to be closed.
fn answer(parser: &mut Parser, bytes: &[u8], out: &mut Vec<u8>) -> Option<u16> {
    let mut end = None;
    parser.feed(bytes, |received| match received {
        Received::Ping(payload) if end.is_none() => append(Opcode::Pong, payload, out),
        Received::Ping(_) => {}
        Received::Close => end = end.or(Some(NORMAL)),
        Received::Unmasked => end = end.or(Some(PROTOCOL_ERROR)),
    });
    end
}

#[cfg(test)]
mod tests;
