//! A TCP connection between programs that a test can break, silence, slow down and mend.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Forwards a port of its own to another one. Dropping the last handle to it breaks everything.
#[derive(Clone)]
pub(crate) struct Proxy(Arc<Open>);

struct Open {
    address: String,
    line: Arc<Line>,
    accepting: JoinHandle<()>,
}

/// How the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Everything goes through.
    Open,
    /// Connections are broken; new ones are accepted and hear nothing.
    Cut,
    /// Nothing goes through, and nobody is told: what was sent arrives when the line is mended, as with a cable that
    /// was pulled and put back.
    Silent,
}

struct Line {
    target: String,
    state: watch::Sender<State>,
    /// What every piece waits before it is handed on, in milliseconds.
    delay: AtomicU64,
    /// Bytes that the target has sent.
    answered: AtomicU64,
    /// The line falls silent by itself once the target has sent so many bytes.
    silent_after: AtomicU64,
}

impl Proxy {
    /// A line to `target`, `host:port` or a URL of it.
    pub(crate) async fn to(target: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let target = target.split_once("://").map_or(target, |(_, rest)| rest);
        let line = Arc::new(Line {
            target: target.to_owned(),
            state: watch::Sender::new(State::Open),
            delay: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            silent_after: AtomicU64::new(u64::MAX),
        });
        let own = line.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((inner, _)) = listener.accept().await {
                tokio::spawn(forward(inner, own.clone()));
            }
        });
        Proxy(Arc::new(Open {
            address,
            line,
            accepting,
        }))
    }

    /// Where it listens, `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.0.address
    }

    /// Breaks every connection; new ones are accepted and hear nothing until [`Proxy::mend`].
    pub(crate) fn cut(&self) {
        self.0.line.state.send_replace(State::Cut);
    }

    /// Swallows everything without a word until [`Proxy::mend`].
    pub(crate) fn silence(&self) {
        self.0.line.state.send_replace(State::Silent);
    }

    /// Bytes that the target has sent.
    pub(crate) fn answered(&self) -> u64 {
        self.0.line.answered.load(Ordering::SeqCst)
    }

    /// Falls silent as soon as the target has sent `bytes` from now on.
    pub(crate) fn silence_after(&self, bytes: u64) {
        self.0
            .line
            .silent_after
            .store(self.answered() + bytes, Ordering::SeqCst);
    }

    /// Waits until the line has fallen silent.
    pub(crate) async fn silent(&self) {
        let mut state = self.0.line.state.subscribe();
        let _ = state.wait_for(|state| *state == State::Silent).await;
    }

    /// Hands every piece on only after `delay`.
    pub(crate) fn delay(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.0.line.delay.store(delay, Ordering::SeqCst);
    }

    /// Lets connections through again, at once.
    pub(crate) fn mend(&self) {
        self.0.line.silent_after.store(u64::MAX, Ordering::SeqCst);
        self.0.line.delay.store(0, Ordering::SeqCst);
        self.0.line.state.send_replace(State::Open);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.line.state.send_replace(State::Cut);
        self.accepting.abort();
    }
}

/// Ends with either side, or when the line is cut or dropped.
async fn forward(inner: TcpStream, line: Arc<Line>) {
    let mut state = line.state.subscribe();
    if state.wait_for(|state| *state == State::Open).await.is_err() {
        return;
    }
    let Ok(outer) = TcpStream::connect(&line.target).await else {
        return;
    };
    let _ = (inner.set_nodelay(true), outer.set_nodelay(true));
    let (from_inner, to_inner) = inner.into_split();
    let (from_outer, to_outer) = outer.into_split();
    let both = async {
        tokio::join!(
            pass(from_inner, to_outer, &line, None),
            pass(from_outer, to_inner, &line, Some(&line.answered))
        )
    };
    tokio::select! {
        _ = both => {}
        _ = state.wait_for(|state| *state == State::Cut) => {}
    }
}

/// One direction, until its source ends; the end is handed on like everything else.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, line: &Line, count: Option<&AtomicU64>) {
    let mut state = line.state.subscribe();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        if let Some(count) = count {
            let sent = count.fetch_add(read as u64, Ordering::SeqCst) + read as u64;
            if sent >= line.silent_after.load(Ordering::SeqCst) {
                line.state.send_replace(State::Silent);
            }
        }
        if state.wait_for(|state| *state == State::Open).await.is_err() {
            return;
        }
        let delay = line.delay.load(Ordering::SeqCst);
        if delay > 0 {
            sleep(Duration::from_millis(delay)).await;
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
