//! One file a verb, and the documents that say which verbs there are.

pub mod apply;
pub mod create;
pub mod delete;
pub mod delete_collection;
pub mod discovery;
pub mod encode;
pub mod get;
pub mod input;
pub mod list;
pub mod openapi;
pub mod patch;
pub mod review;
pub mod router;
pub mod rows;
pub mod typed;
pub mod update;
pub mod version;
pub mod view;
pub mod watch;

use std::sync::Arc;

use crate::http::pipeline::Permission;
use crate::rest::caller::{Caller, Target};
use crate::rest::resource::Resource;
use crate::rest::store::update::Part;
use crate::rest::store::{Store, Written};
use crate::telemetry::metrics::Metrics;
use crate::visibility::KindId;
use crate::watchcache::Snapshot;
use crate::wire::negotiate::Representation;
use crate::wire::options::Query;
use crate::wire::status::Status;

pub use router::Router;

/// A request for a resource, with everything that a verb needs to answer it.
pub struct Call<'a> {
    /// The store.
    pub store: &'a Arc<Store>,
    /// The resource as served.
    pub resource: &'a Arc<Resource>,
    /// Its stored kind.
    pub kind: KindId,
    /// Who asks.
    pub caller: &'a Caller,
    /// The namespace in the path.
    pub namespace: &'a str,
    /// The name in the path.
    pub name: &'a str,
    /// Which half of the object the path is about.
    pub part: Part,
    /// The query.
    pub query: &'a Query,
    /// How the response is to be written.
    pub representation: &'a Representation,
    /// Whether JSON is to be indented.
    pub pretty: bool,
    /// What else the sender may do.
    pub permission: &'a Permission,
    /// What is counted.
    pub metrics: &'a Metrics,
}

impl Call<'_> {
    /// What the request is about.
    pub fn target(&self) -> Target<'_> {
        Target {
            resource: self.resource,
            kind: self.kind,
            caller: self.caller,
            namespace: self.namespace,
            name: self.name,
        }
    }

    /// How objects are shown here.
    pub fn view(&self) -> view::View {
        view::View::new(self.resource)
    }

    /// What is answered if the sender writes what is guarded; nothing if they may. It is asked for kinds alone of which a part
    /// is guarded.
    async fn refusal(&self) -> Result<Option<Status>, Status> {
        let Some(guard) = self.resource.strategy().guard() else {
            return Ok(None);
        };
        match self.permission.to(guard.verb).await {
            Ok(()) => Ok(None),
            Err(status) if status.code == 403 => Ok(Some(status)),
            Err(status) => Err(status),
        }
    }

    /// What a write answers with, for the encoder.
    fn shown<'a>(&self, written: &'a Written, snapshot: &Snapshot) -> encode::Shown<'a> {
        encode::Shown {
            role: self.store.role(&self.target(), &written.object, snapshot),
            object: &written.object,
        }
    }
}
