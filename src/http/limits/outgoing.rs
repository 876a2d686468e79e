//! Answers to clients that read slowly.
//!
//! A large answer keeps its seat until it is sent, and is handed to the connection in pieces. What has not been taken when the
//! request's time is over is given up: its memory and its seat at once, its stream as soon as the client reads on. What the
//! connection was handed and cannot send is counted as the caller's, whatever becomes of the rest.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::Response;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::outbox::Unsent;
use crate::flowcontrol::Seat;
use crate::http::body::{Body, BoxError};

/// An answer up to this size needs no seat until it is sent, and is not given up, in bytes.
const SMALL: u64 = 4 << 10;
/// The connection is handed so much at a time, in bytes.
const PIECE: usize = 64 << 10;

/// What is left of an answer; nothing once it is sent or given up.
type Rest = Arc<Mutex<Option<Sending>>>;

struct Sending {
    body: Body,
    /// Of the frame that is being sent.
    left: Bytes,
    /// Whether pieces are copied: else each would keep the whole in memory.
    copied: bool,
    unsent: Option<Arc<Unsent>>,
    _seat: Option<Seat>,
}

struct Outgoing {
    rest: Rest,
    /// Counts the stream for as long as it is there.
    _unsent: Option<Arc<Unsent>>,
    /// Tells the timer that there is nothing to wait for.
    _present: Option<oneshot::Sender<()>>,
}

/// Has the answer keep `seat` until it is sent, at most until `deadline`, and `unsent` as long as anything of it is there.
pub(super) fn hold(
    response: Response<Body>,
    seat: Option<Seat>,
    unsent: Option<Arc<Unsent>>,
    deadline: Option<Instant>,
) -> Response<Body> {
    let small = response.body().size_hint().upper().is_some_and(|size| size <= SMALL);
    let deadline = deadline.filter(|_| !small);
    if deadline.is_none() && unsent.is_none() {
        return response;
    }
    response.map(|body| {
        let sending = Sending {
            body,
            left: Bytes::new(),
            copied: false,
            unsent: unsent.clone(),
            _seat: seat.filter(|_| !small),
        };
        let rest = Arc::new(Mutex::new(Some(sending)));
        let outgoing = Outgoing {
            _present: deadline.map(|deadline| give_up_at(deadline, rest.clone(), unsent.clone())),
            _unsent: unsent,
            rest,
        };
        outgoing.boxed_unsync()
    })
}

/// Unless what is returned is dropped before.
fn give_up_at(deadline: Instant, rest: Rest, unsent: Option<Arc<Unsent>>) -> oneshot::Sender<()> {
    let (present, gone) = oneshot::channel();
    let timer = tokio::time::timeout_at(deadline, gone);
    tokio::spawn(async move {
        if timer.await.is_err() && rest.lock().take().is_some() {
            tracing::debug!("an answer was not read in time");
            if let Some(unsent) = unsent {
                unsent.shrink(PIECE);
            }
        }
    });
    present
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        // Not only when the timer has noticed.
        drop(self.rest.lock().take());
    }
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut rest = self.rest.lock();
        let Some(sending) = rest.as_mut() else {
            return Poll::Ready(Some(Err("the answer was not read in time".into())));
        };
        if sending.left.is_empty() {
            let frame = std::task::ready!(Pin::new(&mut sending.body).poll_frame(context));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    sending.copied = data.len() > PIECE;
                    sending.left = data;
                }
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let piece = sending.piece();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        let rest = self.rest.lock();
        rest.as_ref()
            .is_some_and(|sending| sending.left.is_empty() && sending.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.lock();
        let Some(sending) = rest.as_ref() else {
            return SizeHint::default();
        };
        let left = sending.left.len() as u64;
        let mut hint = sending.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + left);
        }
        hint.set_lower(hint.lower() + left);
        hint
    }
}

// === impl Sending ===

impl Sending {
    fn piece(&mut self) -> Bytes {
        let size = self.left.len().min(PIECE);
        let piece = match self.copied {
            true => {
                let copy = Bytes::copy_from_slice(&self.left[..size]);
                self.left.advance(size);
                copy
            }
            false => self.left.split_to(size),
        };
        match &self.unsent {
            Some(unsent) => unsent.counting(piece),
            None => piece,
        }
    }
}
