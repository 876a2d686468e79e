//! What goes on over a connection once it speaks HTTP no more.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;

/// The task of a connection after its last response. Clones are one and the same.
#[derive(Clone, Default)]
pub struct Afterwards(Arc<Mutex<Option<BoxFuture<'static, ()>>>>);

/// A request that asks for another protocol.
#[derive(Debug)]
pub struct Upgrade {
    on: OnUpgrade,
    afterwards: Afterwards,
}

impl Afterwards {
    /// Keeps `guard` for as long as the task goes on.
    pub(super) fn keep(&self, guard: impl Send + 'static) {
        let mut slot = self.0.lock();
        if let Some(task) = slot.take() {
            *slot = Some(task.map(move |()| drop(guard)).boxed());
        }
    }

    /// The task, if there is one.
    pub(super) fn take(&self) -> Option<BoxFuture<'static, ()>> {
        self.0.lock().take()
    }
}

impl std::fmt::Debug for Afterwards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Afterwards").finish_non_exhaustive()
    }
}

impl Upgrade {
    pub(super) fn new(on: OnUpgrade, afterwards: Afterwards) -> Self {
        Self { on, afterwards }
    }

    /// Has the connection served by `serve` once the response, which must be a 101, is sent.
    pub fn then<F: Future<Output = ()> + Send + 'static>(
        self,
        serve: impl FnOnce(TokioIo<Upgraded>) -> F + Send + 'static,
    ) {
        let on = self.on;
        let task = async move {
            match on.await {
                Ok(upgraded) => serve(TokioIo::new(upgraded)).await,
                Err(error) => tracing::debug!(%error, "no upgrade"),
            }
        };
        *self.afterwards.0.lock() = Some(task.boxed());
    }
}
