//! Counts one request, whenever and however it ends.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::body::Body;
use super::labels::Labels;
use super::listener::Peer;
use crate::telemetry::metrics::{Metrics, Present};

/// Marks an answer as one that no route gave: what was asked for does not exist or has no such method, and is not counted,
/// as in Go.
#[derive(Clone, Copy, Debug)]
pub struct Unrouted;

/// A request that is to be counted. Dropped before it is answered, its client has gone away.
pub(super) struct Counting {
    metrics: Arc<Metrics>,
    labels: Labels,
    started: Instant,
    in_flight: Option<Present>,
    answered: bool,
}

/// A watch that goes on; counted when it ends.
struct Ongoing {
    counting: Counting,
    code: StatusCode,
    bytes: u64,
    _present: Present,
}

impl Counting {
    pub(super) fn begin(metrics: Arc<Metrics>, labels: Labels, started: Instant) -> Self {
        let in_flight = (!labels.long_running()).then(|| metrics.in_flight(labels.kind()));
        Self {
            metrics,
            labels,
            started,
            in_flight,
            answered: false,
        }
    }

    /// The server ends the request in self-defence.
    pub(super) fn terminated(&self, code: StatusCode) {
        self.metrics.terminated(&self.labels.get(), code);
    }

    /// Counts the answer; `countable` unless its sender was unknown or may not ask. So much of its time was spent `elsewhere`. A watch
    /// is counted when its body ends.
    pub(super) fn answered(
        mut self,
        response: Response<Body>,
        countable: bool,
        elsewhere: Duration,
        peer: &Peer,
    ) -> Response<Body> {
        self.answered = true;
        let code = response.status();
        if !countable || !self.labels.counted() || response.extensions().get::<Unrouted>().is_some() {
            return response;
        }
        let goes_on = self.labels.long_running() && matches!(code.as_u16(), 101 | 200);
        if !goes_on {
            let bytes = http_body::Body::size_hint(response.body()).exact();
            self.count(code, elsewhere, bytes);
            return response;
        }
        let mut ongoing = Ongoing {
            _present: self.metrics.long_running(&self.labels.running()),
            counting: self,
            code,
            bytes: 0,
        };
        if code == StatusCode::SWITCHING_PROTOCOLS {
            peer.afterwards.keep(ongoing);
            return response;
        }
        response.map(|body| {
            let counted = body.map_frame(move |frame| {
                // The whole of it, which is counted when the body goes.
                let ongoing = &mut ongoing;
                ongoing.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                frame
            });
            counted.boxed_unsync()
        })
    }

    fn count(&self, code: StatusCode, elsewhere: Duration, bytes: Option<u64>) {
        let elapsed = self.started.elapsed();
        self.metrics
            .request(&self.labels.get(), code, elapsed, elsewhere, bytes);
        self.metrics.field_validation(self.labels.field_validation(), elapsed);
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        drop(self.in_flight.take());
        if self.answered {
            return;
        }
        // Not its client went away, its handler did; what is answered is made further out.
        if std::thread::panicking() {
            self.count(StatusCode::INTERNAL_SERVER_ERROR, Duration::ZERO, None);
        } else {
            self.metrics.aborted(&self.labels.get());
        }
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        self.counting.count(self.code, Duration::ZERO, Some(self.bytes));
    }
}
