//! The one writer: a thread that carries out requests in rounds, one durable commit a round.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use redb::{Database, Table, WriteTransaction};
use tokio::sync::oneshot;

use super::Shared;
use super::tables::{self, COMPACTED, LOG, META, REVISION, Standing, TIMES, VERSIONS, failed};
use super::trim::{self, Retention};
use crate::storage::{Batch, Error, Op, Revision, check, feed};

/// Requests that share one commit.
const ROUND: usize = 256;
/// Batches, and bytes of them, that are kept in memory for watches.
const RECENT: usize = 4_096;
const RECENT_BYTES: usize = 32 << 20;

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Request {
    Commit {
        ops: Vec<Op>,
        reply: oneshot::Sender<Result<Revision, Error>>,
    },
    Compact {
        revision: Revision,
        reply: oneshot::Sender<Result<(), Error>>,
    },
}

/// What a request will be answered once the round is durable.
type Answer = Box<dyn FnOnce(Result<(), Error>)>;

pub(super) struct Writer {
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    standing: Standing,
    retention: Retention,
    /// Whether compacted history may be left in the file.
    trimming: bool,
}

/// One round's changes; they count once they are durable.
struct Round {
    standing: Standing,
    batches: Vec<Arc<Batch>>,
    /// Whether anything was written, if only a number.
    dirty: bool,
    trimming: bool,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        requests: Receiver<Request>,
        standing: Standing,
        retention: Option<Duration>,
    ) -> Self {
        Self {
            shared,
            requests,
            standing,
            retention: Retention::new(retention),
            trimming: true,
        }
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self) {
        while let Some(requests) = self.wait() {
            let (answers, result) = self.round(requests);
            if let Err(error) = &result {
                tracing::error!(%error, "the embedded storage could not commit");
                // Nothing is gained by failing again at once.
                self.trimming = false;
            }
            for answer in answers {
                answer(result.clone());
            }
        }
    }

    /// The next round's requests; none when it is time to look after the history; `None` at the end.
    fn wait(&self) -> Option<Vec<Request>> {
        let mut requests = Vec::new();
        if !self.trimming {
            match self.requests.recv_timeout(self.retention.interval()) {
                Ok(request) => requests.push(request),
                Err(RecvTimeoutError::Timeout) => return Some(requests),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        while requests.len() < ROUND {
            match self.requests.try_recv() {
                Ok(request) => requests.push(request),
                Err(TryRecvError::Empty) => break,
                Err(mpsc::TryRecvError::Disconnected) if requests.is_empty() => return None,
                Err(mpsc::TryRecvError::Disconnected) => break,
            }
        }
        Some(requests)
    }

    /// Carries out requests, and a portion of other work; the answers are to be given with the result.
    fn round(&mut self, requests: Vec<Request>) -> (Vec<Answer>, Result<(), Error>) {
        let mut answers = Vec::with_capacity(requests.len());
        let result = self.attempt(requests, &mut answers);
        (answers, result)
    }

    fn attempt(&mut self, requests: Vec<Request>, answers: &mut Vec<Answer>) -> Result<(), Error> {
        let point = self.retention.point(&self.standing);
        if requests.is_empty() && point.is_none() && !self.trimming {
            return Ok(());
        }
        let mut round = Round {
            standing: self.standing.clone(),
            batches: Vec::new(),
            dirty: false,
            trimming: self.trimming,
        };
        let mut requests = requests.into_iter();
        let done = round.fill(&self.shared.database, point, &self.retention, &mut requests, answers);
        // After a failure the others get their answer as well.
        answers.extend(requests.map(refuse));
        done?;
        self.publish(round);
        Ok(())
    }

    /// Makes a durable round known to readers and watches.
    fn publish(&mut self, round: Round) {
        self.standing = round.standing;
        self.trimming = round.trimming;
        self.shared.compacted.store(self.standing.compacted, Ordering::Release);
        if round.batches.is_empty() {
            return;
        }
        {
            let mut recent = self.shared.recent.write();
            for batch in round.batches {
                recent.push(batch);
            }
            recent.limit(RECENT, RECENT_BYTES);
        }
        self.shared.newest.send_replace(self.standing.revision);
    }
}

/// The answer to a request that was not carried out, because the round failed before.
fn refuse(request: Request) -> Answer {
    let aborted = |result: Result<(), Error>| {
        result
            .err()
            .unwrap_or_else(|| Error::Unavailable("the embedded storage is closing".to_owned()))
    };
    match request {
        Request::Commit { reply, .. } => Box::new(move |result| drop(reply.send(Err(aborted(result))))),
        Request::Compact { reply, .. } => Box::new(move |result| drop(reply.send(Err(aborted(result))))),
    }
}

impl Round {
    /// Carries out the requests and whatever else is due in one durable transaction.
    fn fill(
        &mut self,
        database: &Database,
        point: Option<(u64, Revision)>,
        retention: &Retention,
        requests: &mut impl Iterator<Item = Request>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), Error> {
        let transaction = database.begin_write().map_err(failed)?;
        if let Some(point) = point {
            self.note(&transaction, point, retention)?;
        }
        for request in requests {
            self.carry_out(&transaction, request, answers)?;
        }
        self.finish(&transaction)?;
        if self.dirty {
            transaction.commit().map_err(failed)
        } else {
            transaction.abort().map_err(failed)
        }
    }

    /// Carries out one request; what it is answered holds once the round is durable. An error is the whole round's.
    fn carry_out(
        &mut self,
        transaction: &WriteTransaction,
        request: Request,
        answers: &mut Vec<Answer>,
    ) -> Result<(), Error> {
        match request {
            Request::Commit { ops, reply } => {
                let done = self.commit(transaction, &ops);
                let broken = done.as_ref().err().cloned();
                answers.push(Box::new(move |result| {
                    // A demand that failed did so because of changes that must be durable as well.
                    let answer = result.and_then(|()| done.and_then(|judged| judged));
                    drop(reply.send(answer));
                }));
                broken.map_or(Ok(()), Err)
            }
            Request::Compact { revision, reply } => {
                let done = self.compact(revision);
                answers.push(Box::new(move |result| drop(reply.send(result.and(done)))));
                Ok(())
            }
        }
    }

    /// The outer error is the file's, the inner one the transaction's.
    fn commit(&mut self, transaction: &WriteTransaction, ops: &[Op]) -> Result<Result<Revision, Error>, Error> {
        let mut versions = transaction.open_table(VERSIONS).map_err(failed)?;
        let mut present = Vec::with_capacity(ops.len());
        for op in ops {
            let current = tables::version(&versions, &op.key, u64::MAX)?;
            if current.is_some() {
                present.push(op.key.as_str());
            }
            if let Err(refused) = check::demand(op, current) {
                return Ok(Err(refused));
            }
        }
        let revision = self.standing.revision + 1;
        let Some(batch) = feed::batch(ops, revision, |key| present.contains(&key)) else {
            return Ok(Ok(self.standing.revision));
        };
        write(transaction, &mut versions, &batch)?;
        self.standing.revision = revision;
        self.batches.push(Arc::new(batch));
        self.dirty = true;
        Ok(Ok(revision))
    }

    fn compact(&mut self, revision: Revision) -> Result<(), Error> {
        if revision > self.standing.revision {
            return Err(Error::Future {
                requested: revision,
                current: self.standing.revision,
            });
        }
        if revision > self.standing.compacted {
            self.standing.compacted = revision;
            self.trimming = true;
            self.dirty = true;
        }
        Ok(())
    }

    /// Notes what time it is at this revision, and compacts what is old enough.
    fn note(
        &mut self,
        transaction: &WriteTransaction,
        (time, revision): (u64, Revision),
        retention: &Retention,
    ) -> Result<(), Error> {
        let mut times = transaction.open_table(TIMES).map_err(failed)?;
        let later = |(last, known): &(u64, Revision)| *last < time && *known < revision;
        if self.standing.times.back().is_none_or(later) {
            times.insert(time, revision).map_err(failed)?;
            self.standing.times.push_back((time, revision));
            self.dirty = true;
        }
        while let Some((point, revision)) = self.standing.times.front().copied() {
            if !retention.is_over(point, time) {
                break;
            }
            times.remove(point).map_err(failed)?;
            self.standing.times.pop_front();
            self.dirty = true;
            self.compact(revision)?;
        }
        Ok(())
    }

    /// Deletes a portion of the compacted history and writes the numbers.
    fn finish(&mut self, transaction: &WriteTransaction) -> Result<(), Error> {
        if self.trimming {
            let portion = trim::portion(transaction, self.standing.compacted)?;
            self.trimming = portion.more;
            self.dirty |= portion.removed;
        }
        if self.dirty {
            let mut meta = transaction.open_table(META).map_err(failed)?;
            meta.insert(REVISION, self.standing.revision).map_err(failed)?;
            meta.insert(COMPACTED, self.standing.compacted).map_err(failed)?;
        }
        Ok(())
    }
}

fn write(
    transaction: &WriteTransaction,
    versions: &mut Table<'_, (&'static str, u64), Option<&'static [u8]>>,
    batch: &Batch,
) -> Result<(), Error> {
    let mut log = transaction.open_table(LOG).map_err(failed)?;
    for event in &batch.events {
        let row = (event.key.as_str(), batch.revision);
        versions.insert(row, event.value.as_deref()).map_err(failed)?;
    }
    let keys: Vec<&str> = batch.events.iter().map(|event| event.key.as_str()).collect();
    log.insert(batch.revision, keys).map_err(failed)?;
    Ok(())
}
