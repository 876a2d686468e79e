//! Where clients put what they saw.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bulward::storage::Storage;
use parking_lot::Mutex;

use super::record::{History, List, Look, Revision, Tick, Watch, Who, Write};
use super::truth::Truth;
use crate::harness::in_process::DEADLINE;

/// Collects a history.
pub(crate) struct Recorder {
    pub(crate) who: Vec<Who>,
    pub(crate) truth: Truth,
    /// How long an answer may take before it counts as none.
    pub(crate) patience: Duration,
    memory: Vec<Option<usize>>,
    ticks: AtomicU64,
    count: AtomicUsize,
    unanswered: AtomicUsize,
    seen: Mutex<History>,
    texts: Mutex<HashSet<Arc<str>>>,
}

impl Recorder {
    /// A recorder of what these callers see. `storage` is a way of its own to the store, in which nothing of ours is yet;
    /// `memory` is [`History::memory`].
    pub(crate) async fn new(who: Vec<Who>, storage: Arc<dyn Storage>, memory: Vec<Option<usize>>) -> Self {
        Self {
            who,
            truth: Truth::follow(storage).await,
            patience: DEADLINE,
            memory,
            ticks: AtomicU64::new(1),
            count: AtomicUsize::new(0),
            unanswered: AtomicUsize::new(0),
            seen: Mutex::default(),
            texts: Mutex::default(),
        }
    }

    pub(crate) fn tick(&self) -> Tick {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    /// How much has been recorded, as [`History::len`] counts.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Requests that were answered with nothing, 429 or 5xx.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::Relaxed)
    }

    pub(super) fn counted(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn no_answer(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) async fn upper(&self) -> Option<Revision> {
        self.truth.newest().await
    }

    pub(super) fn write(&self, write: Write) {
        self.counted();
        self.seen.lock().writes.push(write);
    }

    pub(super) fn list(&self, list: List) {
        self.counted();
        self.seen.lock().lists.push(list);
    }

    pub(super) fn look(&self, look: Look) {
        self.counted();
        self.seen.lock().looks.push(look);
    }

    /// Its events have been counted as they came.
    pub(super) fn watch(&self, watch: Watch) {
        self.seen.lock().watches.push(watch);
    }

    /// The same text once.
    pub(super) fn intern(&self, text: &str) -> Arc<str> {
        let mut texts = self.texts.lock();
        if let Some(known) = texts.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        texts.insert(new.clone());
        new
    }

    /// The whole history. Clients that still run record no more into it.
    pub(crate) async fn finish(self: Arc<Self>) -> History {
        let own = Arc::into_inner(self).expect("every client of the recorder has ended");
        let mut history = own.seen.into_inner();
        history.begin = own.truth.begin;
        history.who = own.who;
        history.memory = own.memory;
        (history.truth, history.subjects) = own.truth.finish().await;
        history
    }
}
