//! What the groups' controllers share: stores that follow the cluster, work queues, a lease for the one replica that acts,
//! events. Nothing here knows what is reconciled.
//!
//! A controller is a queue of keys and a function that makes one key's part of the cluster what it should be. It starts from
//! what the stores hold, and it may be called for a key at any time and any number of times:
//!
//! ```text
//! let roles = manager.store(Api::<Role>::all(manager.client()), Config::default());
//! let queue = manager.queue("role");
//! roles.notify(&queue, |change| vec![change.key()]);
//! manager.controller(queue, 4, Arc::new(RoleController { roles: roles.clone(), client: manager.client() }));
//! ```

pub mod election;
pub mod events;
pub mod manager;
pub mod pace;
pub mod queue;
pub mod store;
mod watch;

use std::fmt;

use async_trait::async_trait;
use kube::Resource;
use tokio::time::Duration;

/// Namespace and name of an object; what is cluster-scoped has no namespace. In this order, so that a namespace's objects
/// stand side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Empty for what is cluster-scoped.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

/// What is to happen after a key was reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing until something changes.
    Done,
    /// It is to be looked at again after this time, whatever happens.
    After(Duration),
}

/// Why a key could not be reconciled: it is tried again, later each time.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request failed.
    #[error("{what}: {source}")]
    Request {
        /// What was asked for.
        what: &'static str,
        /// What came back.
        source: Box<kube::Error>,
    },
    /// It took too long.
    #[error("not done within {0:?}")]
    Timeout(Duration),
    /// The reconciler itself failed: a mistake in this program.
    #[error("panic: {0}")]
    Panic(String),
}

/// Makes one key's part of the cluster what it should be.
#[async_trait]
pub trait Reconcile: Send + Sync + 'static {
    /// Never called twice at once for the same key.
    async fn reconcile(&self, key: &Key) -> Result<Next, Error>;
}

// === impl Key ===

impl Key {
    /// Of an object with a namespace.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// Of a cluster-scoped object.
    pub fn cluster(name: impl Into<String>) -> Self {
        Self::new("", name)
    }

    /// Of this object.
    pub fn of(object: &impl Resource) -> Self {
        let meta = object.meta();
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

// === impl Error ===

impl Error {
    /// For `map_err` of a request.
    pub fn request(what: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Request {
            what,
            source: Box::new(source),
        }
    }

    /// The HTTP code of the refusal, if it was one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Request { source, .. } => match &**source {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::Timeout(_) | Self::Panic(_) => None,
        }
    }

    /// Whether the store was behind the cluster, which is no fault: the same will be tried on newer knowledge.
    pub fn is_stale(&self) -> bool {
        matches!(self.code(), Some(404 | 409))
    }
}
