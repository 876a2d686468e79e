//! How much a caller may have of the server at once: seats for requests, fair between callers, and watches.
//!
//! k8s.io/apiserver pkg/server/filters/maxinflight.go with the fairness of [`crate::flowcontrol`]: a caller is a flow.

mod outbox;
mod outgoing;
#[cfg(test)]
mod tests;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::Instant;

use self::outbox::{Name, Outbox};
use self::watches::{Watch, Watches};
use super::body::Body;
use super::listener::Peer;
use super::request_info::RequestInfo;
use super::respond;
use crate::flowcontrol::{Pool, Refused, Seat};
use crate::telemetry::metrics::Metrics;
use crate::wire::user::{GROUP_MASTERS, UserInfo};

/// Go's words (k8s.io/apiserver pkg/server/filters/maxinflight.go).
const TOO_MANY: &str = "Too many requests, please try again later.\n";
/// Ours: the caller has to read, waiting alone does not help.
const UNREAD: &str = "Too many answers wait to be read, please read some first.\n";
/// Nobody waits longer for a seat.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// What flags allow. The defaults are those of k8s.io/apiserver pkg/server/config.go where it has the flag.
#[derive(Clone, Debug, PartialEq)]
pub struct Allowance {
    /// Requests that read, at once; no bound when 0.
    pub reading: usize,
    /// Requests that write, at once; no bound when 0.
    pub mutating: usize,
    /// Watches of one caller; no bound when 0.
    pub watches_per_user: usize,
    /// Bytes of answers that wait for their callers to read them, those of one caller half; no bound when 0.
    pub unsent_bytes: usize,
    /// How long a request that is no watch may take, waiting and sending included.
    pub request_timeout: Duration,
    /// How long a watch lasts at least when its client does not say.
    pub min_request_timeout: Duration,
    /// How probably an HTTP/2 request has its connection closed, so that clients spread over replicas.
    pub goaway_chance: f64,
}

/// Holds callers to an [`Allowance`].
pub struct Limits {
    allowance: Allowance,
    reading: Option<Arc<Pool>>,
    mutating: Option<Arc<Pool>>,
    watches: Watches,
    outbox: Arc<Outbox>,
    metrics: Arc<Metrics>,
}

/// Leave to answer a request. Dropped with it, wherever it ends. The default takes nothing.
#[derive(Default)]
pub(super) struct Admitted {
    /// Who answers for what is not read; nobody for those who are never held up.
    caller: Option<Name>,
    reads: bool,
    seat: Option<Seat>,
    watch: Option<Watch>,
    deadline: Option<Instant>,
}

// === impl Allowance ===

impl Default for Allowance {
    fn default() -> Self {
        Self {
            reading: 400,
            mutating: 200,
            watches_per_user: 1_000,
            unsent_bytes: 256 << 20,
            request_timeout: Duration::from_secs(60),
            min_request_timeout: Duration::from_secs(1800),
            goaway_chance: 0.0,
        }
    }
}

// === impl Limits ===

impl Limits {
    /// Nothing is taken yet.
    pub fn new(allowance: Allowance, metrics: Arc<Metrics>) -> Self {
        let pool = |seats, kind| (seats > 0).then(|| Pool::new(seats, metrics.flow(kind)));
        Self {
            reading: pool(allowance.reading, "readOnly"),
            mutating: pool(allowance.mutating, "mutating"),
            watches: Watches::new(allowance.watches_per_user),
            outbox: Outbox::new(allowance.unsent_bytes),
            metrics,
            allowance,
        }
    }

    /// The longest a request that is no watch may take.
    pub fn request_timeout(&self) -> Duration {
        self.allowance.request_timeout
    }

    /// Waits until it is the request's turn. `deadline` is when it has to be answered.
    ///
    /// # Errors
    /// The answer of a request whose turn does not come.
    pub(super) async fn admit(
        &self,
        user: &UserInfo,
        info: &RequestInfo,
        deadline: Option<Instant>,
    ) -> Result<Admitted, Response<Body>> {
        let mut admitted = Admitted {
            reads: reads(&info.verb),
            deadline,
            ..Admitted::default()
        };
        if exempt(user, info) {
            self.metrics.exempt();
            return Ok(admitted);
        }
        let caller = self.outbox.name(&user.name);
        if !self.outbox.has_room(caller) {
            return Err(self.unread());
        }
        admitted.caller = Some(caller);
        if info.is_long_running() {
            admitted.watch = Some(self.watches.begin(&user.name).map_err(|limit| {
                self.metrics.watch_refused();
                let text = format!(
                    "Too many watches: {:?} has {limit} already, end some first.\n",
                    user.name
                );
                too_many(text)
            })?);
        }
        admitted.seat = self.seat(user, info, deadline).await?;
        Ok(admitted)
    }

    /// As [`Limits::admit`], for what has to be asked before it is known as whom a request comes: a seat alone.
    pub(super) async fn admit_requestor(
        &self,
        user: &UserInfo,
        info: &RequestInfo,
        deadline: Option<Instant>,
    ) -> Result<Admitted, Response<Body>> {
        let mut admitted = Admitted::default();
        if !exempt(user, info) {
            admitted.seat = self.seat(user, info, deadline).await?;
        }
        Ok(admitted)
    }

    async fn seat(
        &self,
        user: &UserInfo,
        info: &RequestInfo,
        deadline: Option<Instant>,
    ) -> Result<Option<Seat>, Response<Body>> {
        let pool = if reads(&info.verb) {
            &self.reading
        } else {
            &self.mutating
        };
        let Some(pool) = pool else { return Ok(None) };
        let seat = pool.enter(user.name.as_str(), patience(deadline)).await;
        seat.map(Some).map_err(|Refused| too_many(TOO_MANY))
    }

    /// Keeps what the answer goes on using: a running watch its place, a large answer its seat until it is sent, and the
    /// caller their share of what is not read. A read is refused for which there is no room; a write has happened.
    pub(super) fn answered(&self, admitted: Admitted, response: Response<Body>, peer: &Peer) -> Response<Body> {
        let Some(watch) = admitted.watch else {
            let size = response.body().size_hint().exact().unwrap_or_default();
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let unsent = match admitted.caller {
                Some(caller) if admitted.reads => match self.outbox.try_put(caller, size) {
                    None => return self.unread(),
                    unsent => unsent,
                },
                Some(caller) => Some(self.outbox.put(caller, size)),
                None => None,
            };
            return outgoing::hold(response, admitted.seat, unsent, admitted.deadline);
        };
        // A watch that runs needs no seat any more.
        drop(admitted.seat);
        match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => {
                peer.afterwards.keep(watch);
                response
            }
            StatusCode::OK => response.map(|body| {
                let kept = body.map_frame(move |frame| {
                    let _ = &watch;
                    frame
                });
                kept.boxed_unsync()
            }),
            _ => response,
        }
    }

    fn unread(&self) -> Response<Body> {
        self.metrics.unread_refused();
        too_many(UNREAD)
    }

    /// Has the connection of an HTTP/2 request closed now and then, once its requests are done
    /// (k8s.io/apiserver pkg/server/filters/goaway.go).
    pub(super) fn sample_goaway(&self, version: Version, response: &mut Response<Body>) {
        let chance = self.allowance.goaway_chance;
        if chance > 0.0 && version == Version::HTTP_2 && rand::random::<f64>() < chance {
            // The listener makes a GOAWAY of it, as Go's does.
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits")
            .field("allowance", &self.allowance)
            .finish_non_exhaustive()
    }
}

fn exempt(user: &UserInfo, info: &RequestInfo) -> bool {
    let first = || info.path.split('/').nth(1).unwrap_or_default();
    user.in_group(GROUP_MASTERS) || (!info.is_resource && matches!(first(), "healthz" | "livez" | "readyz"))
}

/// k8s.io/apiserver pkg/server/filters/maxinflight.go nonMutatingRequestVerbs.
fn reads(verb: &str) -> bool {
    matches!(verb, "get" | "list" | "watch")
}

/// A quarter of what is left, so that there is time to answer once the turn has come.
fn patience(deadline: Option<Instant>) -> Duration {
    let left = deadline.map_or(LONGEST_WAIT, |deadline| {
        deadline.saturating_duration_since(Instant::now()) / 4
    });
    left.min(LONGEST_WAIT)
}

fn too_many(text: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = respond::bytes(StatusCode::TOO_MANY_REQUESTS, respond::TEXT, text);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
