//! Requests by many clients at once, and how long each took.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::machine::Watched;

/// One round of one work on one server.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Half of the requests took at most this long.
    pub(crate) p50: Duration,
    /// 99 of 100 did.
    pub(crate) p99: Duration,
    /// Processor time of the server for one request.
    pub(crate) processor: Duration,
    /// Requests made.
    pub(crate) count: usize,
}

/// When a round ends.
#[derive(Clone, Debug)]
pub(crate) enum Until {
    /// These numbers were asked for, each once.
    Done(Range<usize>),
    /// This much time has passed.
    Elapsed(Duration),
}

/// Gives out the numbers of requests until there are no more.
struct Turns {
    next: AtomicUsize,
    end: usize,
    deadline: Option<Instant>,
}

impl Turns {
    fn next(&self) -> Option<usize> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.end).then_some(number)
    }
}

/// What a client does again and again.
pub(crate) trait Work<C>: Send + Sync + 'static {
    /// Does it once; every number comes once, and an answer that is not right is a panic.
    fn once(&self, client: &mut C, number: usize) -> impl Future<Output = ()> + Send;
}

/// Has each of `clients` do `work`, as a task of its own, with one number after the other.
pub(crate) async fn run<C: Send + 'static, W: Work<C>>(
    clients: &mut Vec<C>,
    until: Until,
    server: Watched,
    work: &Arc<W>,
) -> Sample {
    let started = Instant::now();
    let turns = Arc::new(match until {
        Until::Done(numbers) => Turns {
            next: AtomicUsize::new(numbers.start),
            end: numbers.end,
            deadline: None,
        },
        Until::Elapsed(time) => Turns {
            next: AtomicUsize::new(0),
            end: usize::MAX,
            deadline: Some(started + time),
        },
    });
    let before = server.used();
    let tasks = clients.drain(..).map(|mut client| {
        let (turns, work) = (turns.clone(), work.clone());
        tokio::spawn(async move {
            let mut took = Vec::new();
            while let Some(number) = turns.next() {
                let asked = Instant::now();
                work.once(&mut client, number).await;
                took.push(asked.elapsed());
            }
            (client, took)
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut took = Vec::new();
    for task in tasks {
        let (client, own) = task.await.expect("every answer is right");
        clients.push(client);
        took.extend(own);
    }
    let elapsed = started.elapsed();
    let processor = server.since(&before);
    took.sort_unstable();
    let count = took.len().max(1);
    Sample {
        rate: took.len() as f64 / elapsed.as_secs_f64(),
        p50: at(&took, 50),
        p99: at(&took, 99),
        processor: processor / u32::try_from(count).unwrap_or(u32::MAX),
        count: took.len(),
    }
}

/// So many percent of these times, which are sorted, are at most this long.
pub(crate) fn at(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or_default()
}
