//! A storage whose watch can be cut off: what a replica sees when its own connection to the store breaks.

use std::sync::Arc;

use async_trait::async_trait;
use bulward::storage::{Entry, Error, ListRequest, Op, Page, Revision, Storage, Watch};
use tokio::sync::{mpsc, watch};

/// A way to a storage.
pub(crate) struct Line {
    storage: Arc<dyn Storage>,
    cut: watch::Sender<bool>,
}

impl Line {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            storage,
            cut: watch::Sender::new(false),
        }
    }

    /// Ends every watch, and starts none until it is mended.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(true);
    }

    pub(crate) fn mend(&self) {
        self.cut.send_replace(false);
    }
}

fn severed() -> Error {
    Error::Unavailable("the line is cut".to_owned())
}

#[async_trait]
impl Storage for Line {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        self.storage.get(key).await
    }

    async fn list(&self, request: ListRequest) -> Result<Page, Error> {
        self.storage.list(request).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Revision, Error> {
        self.storage.commit(ops).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        let mut cut = self.cut.subscribe();
        if *cut.borrow_and_update() {
            return Err(severed());
        }
        let mut own = self.storage.watch(prefix, after).await?;
        let (sender, batches) = mpsc::channel(64);
        let progress = own.progress.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    () = async { drop(cut.wait_for(|cut| *cut).await) } => {
                        let _ = sender.send(Err(severed())).await;
                        return;
                    }
                    batch = own.batches.recv() => {
                        let Some(batch) = batch else { return };
                        if sender.send(batch).await.is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Ok(Watch { batches, progress })
    }

    async fn current_revision(&self) -> Result<Revision, Error> {
        self.storage.current_revision().await
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.storage.compact(revision).await
    }
}
