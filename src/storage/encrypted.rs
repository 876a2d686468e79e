//! Values encrypted at rest: a wrapper around any storage, in the form of Kubernetes' own
//! (k8s.io/apiserver pkg/storage/value/encrypt/aes: `k8s:enc:aesgcm:v1:<key>:`, nonce, sealed bytes).
//!
//! Keys of entries stay readable: revisions, ranges and watches are the inner storage's. What seals a value also binds it
//! to its storage key, so that nobody who can write to the store can show one object in the place of another.
//!
//! A value that cannot be opened fails what was asked for, with its key and the name of the encryption key, and never
//! looks like an absent one: to controllers, absent means deleted. A watch ends at such a value, and whoever follows goes on
//! from there, without a gap, as soon as the configuration holds the key.

mod configuration;
mod keys;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

pub use self::configuration::parse;
pub use self::keys::{Keys, Ring, key_name};
use super::{Batch, Change, Entry, Error, ListRequest, Op, Page, Revision, Storage, Watch};

/// What every encrypted value starts with, whatever scheme follows; no stored object does.
const MARK: &[u8] = b"k8s:enc:";

/// Batches that wait in a watch's channel before the inner watch is left unread.
const CHANNEL: usize = 64;

/// Whether a value is encrypted. Whoever reads a storage without keys must not take it for damaged or absent.
pub fn is_encrypted(value: &[u8]) -> bool {
    value.starts_with(MARK)
}

/// A storage whose values are encrypted in the one behind it.
pub struct Encrypted {
    inner: Arc<dyn Storage>,
    keys: Arc<Keys>,
}

impl Encrypted {
    /// Encrypts what goes to `inner`, and opens what comes from there.
    pub fn new(inner: Arc<dyn Storage>, keys: Arc<Keys>) -> Self {
        Self { inner, keys }
    }
}

fn open(ring: &Ring, mut entry: Entry) -> Result<Entry, Error> {
    entry.value = ring.open(&entry.key, entry.value)?;
    Ok(entry)
}

fn open_batch(ring: &Ring, mut batch: Batch) -> Result<Batch, Error> {
    for event in &mut batch.events {
        if let Some(value) = event.value.take() {
            event.value = Some(ring.open(&event.key, value)?);
        }
    }
    Ok(batch)
}

/// A refusal shows what is stored, as the writer would have read it.
fn open_refusal(ring: &Ring, error: Error) -> Error {
    let opened = match error {
        Error::Exists { current } => open(ring, current).map(|current| Error::Exists { current }),
        Error::Conflict { current } => open(ring, current).map(|current| Error::Conflict { current }),
        error => Ok(error),
    };
    opened.unwrap_or_else(|unreadable| unreadable)
}

#[async_trait]
impl Storage for Encrypted {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let entry = self.inner.get(key).await?;
        entry.map(|entry| open(&self.keys.ring(), entry)).transpose()
    }

    async fn list(&self, request: ListRequest) -> Result<Page, Error> {
        let page = self.inner.list(request).await?;
        let ring = self.keys.ring();
        let entries = page.entries.into_iter().map(|entry| open(&ring, entry));
        Ok(Page {
            entries: entries.collect::<Result<_, _>>()?,
            ..page
        })
    }

    async fn commit(&self, mut ops: Vec<Op>) -> Result<Revision, Error> {
        let ring = self.keys.ring();
        for op in &mut ops {
            if let Change::Put(value) = &mut op.change {
                *value = ring.seal(&op.key, value)?;
            }
        }
        let committed = self.inner.commit(ops).await;
        committed.map_err(|error| open_refusal(&self.keys.ring(), error))
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        let mut inner = self.inner.watch(prefix, after).await?;
        let progress = inner.progress.clone();
        let keys = Arc::clone(&self.keys);
        let (sender, batches) = mpsc::channel(CHANNEL);
        tokio::spawn(async move {
            loop {
                let batch = tokio::select! {
                    batch = inner.batches.recv() => batch,
                    () = sender.closed() => return,
                };
                let Some(batch) = batch else { return };
                let batch = batch.and_then(|batch| open_batch(&keys.ring(), batch));
                let over = batch.is_err();
                if sender.send(batch).await.is_err() || over {
                    return;
                }
            }
        });
        Ok(Watch { batches, progress })
    }

    async fn current_revision(&self) -> Result<Revision, Error> {
        self.inner.current_revision().await
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.inner.compact(revision).await
    }

    fn encrypted_values(&self) -> Vec<(String, u64)> {
        self.keys.sealed()
    }
}
