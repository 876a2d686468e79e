//! What a connection is doing right now, so that idle ones and those that dawdle over their headers can be ended.
//!
//! hyper's own header timeout starts when a connection becomes idle, which would end every kept-alive HTTP/1.1
//! connection after it; here the two are apart, as they are in Go's net/http.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::Limits;
use crate::http::body::BoxError;

/// Shared by a connection's socket, its requests and the one who watches over both.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    retired: CancellationToken,
}

#[derive(Debug)]
struct State {
    /// Requests whose response has not been sent to its end.
    running: usize,
    /// Since when none is running.
    idle_since: Instant,
    /// When the first byte of the next request arrived (HTTP/1.1, while none is running).
    reading_since: Option<Instant>,
    /// Since when the client has taken nothing of what it is sent (HTTP/1.1).
    blocked_since: Option<Instant>,
    /// Since when the client is known to be a stranger (HTTP/2).
    dismissed_since: Option<Instant>,
}

/// What a connection without a running request is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// At least one request is running.
    Running,
    /// The client does not read.
    Blocked {
        /// Since when.
        since: Instant,
    },
    /// Part of a request's headers has arrived.
    Reading {
        /// When its first byte did.
        since: Instant,
    },
    /// Nothing.
    Idle {
        /// Since when.
        since: Instant,
    },
}

/// Counts one request as running until it is dropped.
#[derive(Debug)]
pub(super) struct Running(Arc<Activity>);

/// A response's body that keeps its request running until it is sent or given up.
pub(super) struct Tracked {
    body: UnsyncBoxBody<Bytes, BoxError>,
    _running: Running,
}

/// A socket that notes when bytes arrive, and when none can be sent.
pub(super) struct Watched<S> {
    socket: S,
    blocked: bool,
    activity: Arc<Activity>,
}

// === impl Activity ===

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let state = State {
            running: 0,
            idle_since: Instant::now(),
            reading_since: None,
            blocked_since: None,
            dismissed_since: None,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            retired: CancellationToken::new(),
        })
    }

    pub(super) fn start(self: &Arc<Self>) -> Running {
        let mut state = self.state.lock();
        state.running += 1;
        state.reading_since = None;
        Running(Arc::clone(self))
    }

    pub(super) fn phase(&self) -> Phase {
        let state = self.state.lock();
        match (state.blocked_since, state.running, state.reading_since) {
            (Some(since), ..) => Phase::Blocked { since },
            (None, 0, Some(since)) => Phase::Reading { since },
            (None, 0, None) => Phase::Idle {
                since: state.idle_since,
            },
            (None, ..) => Phase::Running,
        }
    }

    /// The connection is to take no further request.
    pub(super) fn retire(&self) {
        self.retired.cancel();
    }

    /// It is to take no further request, and to end soon whatever runs on it.
    pub(super) fn dismiss(&self) {
        self.state.lock().dismissed_since.get_or_insert_with(Instant::now);
        self.retire();
    }

    /// Since when it is to end.
    pub(super) fn dismissed(&self) -> Option<Instant> {
        self.state.lock().dismissed_since
    }

    /// Returns when it is.
    pub(super) async fn retired(&self) {
        self.retired.cancelled().await;
    }

    fn blocked(&self, blocked: bool) {
        self.state.lock().blocked_since = blocked.then(Instant::now);
    }

    fn received(&self) {
        let mut state = self.state.lock();
        if state.running == 0 && state.reading_since.is_none() {
            state.reading_since = Some(Instant::now());
        }
    }
}

impl Phase {
    /// When the connection is to be ended; never while a request is running and its client takes the answer.
    pub(super) fn deadline(self, limits: &Limits) -> Option<Instant> {
        match self {
            Self::Running => None,
            Self::Blocked { since } => Some(since + limits.write_timeout),
            Self::Reading { since } => Some(since + limits.header_timeout),
            Self::Idle { since } => Some(since + limits.idle_timeout),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.running -= 1;
        if state.running == 0 {
            state.idle_since = Instant::now();
        }
    }
}

// === impl Tracked ===

impl Tracked {
    pub(super) fn new(body: UnsyncBoxBody<Bytes, BoxError>, running: Running) -> Self {
        Self {
            body,
            _running: running,
        }
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Watched ===

impl<S> Watched<S> {
    pub(super) fn new(socket: S, activity: Arc<Activity>) -> Self {
        Self {
            socket,
            blocked: false,
            activity,
        }
    }

    /// A client that takes a little is not blocked.
    fn wrote<T>(&mut self, written: Poll<T>) -> Poll<T> {
        if self.blocked != written.is_pending() {
            self.blocked = written.is_pending();
            self.activity.blocked(self.blocked);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.received();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        self.wrote(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, buffers);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
