//! A client that sends HTTP/2 frames one by one, also those that no library would.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::in_process::DEADLINE;
use super::raw::Door;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Flags of HEADERS.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
/// The flag of SETTINGS and PING.
pub(crate) const ACK: u8 = 1;

/// One frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A connection.
pub(crate) struct Frames {
    stream: TlsStream<TcpStream>,
    unread: Vec<u8>,
    next: u32,
}

impl Frames {
    /// Connects and sends the preface with these settings (identifier and value).
    pub(crate) async fn open(door: &Door, settings: &[(u16, u32)]) -> io::Result<Frames> {
        let mut frames = Frames {
            stream: door.dial(&["h2"]).await?,
            unread: Vec::new(),
            next: 1,
        };
        let pairs = settings.iter();
        let payload: Vec<u8> = pairs
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        let preface = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(),
            &frame(SETTINGS, 0, 0, &payload),
        ]
        .concat();
        frames.write(&preface).await?;
        Ok(frames)
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.write(&frame(kind, flags, stream, payload)).await
    }

    /// Sends a GET to its end; the stream on which the answer comes.
    pub(crate) async fn get(&mut self, path: &str) -> io::Result<u32> {
        let stream = self.begin();
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &get(path)).await?;
        Ok(stream)
    }

    /// The next stream's number.
    pub(crate) fn begin(&mut self) -> u32 {
        let stream = self.next;
        self.next += 2;
        stream
    }

    /// Sends bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let written = tokio::time::timeout(DEADLINE, writing).await;
        written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// The next frame; none at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let mut buffer = [0; 16 << 10];
            let read = tokio::time::timeout(DEADLINE, self.stream.read(&mut buffer)).await;
            match read.expect("a frame or the end in time") {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.unread.extend_from_slice(&buffer[..length]),
            }
        }
    }

    /// The first frame of these kinds; none at the end of the connection. Others are passed over.
    pub(crate) async fn next_of(&mut self, kinds: &[u8]) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if kinds.contains(&frame.kind) {
                return Some(frame);
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let head: [u8; 9] = self.unread.get(..9)?.try_into().ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let payload = self.unread.get(9..9 + length)?.to_vec();
        self.unread.drain(..9 + length);
        let stream = u32::from_be_bytes(stream) & (u32::MAX >> 1);
        Some(Frame {
            kind,
            flags,
            stream,
            payload,
        })
    }
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame's length").to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

/// The header block of a GET.
pub(crate) fn get(path: &str) -> Vec<u8> {
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", path),
        (":authority", "localhost"),
    ];
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

/// A header field as HPACK has it, literally and not to be remembered.
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        length(text.len(), &mut bytes);
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// An integer with a prefix of 7 bits (RFC 7541, 5.1).
fn length(mut length: usize, bytes: &mut Vec<u8>) {
    if length < 127 {
        bytes.push(u8::try_from(length).expect("less than 127"));
        return;
    }
    bytes.push(127);
    length -= 127;
    while length >= 128 {
        bytes.push(u8::try_from(length % 128 + 128).expect("a byte"));
        length /= 128;
    }
    bytes.push(u8::try_from(length).expect("less than 128"));
}
