//! The namespaces of the main cluster, as a watch tells of them; one that the watch has not told of is asked for.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::runtime::reflector::{ObjectRef, Store};

use crate::cluster::webhook::chain;
use crate::wire::names::GroupResource;
use crate::wire::status::Status;

/// Asks the cluster itself.
#[async_trait]
pub trait Live: Send + Sync + 'static {
    /// A namespace as it is now.
    ///
    /// # Errors
    /// Why nobody knows.
    async fn get(&self, name: &str) -> Result<Option<Namespace>, String>;
}

#[async_trait]
impl Live for Api<Namespace> {
    async fn get(&self, name: &str) -> Result<Option<Namespace>, String> {
        self.get_opt(name).await.map_err(|error| chain(&error))
    }
}

/// The namespaces.
#[derive(Clone)]
pub struct Namespaces {
    known: Store<Namespace>,
    live: Arc<dyn Live>,
}

impl Namespaces {
    /// From what a watch keeps up to date, and whom to ask for the rest.
    pub fn new(known: Store<Namespace>, live: Arc<dyn Live>) -> Self {
        Self { known, live }
    }

    /// What the watch has told.
    pub fn known(&self, name: &str) -> Option<Arc<Namespace>> {
        self.known.get(&ObjectRef::new(name))
    }

    /// A namespace, wherever it is known.
    ///
    /// # Errors
    /// 404, or 500 if the cluster does not answer.
    pub async fn get(&self, name: &str) -> Result<Arc<Namespace>, Status> {
        if let Some(known) = self.known(name) {
            return Ok(known);
        }
        let found = self.live.get(name).await.map_err(Status::internal_because)?;
        found.map(Arc::new).ok_or_else(|| not_found(name))
    }
}

/// 404.
fn not_found(name: &str) -> Status {
    let namespaces = GroupResource {
        group: String::new(),
        resource: "namespaces".to_owned(),
    };
    Status::not_found(&namespaces, name)
}
