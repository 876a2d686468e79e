//! A watch as one stream of etcd.
//!
//! etcd never divides a revision between two messages, unless the watch asks for fragments, which this one does not
//! (server/storage/mvcc/watcher_group.go, eventBatch.add); one message may hold many revisions.

use bytes::Bytes;
use etcd_client::{Client, GetOptions, WatchOptions, WatchRequestSender, WatchResponse, WatchResponseStream};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::members::{self, REQUEST_TIMEOUT, Retry};
use super::{Etcd, answer, signed, unsigned};
use crate::storage::{Batch, Error, Event, Revision, Storage, Watch};

/// Batches that wait in the watch's channel before the stream is left unread.
const CHANNEL: usize = 64;
/// etcd silently drops a progress request while the watch has not caught up, so it is repeated this often.
const REPEAT: Duration = Duration::from_millis(20);
/// A watch that was asked for progress and has said nothing for so long may be on a dead connection. Together with the next
/// this leaves time to begin again elsewhere within the patience of whoever waits.
const QUIET: Duration = Duration::from_millis(500);
/// How long a connection may take to give a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

pub(super) async fn start(storage: Etcd, prefix: &str, after: Revision) -> Result<Watch, Error> {
    let (key, end) = storage.keys.range(prefix, None);
    let options = WatchOptions::new()
        .with_range(end)
        .with_start_revision(signed(after.saturating_add(1)));
    // Whether a token is accepted shows only in the first message, when etcd-client cannot renew it any more.
    let mut renewed = false;
    loop {
        let ((sender, mut stream, client), turn) = storage
            .members
            .call_any(Retry::Always, |client| {
                let (key, options) = (key.clone(), options.clone());
                async move {
                    let (sender, stream) = members::watch(&client).watch(key, Some(options)).await?.split();
                    Ok((sender, stream, client))
                }
            })
            .await?;
        let endpoint = storage.members.endpoint(turn).to_owned();
        let first = timeout(REQUEST_TIMEOUT, stream.message()).await;
        let first = first.map_err(|_| {
            storage.members.pass(turn);
            storage.members.late()
        })?;
        let first = message(&endpoint, first)?;
        if first.canceled() && !renewed && first.cancel_reason().contains("invalid auth token") {
            renewed = true;
            let renewal = client.refresh_token().await;
            renewal.map_err(|error| answer::failure(&endpoint, &error).error)?;
            continue;
        }
        let (batches, receiver) = mpsc::channel(CHANNEL);
        let (progress, asked) = mpsc::channel(1);
        let mut pump = Pump {
            storage,
            endpoint,
            turn,
            client,
            sender,
            seen: after,
            batches,
            target: None,
        };
        pump.check(&first)?;
        tokio::spawn(async move {
            // The owner is gone when this cannot be sent; then nobody wants to know.
            if let Err(error) = pump.run(stream, asked).await {
                let _ = pump.batches.send(Err(error)).await;
            }
        });
        return Ok(Watch {
            batches: receiver,
            progress,
        });
    }
}

/// What reading a stream of etcd yields.
type Received = Result<Option<WatchResponse>, etcd_client::Error>;

fn message(endpoint: &str, message: Received) -> Result<WatchResponse, Error> {
    match message {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err(Error::Unavailable(format!("etcd at {endpoint} ended the watch"))),
        Err(error) => Err(answer::failure(endpoint, &error).error),
    }
}

struct Pump {
    storage: Etcd,
    endpoint: String,
    turn: usize,
    /// What the watch came about with.
    client: Client,
    sender: WatchRequestSender,
    /// Everything up to here has been sent to the owner.
    seen: Revision,
    batches: mpsc::Sender<Result<Batch, Error>>,
    /// The owner has asked for progress and is answered once this revision has been seen.
    target: Option<Revision>,
}

impl Pump {
    /// Runs until the owner is gone (`Ok`) or the watch has to end.
    async fn run(&mut self, mut stream: WatchResponseStream, mut asked: mpsc::Receiver<()>) -> Result<(), Error> {
        let mut asking = true;
        let mut repeat = Instant::now();
        // The last message, question or sign of life.
        let mut heard = Instant::now();
        let mut failures = self.storage.members.failures();
        loop {
            let broken = tokio::select! {
                () = self.batches.closed() => return Ok(()),
                next = stream.message() => match message(&self.endpoint, next) {
                    Ok(next) => {
                        self.check(&next)?;
                        if !self.pass(&next).await {
                            return Ok(());
                        }
                        heard = Instant::now();
                        continue;
                    }
                    Err(error) => error,
                },
                request = asked.recv(), if asking && self.target.is_none() => {
                    match request {
                        Some(()) if !self.aim().await? => return Ok(()),
                        Some(()) => {
                            repeat = Instant::now();
                            heard = repeat;
                        }
                        None => asking = false,
                    }
                    continue;
                }
                Ok(()) = failures.changed() => match self.lives().await {
                    true => continue,
                    false => self.storage.members.late(),
                },
                // Requests may go to another member since long, so that their failures tell nothing about this one.
                () = sleep_until(heard + QUIET), if self.target.is_some() => match self.lives().await {
                    true => {
                        heard = Instant::now();
                        continue;
                    }
                    false => self.storage.members.late(),
                },
                () = sleep_until(repeat), if self.target.is_some() => {
                    repeat = Instant::now() + REPEAT;
                    match self.sender.request_progress().await {
                        Ok(()) => continue,
                        Err(error) => answer::failure(&self.endpoint, &error).error,
                    }
                }
            };
            self.storage.members.pass(self.turn);
            return Err(broken);
        }
    }

    /// Whether the watch's connection still carries anything. Asked when a member has failed, and when somebody waits for
    /// this watch and it says nothing: a silent connection would be noticed much later by itself.
    async fn lives(&self) -> bool {
        let options = GetOptions::new().with_count_only().with_serializable();
        let mut client = members::kv(&self.client);
        let asked = client.get(self.storage.keys.absolute(""), Some(options));
        // A refusal is a sign of life, too.
        timeout(SIGN_OF_LIFE, asked).await.is_ok()
    }

    /// Learns what "caught up" means for a progress request; answers at once when the watch has. `false` when the
    /// owner is gone.
    async fn aim(&mut self) -> Result<bool, Error> {
        let mut target = self.storage.newest.get();
        // Mostly the owner has just asked for the newest revision. Otherwise it is asked for here, also because etcd
        // does not answer a progress request below the revision that the watch began with.
        if target <= self.seen {
            target = self.storage.current_revision().await?;
        }
        if target <= self.seen {
            return Ok(self.send(target, Vec::new()).await);
        }
        self.target = Some(target);
        Ok(true)
    }

    /// Whether etcd goes on with the watch.
    fn check(&self, message: &WatchResponse) -> Result<(), Error> {
        if message.compact_revision() > 0 {
            return Err(Error::Compacted {
                requested: self.seen,
                oldest: unsigned(message.compact_revision()),
            });
        }
        if message.canceled() {
            let reason = match message.cancel_reason() {
                "" => "the watch was cancelled",
                reason => reason,
            };
            return Err(answer::at(answer::refusal(&self.endpoint, None, reason), self.seen));
        }
        Ok(())
    }

    /// Sends a message's revisions to the owner, each as one batch; `false` when the owner is gone.
    async fn pass(&mut self, message: &WatchResponse) -> bool {
        let newest = self.storage.newest.note(message.header());
        if message.created() {
            return true;
        }
        if message.events().is_empty() {
            // Without events a message says that the watch has seen everything up to its revision.
            if self.target.is_some_and(|target| target <= newest) && newest >= self.seen {
                self.target = None;
                self.seen = newest;
                return self.send(newest, Vec::new()).await;
            }
            return true;
        }
        for (revision, events) in self.revisions(message) {
            self.seen = revision;
            if !events.is_empty() && !self.send(revision, events).await {
                return false;
            }
        }
        true
    }

    /// The message's events by revision, in key order; what has been seen already is left out.
    fn revisions(&self, message: &WatchResponse) -> Vec<(Revision, Vec<Event>)> {
        let mut revisions: Vec<(Revision, Vec<Event>)> = Vec::new();
        for event in message.events() {
            let Some(kv) = event.kv() else { continue };
            let revision = unsigned(kv.mod_revision());
            if revision <= self.seen {
                continue;
            }
            if revisions.last().is_none_or(|(last, _)| *last != revision) {
                revisions.push((revision, Vec::new()));
            }
            // A deletion resets the version; etcd-client's own accessor panics on kinds of events it does not know.
            let value = (kv.version() != 0).then(|| Bytes::copy_from_slice(kv.value()));
            if let (Some(key), Some((_, events))) = (self.storage.keys.relative(kv.key()), revisions.last_mut()) {
                events.push(Event { key, value });
            }
        }
        for (_, events) in &mut revisions {
            events.sort_by(|a, b| a.key.cmp(&b.key));
        }
        revisions
    }

    async fn send(&self, revision: Revision, events: Vec<Event>) -> bool {
        self.batches.send(Ok(Batch { revision, events })).await.is_ok()
    }
}
