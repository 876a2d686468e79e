//! Events are collected and delivered together, while requests go on (k8s.io/apiserver plugin/pkg/audit/buffered).
//!
//! The memory is bounded: so many events wait, so many deliveries run; what comes on top is lost and counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::backend::{BatchOptions, Delivery, deliver};
use crate::telemetry::metrics::audit::AuditMetrics;

/// Deliveries that run at the same time, at most. One that is told nothing takes minutes to give up.
const CONCURRENT: usize = 16;

pub(super) struct Batch {
    /// Gone when nothing more is taken.
    sender: Mutex<Option<mpsc::Sender<Bytes>>>,
    worker: Mutex<Option<JoinHandle<()>>>,
    metrics: AuditMetrics,
}

struct Worker {
    to: Arc<dyn Delivery>,
    options: BatchOptions,
    metrics: AuditMetrics,
    receiver: mpsc::Receiver<Bytes>,
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
            metrics,
        }
    }

    /// Takes an event, if there is room.
    pub(super) fn add(&self, event: Bytes) {
        let sender = self.sender.lock();
        let taken = sender.as_ref().is_some_and(|sender| sender.try_send(event).is_ok());
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
    async fn collect(&mut self) -> (Vec<Bytes>, bool) {
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

    async fn send(&mut self, batch: Vec<Bytes>) {
        if let Some(throttle) = &mut self.throttle {
            throttle.wait().await;
        }
        if !self.options.concurrent {
            deliver(&*self.to, &batch, &self.metrics).await;
            return;
        }
        while self.running.len() >= CONCURRENT {
            self.running.join_next().await;
        }
        while self.running.try_join_next().is_some() {}
        let (to, metrics) = (self.to.clone(), self.metrics.clone());
        self.running.spawn(async move {
            deliver(&*to, &batch, &metrics).await;
        });
    }
}

/// The batch in parts that are not too large; an event that is too large alone is a part of its own.
fn parts(batch: Vec<Bytes>, max_bytes: Option<usize>) -> Vec<Vec<Bytes>> {
    let mut all: Vec<Vec<Bytes>> = Vec::new();
    let mut size = 0;
    for event in batch {
        size += event.len();
        match all.last_mut() {
            Some(part) if max_bytes.is_none_or(|limit| size <= limit) => part.push(event),
            _ => {
                size = event.len();
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
    use super::*;

    #[test]
    fn a_batch_is_cut_by_bytes() {
        let events = |sizes: &[usize]| {
            sizes
                .iter()
                .map(|size| Bytes::from(vec![b'x'; *size]))
                .collect::<Vec<_>>()
        };
        let sizes = |max| {
            let cut = parts(events(&[4, 4, 4, 20, 1, 1]), max);
            cut.iter()
                .map(|part| part.iter().map(Bytes::len).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(None), [vec![4, 4, 4, 20, 1, 1]]);
        assert_eq!(sizes(Some(10)), [vec![4, 4], vec![4], vec![20], vec![1, 1]]);
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
