//! The stages in which a server ends (k8s.io/apiserver pkg/server/genericapiserver.go).

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Shared by whoever ends a server and whoever has to do something about it. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    initiated: CancellationToken,
    draining: CancellationToken,
}

impl Shutdown {
    /// Nothing has begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes through the stages: `/readyz` fails at once, so that no new connections are sent here; after `delay` the
    /// listener closes and the drain begins.
    pub async fn run(&self, delay: Duration) {
        self.initiated.cancel();
        tokio::time::sleep(delay).await;
        self.draining.cancel();
    }

    /// Cancelled when the server is going to end but still takes new requests.
    pub fn initiated(&self) -> &CancellationToken {
        &self.initiated
    }

    /// Cancelled when the server takes no new requests; what [`serve`](super::listener::serve) wants.
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }
}
