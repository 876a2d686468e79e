//! A running watch: what is left to replay, what is offered, and what the clock says.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::frames::{Frames, Kind};
use super::piece::Piece;
use super::{Call, Owned};
use crate::visibility::Role;
use crate::watchcache::encoded::Encoded;
use crate::watchcache::log::{Change, State};
use crate::watchcache::watchers::Offer;
use crate::watchcache::{Entry, Object, Revision, Subscription};
use crate::wire::options::ListOptions;
use crate::wire::status::Status;

/// Initial events are sent in pieces of about this many bytes.
const PIECE: usize = 64 << 10;
/// So many entries of the log are held at a time while it is played forward.
const REPLAY: usize = 256;
/// How often a bookmark is sent, give or take a quarter.
const BOOKMARK: Duration = Duration::from_secs(60);
/// How long before the end the last bookmark is sent.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where a watch begins.
pub(super) enum Start {
    /// With everything that exists for the caller at a revision, and the caller's roles if they are told.
    Initial(Vec<Arc<Object>>, Option<Vec<Option<Role>>>, Revision),
    /// After the first revision, with what the log has up to the second one, after which the offers begin.
    After(Revision, Revision),
}

/// What is to be sent before anything that is offered.
enum Before {
    Initial(std::vec::IntoIter<Arc<Object>>, std::vec::IntoIter<Option<Role>>),
    /// Entries up to a revision, of which the first ones have been taken from the log.
    Replay(VecDeque<Arc<Entry>>, Revision),
}

/// A running watch. It holds no snapshot: an idle one must not keep alive what has changed since it began. Dropping it
/// frees everything it held.
pub(super) struct Stream {
    own: Owned,
    options: ListOptions,
    frames: Frames,
    subscription: Subscription,
    before: Option<Box<Before>>,
    /// Everything up to here has been sent.
    seen: Revision,
    began: Instant,
    end: Instant,
    bookmark: Option<Instant>,
    /// Goes off at the end, or when a bookmark is due.
    timer: Pin<Box<Sleep>>,
    drain: Pin<Box<WaitForCancellationFutureOwned>>,
    over: bool,
}

impl Stream {
    pub(super) fn new(
        call: &Call<'_>,
        options: ListOptions,
        frames: Frames,
        subscription: Subscription,
        start: Start,
        timeout: Duration,
        drain: WaitForCancellationFutureOwned,
    ) -> Self {
        let now = Instant::now();
        let end = now + timeout;
        let (before, seen) = match start {
            Start::Initial(objects, roles, revision) => {
                let roles = roles.unwrap_or_default();
                (Before::Initial(objects.into_iter(), roles.into_iter()), revision)
            }
            Start::After(revision, offered) => (Before::Replay(VecDeque::new(), offered), revision),
        };
        // A watch of seconds needs no farewell: it has hardly begun.
        let bookmark = (options.allow_watch_bookmarks && now + FAREWELL < end).then(|| next_bookmark(now, end));
        Self {
            own: Owned::new(call, &subscription),
            bookmark,
            options,
            frames,
            subscription,
            before: Some(Box::new(before)),
            seen,
            began: now,
            end,
            timer: Box::pin(sleep_until(bookmark.unwrap_or(end))),
            drain: Box::pin(drain),
            over: false,
        }
    }

    /// What has to be sent before the offers; nothing when all of it has been. Others have their turn between two parts of
    /// a long history that says nothing to this caller.
    fn beginning(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let Some(before) = self.before.as_deref_mut() else {
                return Poll::Ready(None);
            };
            match before {
                Before::Initial(..) => {
                    if let Some(piece) = self.initial_piece() {
                        return Poll::Ready(Some(piece));
                    }
                }
                Before::Replay(entries, until) => {
                    if let Some(entry) = entries.pop_front() {
                        if let Some(bytes) = self.events(&entry, None) {
                            return Poll::Ready(Some(bytes));
                        }
                    } else if self.seen >= *until {
                        self.before = None;
                    } else if let Some(error) = self.refill() {
                        return Poll::Ready(Some(error));
                    } else {
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Takes the next entries from the log; an error event when they are gone.
    fn refill(&mut self) -> Option<Bytes> {
        let snapshot = self.subscription.published();
        let next = snapshot.log().since(self.seen);
        let (Some(next), Some(Before::Replay(entries, until))) = (next, self.before.as_deref_mut()) else {
            return Some(self.gap());
        };
        let until = *until;
        entries.extend(next.take_while(|entry| entry.revision <= until).take(REPLAY).cloned());
        if entries.is_empty() {
            self.before = None;
        }
        None
    }

    /// Initial events, and the bookmark that ends them.
    fn initial_piece(&mut self) -> Option<Bytes> {
        let Some(Before::Initial(objects, roles)) = self.before.as_deref_mut() else {
            return None;
        };
        let mut out = Vec::new();
        let waiting = objects.len();
        while out.len() < PIECE
            && let Some(object) = objects.next()
        {
            let role = roles.next().flatten();
            let before = out.len();
            self.frames.event(Kind::Added, &object, object.revision, role, &mut out);
            self.own.metrics.event(out.len() - before);
        }
        let left = objects.len();
        self.own.caller.notes.show(waiting - left);
        if left == 0 {
            self.before = None;
            if self.options.allow_watch_bookmarks {
                let before = out.len();
                self.frames.bookmark(&self.own, self.seen, true, &mut out);
                self.own.metrics.event(out.len() - before);
                self.own.listed(self.began.elapsed(), &self.options);
            }
        }
        (!out.is_empty()).then(|| out.into())
    }

    /// Ends the watch: what comes next is not known any more.
    fn gap(&mut self) -> Bytes {
        self.over = true;
        let oldest = self.subscription.published().log().floor();
        self.frames
            .error(&Status::too_old(self.seen, oldest.max(self.seen + 1)))
    }

    /// What a revision means to this watch; `encoded` holds what other watches have made of it already.
    fn events(&mut self, entry: &Entry, encoded: Option<&Encoded>) -> Option<Bytes> {
        if entry.revision <= self.seen {
            return None;
        }
        self.seen = entry.revision;
        let mut piece = Piece::default();
        let mut indirect = false;
        for (place, change) in entry.changes.iter().enumerate() {
            if change.kind != self.own.kind {
                continue;
            }
            let Some((kind, state)) = self.transition(change) else {
                continue;
            };
            let revision = match kind {
                Kind::Added => state.object.revision,
                _ => entry.revision,
            };
            indirect |= revision != entry.revision;
            self.tell(change, kind);
            let before = piece.len();
            self.own.caller.notes.show(1);
            match (encoded, self.frames.form()) {
                (Some(encoded), Some(form)) => {
                    let frames = &mut self.frames;
                    let bytes = encoded.get(place, kind.as_str(), form, || {
                        let mut out = Vec::with_capacity(state.object.size() + 128);
                        frames.event(kind, &state.object, revision, None, &mut out);
                        out
                    });
                    piece.push(bytes);
                }
                _ => {
                    let role = self.role(state);
                    self.frames.event(kind, &state.object, revision, role, piece.to_mut());
                }
            }
            self.own.metrics.event(piece.len() - before);
        }
        // The ADDED carries the object's own, older revision; the bookmark in the same write says where the watch is (V5).
        if indirect && self.options.allow_watch_bookmarks {
            let before = piece.len();
            self.frames.bookmark(&self.own, entry.revision, false, piece.to_mut());
            self.own.metrics.event(piece.len() - before);
        }
        piece.finish()
    }

    /// Counts events for which the object itself did nothing.
    fn tell(&self, change: &Change, kind: Kind) {
        if !change.is_of_object() {
            match kind {
                Kind::Added => self.own.seen().gained.add(1),
                Kind::Deleted => self.own.seen().lost.add(1),
                Kind::Modified => {}
            }
        }
    }

    /// The change of "visible and matches", and the state that is told: the last one that was seen when an object goes.
    fn transition<'a>(&self, change: &'a Change) -> Option<(Kind, &'a State)> {
        let before = change.before.as_ref().filter(|state| self.shows(state));
        let after = change.after.as_ref().filter(|state| self.shows(state));
        match (before, after) {
            (None, Some(state)) => Some((Kind::Added, state)),
            (Some(before), Some(state)) if !Arc::ptr_eq(&before.object, &state.object) => Some((Kind::Modified, state)),
            (Some(state), None) => Some((Kind::Deleted, state)),
            _ => None,
        }
    }

    /// Whether the object existed for the caller in this state, and matched.
    fn shows(&self, state: &State) -> bool {
        let target = self.own.target();
        (!target.filtered() || state.audience.contains(&self.own.caller.subjects))
            && self.own.store.matches(&target, &self.options, &state.object)
    }

    /// The caller's role, which is a cell of tables alone.
    fn role(&self, state: &State) -> Option<Role> {
        let told = self.frames.form().is_none() && self.own.target().filtered();
        told.then(|| state.audience.role(&self.own.caller.subjects)).flatten()
    }

    /// The newest revision up to which nothing is waiting for this watch.
    fn regular_bookmark(&mut self) -> Option<Bytes> {
        self.bookmark = (Instant::now() + FAREWELL < self.end).then(|| next_bookmark(Instant::now(), self.end));
        // The revision is read before the queue: what is offered later is newer.
        let reached = self.own.store.cache().any().ok()?.revision;
        if !self.subscription.is_empty() || reached < self.seen {
            return None;
        }
        self.seen = reached;
        let mut out = Vec::new();
        self.frames.bookmark(&self.own, reached, false, &mut out);
        self.own.metrics.event(out.len());
        Some(out.into())
    }
}

impl futures::Stream for Stream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let own = &mut *self;
        // Also where there is always something to send.
        own.over |= own.drain.as_mut().poll(context).is_ready() || Instant::now() >= own.end;
        if own.over {
            return Poll::Ready(None);
        }
        if let Some(bytes) = ready!(own.beginning(context)) {
            return Poll::Ready(Some(bytes));
        }
        loop {
            let bytes = match own.subscription.poll_next(context) {
                Poll::Ready(Some(Offer::Entry(offered))) => own.events(&offered.entry, Some(&offered.encoded)),
                Poll::Ready(Some(Offer::Gap)) => Some(own.gap()),
                // Too slow: the stream ends, the client resumes from what it has.
                Poll::Ready(None) => {
                    own.over = true;
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    ready!(own.timer.as_mut().poll(context));
                    if Instant::now() >= own.end {
                        own.over = true;
                        return Poll::Ready(None);
                    }
                    let bytes = own.regular_bookmark();
                    own.timer.as_mut().reset(own.bookmark.unwrap_or(own.end));
                    bytes
                }
            };
            if bytes.is_some() {
                return Poll::Ready(bytes);
            }
        }
    }
}

/// In about a minute, and once more shortly before the end.
fn next_bookmark(now: Instant, end: Instant) -> Instant {
    let regular = now + BOOKMARK.mul_f64(rand::rng().random_range(0.75..1.25));
    let last = end.checked_sub(FAREWELL).unwrap_or(end).max(now);
    regular.min(last)
}
