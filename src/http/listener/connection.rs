//! One connection from its handshake to its end.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::header::CONNECTION;
use http::{Request, Response};
use hyper::{body::Incoming, rt::Executor, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use super::{
    ConnectionEvent, Dismissed, Expiry, Limits, Peer, Shared,
    activity::{Activity, Phase, Tracked, Watched},
};
use crate::http::upgrade::Afterwards;

/// Runs HTTP/2 streams among the listener's tasks, so that draining waits for them too.
#[derive(Clone)]
struct Tasks(TaskTracker);

/// Tells the handler that an opened connection is gone, however it ends.
struct Opened(Arc<Shared>);

/// Handshake, then requests until either side ends it.
pub(super) async fn drive(shared: Arc<Shared>, socket: TcpStream, remote_addr: SocketAddr) {
    // Watch events are small and must not wait for more bytes.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%remote_addr, %error, "cannot set TCP_NODELAY");
    }
    let handshake = tokio::time::timeout(shared.limits.handshake_timeout, shared.acceptor.accept(socket));
    let stream = tokio::select! {
        biased;
        () = shared.shutdown.cancelled() => return,
        finished = handshake => match finished {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return handshake_failed(&shared, remote_addr, &error),
            Err(elapsed) => return handshake_failed(&shared, remote_addr, &elapsed),
        },
    };
    shared.handler.observe(ConnectionEvent::Opened);
    let opened = Opened(shared);
    requests(&opened.0, stream, remote_addr).await;
}

fn handshake_failed(shared: &Shared, remote_addr: SocketAddr, error: &dyn std::fmt::Display) {
    tracing::debug!(%remote_addr, %error, "TLS handshake failed");
    shared.handler.observe(ConnectionEvent::HandshakeFailed);
}

async fn requests(shared: &Arc<Shared>, stream: TlsStream<TcpStream>, remote_addr: SocketAddr) {
    let (_, session) = stream.get_ref();
    let http2 = session.alpn_protocol() == Some(b"h2");
    let certificates = session.peer_certificates().unwrap_or_default();
    let peer = Arc::new(Peer {
        remote_addr,
        expires: certificates.first().and_then(Expiry::of),
        certificates: certificates.into(),
        drain: shared.shutdown.clone(),
        afterwards: Afterwards::default(),
    });
    let afterwards = peer.afterwards.clone();
    let activity = Activity::new();
    let service = service_fn({
        let (shared, activity) = (Arc::clone(shared), Arc::clone(&activity));
        move |request: Request<Incoming>| {
            let (shared, peer, running) = (Arc::clone(&shared), Arc::clone(&peer), activity.start());
            let activity = Arc::clone(&activity);
            async move {
                let mut response: Response<_> = shared.handler.handle(request, &peer).await;
                // HTTP/2 has a frame for it (Go's net/http does the same).
                if http2
                    && response
                        .headers_mut()
                        .remove(CONNECTION)
                        .is_some_and(|it| it == "close")
                {
                    activity.retire();
                }
                if http2 && response.extensions_mut().remove::<Dismissed>().is_some() {
                    activity.dismiss();
                }
                Ok::<_, Infallible>(response.map(|body| Tracked::new(body, running)))
            }
        }
    });

    let builder = builder(&shared.limits, Tasks(shared.tasks.clone()), http2);
    // HTTP/2 peers send frames that belong to no request, so only HTTP/1.1 bytes tell that one has begun.
    if http2 {
        let connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        watch_over(shared, connection, &activity, |it| it.graceful_shutdown()).await;
    } else {
        let stream = Watched::new(stream, Arc::clone(&activity));
        let connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        watch_over(shared, connection, &activity, |it| it.graceful_shutdown()).await;
        if let Some(task) = afterwards.take() {
            shared.abort.run_until_cancelled(task).await;
        }
    }
}

fn builder(limits: &Limits, tasks: Tasks, http2: bool) -> Builder<Tasks> {
    let builder = Builder::new(tasks);
    let mut builder = if http2 {
        builder.http2_only()
    } else {
        builder.http1_only()
    };
    let max_header_bytes = usize::try_from(limits.max_header_bytes).unwrap_or(usize::MAX);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(max_header_bytes)
        .max_headers(limits.max_headers);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(limits.max_header_bytes)
        .max_concurrent_streams(limits.max_concurrent_streams)
        .max_pending_accept_reset_streams(limits.max_pending_resets)
        .max_local_error_reset_streams(limits.max_faults)
        .max_frame_size(limits.max_frame_size)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_timeout);
    builder
}

/// Polls the connection to its end; `close` asks it to take no further request.
async fn watch_over<C, E>(
    shared: &Shared,
    mut connection: Pin<&mut C>,
    activity: &Activity,
    close: impl Fn(Pin<&mut C>),
) where
    C: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let limits = &shared.limits;
    let mut timer = pin!(sleep_until(Instant::now() + limits.idle_timeout));
    let mut closing: Option<Instant> = None;
    loop {
        let deadline = || {
            let phase = activity.phase();
            match (phase, closing) {
                (Phase::Idle { since }, Some(told)) => Some(since.max(told) + limits.close_grace),
                (Phase::Running, _) => activity.dismissed().map(|since| since + limits.write_timeout),
                _ => phase.deadline(limits),
            }
        };
        let overdue = std::future::poll_fn(|context| {
            if let Poll::Ready(result) = connection.as_mut().poll(context) {
                return Poll::Ready(Some(result));
            }
            ready!(poll_deadline(timer.as_mut(), context, &deadline, limits));
            Poll::Ready(None)
        });
        let overdue = tokio::select! {
            biased;
            () = shared.abort.cancelled() => return,
            () = shared.shutdown.cancelled(), if closing.is_none() => None,
            () = activity.retired(), if closing.is_none() => None,
            ended = overdue => Some(ended),
        };
        match overdue {
            Some(Some(result)) => {
                if let Err(error) = result {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            // Half a request, half an answer, or nothing in spite of having been told: cut.
            Some(None) if closing.is_some() || !matches!(activity.phase(), Phase::Idle { .. }) => return,
            // Idle for too long, or the server shuts down.
            Some(None) | None => {
                closing = Some(Instant::now());
                close(connection.as_mut());
            }
        }
    }
}

/// Ready once the deadline, which moves as requests come and go, has passed.
fn poll_deadline(
    mut timer: Pin<&mut Sleep>,
    context: &mut Context<'_>,
    deadline: &impl Fn() -> Option<Instant>,
    limits: &Limits,
) -> Poll<()> {
    loop {
        if let Some(deadline) = deadline()
            && timer.deadline() != deadline
        {
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(context));
        let now = Instant::now();
        if deadline().is_some_and(|deadline| deadline <= now) {
            return Poll::Ready(());
        }
        // A request is running; its end is noticed at the latest one timeout after it.
        timer.as_mut().reset(now + limits.idle_timeout);
    }
}

// === impl Tasks ===

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

// === impl Opened ===

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.handler.observe(ConnectionEvent::Closed);
    }
}
