//! An event on its way, which arrives also when nobody waits for it any more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::auditor::Auditor;
use super::event::Event;

/// Bytes of events that may be on their way without anybody who waits.
const ROOM: usize = 64 << 20;
/// What one takes of that beside its own bytes.
const EACH: usize = 1 << 10;

/// An event that all backends take, one after the other; whether each has it, or need not have it. Dropped before that, with the
/// request of a client that went away, it goes on by itself.
pub(super) struct Delivering {
    auditor: Arc<Auditor>,
    /// Nothing when done.
    work: Option<BoxFuture<'static, bool>>,
    size: usize,
}

/// Events that nobody waits for. The memory is bounded: what comes on top is lost and counted.
pub(super) struct Lingering {
    tasks: TaskTracker,
    room: Arc<Semaphore>,
}

impl Delivering {
    pub(super) fn new(auditor: &Arc<Auditor>, event: Event) -> Self {
        auditor.metrics.event();
        let json = Bytes::from(event.to_json());
        // The event holds again what its text does.
        let size = EACH + 2 * json.len();
        let to = auditor.clone();
        let work = async move {
            let mut recorded = true;
            for backend in &to.backends {
                recorded &= backend.record(&event, &json).await;
            }
            recorded
        };
        Self {
            auditor: auditor.clone(),
            work: Some(work.boxed()),
            size,
        }
    }
}

impl Future for Delivering {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let Some(work) = &mut self.work else {
            return Poll::Ready(true);
        };
        let recorded = ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(recorded)
    }
}

impl Drop for Delivering {
    fn drop(&mut self) {
        if let Some(work) = self.work.take()
            && !self.auditor.lingering.take(work, self.size)
        {
            self.auditor.metrics.failed("buffered", 1);
            tracing::debug!("too many audit events are on their way, one is lost");
        }
    }
}

impl Lingering {
    /// Goes on with `work`, if there is room.
    fn take(&self, work: BoxFuture<'static, bool>, size: usize) -> bool {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let (Ok(room), Ok(runtime)) = (self.room.clone().try_acquire_many_owned(size), Handle::try_current()) else {
            return false;
        };
        self.tasks.spawn_on(work.map(move |_| drop(room)), &runtime);
        true
    }

    /// Waits until nothing is on its way.
    pub(super) async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Default for Lingering {
    fn default() -> Self {
        Self {
            tasks: TaskTracker::new(),
            room: Arc::new(Semaphore::new(ROOM)),
        }
    }
}
