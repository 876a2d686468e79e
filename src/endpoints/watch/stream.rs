//! A running watch: what is left to replay, what is offered, and what the clock says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use tokio::time::{Instant, sleep_until};

use super::frames::{Frames, Kind};
use super::{Call, Owned};
use crate::visibility::Role;
use crate::watchcache::log::{Change, State};
use crate::watchcache::watchers::Offer;
use crate::watchcache::{Entry, Object, Revision, Subscription};
use crate::wire::options::ListOptions;
use crate::wire::status::Status;

/// Initial events are sent in pieces of about this many bytes.
const PIECE: usize = 64 << 10;
/// How often a bookmark is sent, give or take a quarter.
const BOOKMARK: Duration = Duration::from_secs(60);
/// How long before the end the last bookmark is sent.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where a watch begins.
pub(super) enum Start {
    /// With everything that exists for the caller.
    Initial(Vec<Arc<Object>>),
    /// After this revision, with what has happened since.
    Replay(Revision, VecDeque<Arc<Entry>>),
}

/// A running watch. Dropping it frees everything it held.
pub(super) struct Stream {
    own: Owned,
    options: ListOptions,
    frames: Frames,
    subscription: Subscription,
    initial: VecDeque<Arc<Object>>,
    /// Whether the end of the initial events has not been announced yet.
    announce: bool,
    replay: VecDeque<Arc<Entry>>,
    /// Everything up to here has been sent.
    seen: Revision,
    end: Instant,
    bookmark: Option<Instant>,
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
    ) -> Self {
        let now = Instant::now();
        let end = now + timeout;
        let (initial, replay, seen, announce) = match start {
            Start::Initial(objects) => (objects.into(), VecDeque::new(), subscription.start.revision, true),
            Start::Replay(revision, entries) => (VecDeque::new(), entries, revision, false),
        };
        let own = Owned {
            store: call.store.clone(),
            resource: call.resource.clone(),
            kind: call.kind,
            caller: Arc::new(call.caller.clone()),
            namespace: call.namespace.into(),
        };
        Self {
            own,
            // A watch of seconds needs no farewell: it has hardly begun.
            bookmark: (options.allow_watch_bookmarks && now + FAREWELL < end).then(|| next_bookmark(now, end)),
            options,
            frames,
            subscription,
            initial,
            announce,
            replay,
            seen,
            end,
            over: false,
        }
    }

    /// The next bytes to send; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        while !self.over {
            if let Some(piece) = self.initial_piece() {
                return Some(piece);
            }
            if let Some(entry) = self.replay.pop_front() {
                if let Some(bytes) = self.events(&entry) {
                    return Some(bytes);
                }
                continue;
            }
            let offer = tokio::select! {
                biased;
                offer = self.subscription.offers.recv() => offer,
                () = sleep_until(self.end) => return None,
                () = sleep_until(self.bookmark.unwrap_or(self.end)), if self.bookmark.is_some() => {
                    if let Some(bytes) = self.regular_bookmark() {
                        return Some(bytes);
                    }
                    continue;
                }
            };
            match offer {
                Some(Offer::Entry(entry)) => {
                    if let Some(bytes) = self.events(&entry) {
                        return Some(bytes);
                    }
                }
                Some(Offer::Gap) => {
                    self.over = true;
                    let status = Status::too_old(self.seen, self.subscription.start.revision.max(self.seen + 1));
                    return Some(self.frames.error(&status));
                }
                // Too slow: the stream ends, the client resumes from what it has.
                None => return None,
            }
        }
        None
    }

    /// Initial events, and the bookmark that ends them.
    fn initial_piece(&mut self) -> Option<Bytes> {
        if !self.announce {
            return None;
        }
        let mut out = Vec::new();
        while out.len() < PIECE
            && let Some(object) = self.initial.pop_front()
        {
            let role = self
                .own
                .store
                .role(&self.own.target(), &object, &self.subscription.start);
            self.frames.event(Kind::Added, &object, object.revision, role, &mut out);
        }
        if self.initial.is_empty() {
            self.announce = false;
            if self.options.allow_watch_bookmarks {
                self.frames.bookmark(self.seen, true, &mut out);
            }
        }
        (!out.is_empty()).then(|| out.into())
    }

    /// What a revision means to this watch.
    fn events(&mut self, entry: &Entry) -> Option<Bytes> {
        if entry.revision <= self.seen {
            return None;
        }
        self.seen = entry.revision;
        let mut out = Vec::new();
        let mut indirect = false;
        let kind = self.own.kind;
        for change in entry.changes.iter().filter(|change| change.kind == kind) {
            indirect |= self.event(change, entry.revision, &mut out);
        }
        // The ADDED carries the object's own, older revision; the bookmark in the same write says where the watch is (V5).
        if indirect && self.options.allow_watch_bookmarks {
            self.frames.bookmark(entry.revision, false, &mut out);
        }
        (!out.is_empty()).then(|| out.into())
    }

    /// The change of "visible and matches"; answers whether an object was sent that is older than the change.
    fn event(&mut self, change: &Change, revision: Revision, out: &mut Vec<u8>) -> bool {
        let before = change.before.as_ref().filter(|state| self.shows(state));
        let after = change.after.as_ref().filter(|state| self.shows(state));
        match (before, after) {
            (None, Some(state)) => {
                let role = self.role(state);
                self.frames
                    .event(Kind::Added, &state.object, state.object.revision, role, out);
                state.object.revision != revision
            }
            (Some(before), Some(state)) if !Arc::ptr_eq(&before.object, &state.object) => {
                let role = self.role(state);
                self.frames.event(Kind::Modified, &state.object, revision, role, out);
                false
            }
            (Some(state), None) => {
                let role = self.role(state);
                self.frames.event(Kind::Deleted, &state.object, revision, role, out);
                false
            }
            _ => false,
        }
    }

    /// Whether the object existed for the caller in this state, and matched.
    fn shows(&self, state: &State) -> bool {
        let target = self.own.target();
        (!target.filtered() || state.audience.contains(&self.own.caller.subjects))
            && self.own.store.matches(&target, &self.options, &state.object)
    }

    fn role(&self, state: &State) -> Option<Role> {
        let filtered = self.own.target().filtered();
        filtered
            .then(|| state.audience.role(&self.own.caller.subjects))
            .flatten()
    }

    /// The newest revision up to which nothing is waiting for this watch.
    fn regular_bookmark(&mut self) -> Option<Bytes> {
        self.bookmark = (Instant::now() + FAREWELL < self.end).then(|| next_bookmark(Instant::now(), self.end));
        // The revision is read before the queue: what is offered later is newer.
        let reached = self.own.store.cache().any().ok()?.revision;
        if !self.subscription.offers.is_empty() || reached < self.seen {
            return None;
        }
        self.seen = reached;
        let mut out = Vec::new();
        self.frames.bookmark(reached, false, &mut out);
        Some(out.into())
    }
}

/// In about a minute, and once more shortly before the end.
fn next_bookmark(now: Instant, end: Instant) -> Instant {
    let regular = now + BOOKMARK.mul_f64(rand::rng().random_range(0.75..1.25));
    let last = end.checked_sub(FAREWELL).unwrap_or(end).max(now);
    regular.min(last)
}
