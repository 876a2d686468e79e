//! Events are collected and delivered together, while requests go on (k8s.io/apiserver plugin/pkg/audit/buffered).
//!
//! The memory is bounded: so many events and so many bytes of them wait or are on their way; what comes on top is lost and counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::backend::{BatchOptions, Delivery, deliver};
use crate::telemetry::metrics::audit::AuditMetrics;

/// Deliveries that run at the same time, at most. One that is told nothing takes minutes to give up.
const CONCURRENT: usize = 16;
/// Bytes of events that wait or are on their way, at most: a few objects of the largest size, or some ten thousand facts.
const ROOM: usize = 64 << 20;

pub(super) struct Batch {
    /// Gone when nothing more is taken.
    sender: Mutex<Option<mpsc::Sender<Waiting>>>,
    worker: Mutex<Option<JoinHandle<()>>>,
    room: Arc<Semaphore>,
    metrics: AuditMetrics,
}

/// An event, and what it takes of the room until it is delivered.
struct Waiting {
    json: Bytes,
    room: OwnedSemaphorePermit,
}

struct Worker {
    to: Arc<dyn Delivery>,
    options: BatchOptions,
    metrics: AuditMetrics,
    receiver: mpsc::Receiver<Waiting>,
    throttle: Option<Throttle>,
    running: JoinSet<()>,
}

/// So many a second, and a few more after a rest.
struct Throttle {
    each: Duration,
    rest: Duration,
    /// When all that was granted would have been, one after the other.
    next: Instant,
}

impl Batch {
    /// Starts what delivers.
    pub(super) fn start(to: Arc<dyn Delivery>, options: BatchOptions, metrics: AuditMetrics) -> Self {
        let (sender, receiver) = mpsc::channel(options.buffer.max(1));
        let worker = Worker {
            throttle: options.throttle.map(|(rate, burst)| Throttle::new(rate, burst)),
            to,
            options,
            metrics: metrics.clone(),
            receiver,
            running: JoinSet::new(),
        };
        Self {
            sender: Mutex::new(Some(sender)),
            worker: Mutex::new(Some(tokio::spawn(worker.run()))),
            room: Arc::new(Semaphore::new(ROOM)),
            metrics,
        }
    }

    /// Takes an event, if there is room.
    pub(super) fn add(&self, event: Bytes) {
        let size = u32::try_from(event.len()).unwrap_or(u32::MAX);
        let room = self.room.clone().try_acquire_many_owned(size).ok();
        let waiting = room.map(|room| Waiting { json: event, room });
        let sender = self.sender.lock();
        let taken = sender.as_ref().zip(waiting);
        let taken = taken.is_some_and(|(sender, waiting)| sender.try_send(waiting).is_ok());
        drop(sender);
        if !taken {
            self.metrics.failed("buffered", 1);
            tracing::debug!("the buffer of audit events is full, one is lost");
        }
    }

    /// Takes nothing more, and waits until what was taken is delivered.
    pub(super) async fn finish(&self) {
        self.sender.lock().take();
        let worker = self.worker.lock().take();
        if let Some(worker) = worker
            && let Err(error) = worker.await
        {
            tracing::error!(%error, "audit events are lost");
        }
    }
}

impl Worker {
    async fn run(mut self) {
        loop {
            let (batch, more) = self.collect().await;
            for part in parts(batch, self.options.max_bytes) {
                self.send(part).await;
            }
            if !more {
                break;
            }
        }
        while self.running.join_next().await.is_some() {}
    }

    /// The next events, and whether more may follow.
    async fn collect(&mut self) -> (Vec<Waiting>, bool) {
        let mut batch = Vec::new();
        let Some(first) = self.receiver.recv().await else {
            return (batch, false);
        };
        batch.push(first);
        let end = Instant::now() + self.options.max_wait;
        while batch.len() < self.options.max_size {
            match timeout_at(end, self.receiver.recv()).await {
                Ok(Some(event)) => batch.push(event),
                Ok(None) => return (batch, false),
                Err(_) => break,
            }
        }
        (batch, true)
    }

    async fn send(&mut self, batch: Vec<Waiting>) {
        let (events, room): (Vec<Bytes>, Vec<_>) = batch.into_iter().map(|one| (one.json, one.room)).unzip();
        if let Some(throttle) = &mut self.throttle {
            throttle.wait().await;
        }
        if !self.options.concurrent {
            deliver(&*self.to, &events, &self.metrics).await;
            return;
        }
        while self.running.len() >= CONCURRENT {
            self.running.join_next().await;
        }
        while self.running.try_join_next().is_some() {}
        let (to, metrics) = (self.to.clone(), self.metrics.clone());
        self.running.spawn(async move {
            deliver(&*to, &events, &metrics).await;
            drop(room);
        });
    }
}

/// The batch in parts that are not too large; an event that is too large alone is a part of its own.
fn parts(batch: Vec<Waiting>, max_bytes: Option<usize>) -> Vec<Vec<Waiting>> {
    let mut all: Vec<Vec<Waiting>> = Vec::new();
    let mut size = 0;
    for event in batch {
        size += event.json.len();
        match all.last_mut() {
            Some(part) if max_bytes.is_none_or(|limit| size <= limit) => part.push(event),
            _ => {
                size = event.json.len();
                all.push(vec![event]);
            }
        }
    }
    all
}

impl Throttle {
    fn new(rate: f64, burst: u32) -> Self {
        let each = Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::ZERO);
        Self {
            each,
            rest: each * burst.saturating_sub(1),
            next: Instant::now(),
        }
    }

    async fn wait(&mut self) {
        let now = Instant::now();
        let granted = self.next.max(now);
        self.next = granted + self.each;
        if let Some(at) = granted.checked_sub(self.rest)
            && at > now
        {
            sleep_until(at).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::super::backend::Failure;
    use super::*;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn a_batch_is_cut_by_bytes() {
        let room = Arc::new(Semaphore::new(100));
        let event = |size: usize| Waiting {
            json: Bytes::from(vec![b'x'; size]),
            room: room.clone().try_acquire_owned().expect("there is room"),
        };
        let sizes = |max| {
            let cut = parts([4, 4, 4, 20, 1, 1].map(event).into(), max);
            cut.iter()
                .map(|part| part.iter().map(|one| one.json.len()).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(None), [vec![4, 4, 4, 20, 1, 1]]);
        assert_eq!(sizes(Some(10)), [vec![4, 4], vec![4], vec![20], vec![1, 1]]);
    }

    /// Counts the events that it is given, once it may.
    struct Counted {
        events: AtomicUsize,
        may: Semaphore,
    }

    #[async_trait]
    impl Delivery for Counted {
        fn name(&self) -> &'static str {
            "webhook"
        }

        async fn deliver(&self, events: &[Bytes]) -> Result<(), Failure> {
            let _may = self.may.acquire().await.expect("never closed");
            self.events.fetch_add(events.len(), Ordering::Relaxed);
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_waits_or_is_on_its_way_is_bounded_in_bytes() {
        let to = Arc::new(Counted {
            events: AtomicUsize::new(0),
            may: Semaphore::new(0),
        });
        let options = BatchOptions {
            buffer: 1000,
            max_size: 1,
            max_wait: Duration::ZERO,
            throttle: None,
            concurrent: true,
            max_bytes: None,
        };
        let metrics = Metrics::new();
        let batch = Batch::start(to.clone(), options, metrics.audit().clone());
        let large = Bytes::from(vec![b'x'; ROOM / 8]);
        let lost = |count: usize| {
            let line = format!("apiserver_audit_error_total{{plugin=\"buffered\"}} {count}");
            String::from_utf8(metrics.render()).is_ok_and(|text| text.lines().any(|own| own == line))
        };
        for _ in 0..8 {
            batch.add(large.clone());
            // What is being delivered takes room as well.
            tokio::task::yield_now().await;
        }
        batch.add(large.clone());
        batch.add(Bytes::from_static(b"{}"));
        assert!(lost(2));
        to.may.add_permits(1);
        while to.events.load(Ordering::Relaxed) < 8 {
            tokio::task::yield_now().await;
        }
        while batch.room.available_permits() < ROOM {
            tokio::task::yield_now().await;
        }
        batch.add(large);
        batch.finish().await;
        assert_eq!(to.events.load(Ordering::Relaxed), 9, "there is room again");
        assert!(lost(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_lets_a_few_pass_at_once_and_then_so_many_a_second() {
        let started = Instant::now();
        let mut throttle = Throttle::new(10.0, 3);
        let mut at = Vec::new();
        for _ in 0..6 {
            throttle.wait().await;
            at.push(started.elapsed().as_millis());
        }
        assert!(at[..3].iter().all(|at| *at <= 1), "{at:?}");
        assert!((100..=102).contains(&at[3]) && (200..=203).contains(&at[4]), "{at:?}");
        tokio::time::sleep(Duration::from_secs(10)).await;
        let started = Instant::now();
        for _ in 0..3 {
            throttle.wait().await;
        }
        assert!(started.elapsed() <= Duration::from_millis(1), "rested");
    }
}
