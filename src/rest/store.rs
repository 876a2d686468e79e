//! The generic store: what create, update and delete mean for every resource.
//!
//! Every write is one transaction on the storage. It starts from the cached object, optimistically; whoever lost a race
//! gets the current object with the refusal and tries again. A negative answer (404, 403, a stale precondition, nothing
//! to change) is given only after a second look at a snapshot that is known to be fresh, so that a lagging cache never
//! refuses what is right. Ported in spirit from k8s.io/apiserver pkg/registry/generic/registry/store.go and
//! pkg/storage/etcd3/store.go GuaranteedUpdate.

mod admit;
pub mod apply;
pub mod create;
pub mod delete;
pub mod grounds;
pub mod prepare;
pub mod read;
pub mod seen;
pub mod update;

use std::sync::Arc;

use serde_json::Value;

use self::seen::Seen;
use super::admission::Admission;
use super::caller::Target;
use super::field_manager::{FieldManager, Versions, Write};
use super::paging::Sealer;
use super::resource::{Edge, Kind, Registry};
use crate::storage::{Change, Entry, Error, Op, Revision, Storage};
use crate::visibility::KindId;
use crate::watchcache::cache::Stale;
use crate::watchcache::snapshot::locate;
use crate::watchcache::{Cache, KindSpec, Object, Snapshot};
use crate::wire::names::{GroupResource, GroupVersion};
use crate::wire::options::Sent;
use crate::wire::schema::Schema;
use crate::wire::status::Status;

/// How often a write that loses races is tried.
const ATTEMPTS: usize = 20;

/// The generic store of all resources.
pub struct Store {
    storage: Arc<dyn Storage>,
    cache: Arc<Cache>,
    kinds: Vec<StoredKind>,
    sealer: Sealer,
    /// The kind of the namespaces that this server itself holds.
    namespaces: Option<KindId>,
    admission: Option<Arc<dyn Admission>>,
    seen: Vec<Seen>,
}

struct StoredKind {
    kind: Arc<Kind>,
    /// The schema of the stored form, and those of the versions that have their own.
    schema: Schema,
    versions: Vec<(GroupVersion, Schema)>,
    fields: FieldManager,
    /// The `apiVersion`s that serve it.
    served: Vec<String>,
    /// Whether the status is a half of its own, which `/status` alone changes.
    split: bool,
}

impl StoredKind {
    fn new(registry: &Registry, kind: Arc<Kind>) -> Result<Self, String> {
        let parse = |schema| Schema::parse(schema).map_err(|error| format!("schema of {}: {error}", kind.kind));
        let served = || registry.resources().filter(|one| Arc::ptr_eq(&one.stored, &kind));
        let schema = parse(&kind.schema)?;
        let mut versions = Vec::new();
        let mut forms = Versions::new(&schema, kind.conventions);
        for resource in served() {
            let own = resource.version.as_ref();
            let own = own.map(|version| Ok::<_, String>((parse(&version.schema)?, version.conversion.clone())));
            let own = own.transpose()?;
            forms.serve(&resource.group_version, own.as_ref());
            versions.extend(own.map(|(schema, _)| (resource.group_version.clone(), schema)));
        }
        let versions_served = served().map(|resource| resource.group_version.to_string());
        let split = served().any(|resource| resource.status_subresource);
        Ok(Self {
            fields: FieldManager::new(forms, split),
            served: versions_served.collect(),
            schema,
            versions,
            split,
            kind,
        })
    }
}

/// What a write answers with.
#[derive(Debug)]
pub struct Written {
    /// The object as it is stored now; its revision is 0 when a dry run did not store it.
    pub object: Arc<Object>,
    /// Sentences for `Warning` headers.
    pub warnings: Vec<String>,
}

/// What a client wants stored.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The object, in the version of the request.
    pub object: Value,
    /// Sentences for `Warning` headers.
    pub warnings: Vec<String>,
}

/// What all writes have in common.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Do everything but store.
    pub dry_run: bool,
    /// Who owns what is written.
    pub field_manager: String,
    /// Whether the object comes from a patch, whose fault it is then if it cannot be read.
    pub patched: bool,
    /// What is answered if what [`crate::rest::resource::Guard`] guards is changed; nothing for those who may.
    pub refusal: Option<Status>,
    /// What the request asked for, in its own words.
    pub sent: Sent,
}

impl WriteOptions {
    /// Who writes, through what.
    fn write<'a>(&'a self, target: &Target<'a>, part: update::Part) -> Write<'a> {
        Write {
            manager: &self.field_manager,
            group_version: &target.resource.group_version,
            kind: &target.resource.stored.kind,
            status: part == update::Part::Status,
        }
    }
}

/// The stored kinds of a registry as the cache wants to know them; a kind's place is its [`KindId`].
///
/// # Errors
/// A descriptor names a kind that does not exist.
pub fn specs(registry: &Registry) -> Result<Vec<KindSpec>, String> {
    let kinds = registry.kinds();
    let find = |plural: &String| {
        let at = kinds.iter().position(|kind| &kind.plural == plural);
        let id = at.and_then(|at| u16::try_from(at).ok()).map(KindId);
        id.ok_or_else(|| format!("no resource {plural:?} is stored"))
    };
    let spec = |kind: &Arc<Kind>| {
        let (facts, through): (fn(&Value) -> _, _) = match &kind.edge {
            Edge::Unrestricted => (|_| Default::default(), None),
            Edge::Members { facts, through, .. } => (*facts, through.as_ref().map(find).transpose()?),
        };
        Ok(KindSpec {
            plural: kind.plural.clone(),
            fields: kind.selectable_fields.clone(),
            facts,
            through,
        })
    };
    kinds.iter().map(spec).collect()
}

impl Store {
    /// A store for the kinds of `registry`, over a cache that was made with [`specs`] of the same registry.
    ///
    /// # Errors
    /// A kind's schema is not structural.
    pub fn new(registry: &Registry, storage: Arc<dyn Storage>, cache: Arc<Cache>) -> Result<Self, String> {
        let parse = |kind: Arc<Kind>| StoredKind::new(registry, kind);
        let kinds = registry.kinds().into_iter().map(parse).collect::<Result<_, _>>()?;
        let sealer = Sealer::new(storage.clone());
        let seen = cache.specs().iter().map(|_| Seen::default()).collect();
        let mut store = Self {
            storage,
            cache,
            kinds,
            sealer,
            namespaces: None,
            admission: None,
            seen,
        };
        let own = registry.resources().find(|one| one.is_namespace());
        store.namespaces = own.and_then(|own| store.kind_id(&own.stored.plural));
        Ok(store)
    }

    /// The same store, which asks `admission` about every write.
    pub fn with_admission(mut self, admission: Arc<dyn Admission>) -> Self {
        self.admission = Some(admission);
        self
    }

    /// The id of a stored kind.
    pub fn kind_id(&self, plural: &str) -> Option<KindId> {
        let at = self.kinds.iter().position(|own| own.kind.plural == plural)?;
        u16::try_from(at).ok().map(KindId)
    }

    /// What the cache knows of a kind.
    pub fn spec(&self, kind: KindId) -> &KindSpec {
        &self.cache.specs()[usize::from(kind.0)]
    }

    /// What has been shown of a kind.
    pub fn seen(&self, kind: KindId) -> &Seen {
        &self.seen[usize::from(kind.0)]
    }

    /// Continue tokens.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// The watch cache.
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    fn stored(&self, kind: KindId) -> &StoredKind {
        &self.kinds[usize::from(kind.0)]
    }

    fn fields(&self, kind: KindId) -> &FieldManager {
        &self.stored(kind).fields
    }

    /// Whether a kind is served in a version (`apiserver.bulward.io/v1alpha1`).
    pub fn serves(&self, api_version: &str, kind: &str) -> bool {
        let mut kinds = self.kinds.iter().filter(|stored| stored.kind.kind == kind);
        kinds.any(|stored| stored.served.iter().any(|served| served == api_version))
    }

    /// A new object of the target's version before anything is written.
    pub fn nothing(&self, target: &Target<'_>) -> Value {
        self.fields(target.kind).nothing(&target.resource.group_version)
    }

    /// The schema of what the target is written as.
    pub fn schema(&self, target: &Target<'_>) -> &Schema {
        let stored = self.stored(target.kind);
        let own = &target.resource.group_version;
        let version = stored.versions.iter().find(|(version, _)| version == own);
        version.map_or(&stored.schema, |(_, schema)| schema)
    }

    /// Whether the object exists for the caller.
    fn sees(&self, target: &Target<'_>, object: &Object, snapshot: &Snapshot) -> bool {
        let subjects = &target.caller.subjects;
        !target.filtered() || snapshot.sees(target.kind, object, subjects)
    }

    /// The transaction that stores `object`, as `ops[0]` does.
    async fn put(&self, ops: Vec<Op>, object: &Arc<Object>) -> Result<Revision, Lost> {
        if let Some(Op {
            key,
            change: Change::Put(stored),
            ..
        }) = ops.first()
        {
            self.cache.written().note(key, stored.clone(), object.clone());
        }
        self.commit(ops).await
    }

    /// The transaction of a write, `ops[0]` being the object itself.
    async fn commit(&self, ops: Vec<Op>) -> Result<Revision, Lost> {
        let own = ops.first().map(|op| op.key.clone()).unwrap_or_default();
        match self.storage.commit(ops).await {
            Ok(revision) => Ok(revision),
            Err(Error::NotFound { key }) if key == own => Err(Lost::Race(None)),
            Err(Error::NotFound { key }) => Err(Lost::Guard { key, current: None }),
            Err(Error::Conflict { current } | Error::Exists { current }) if current.key == own => {
                Err(Lost::Race(Some(current)))
            }
            Err(Error::Conflict { current } | Error::Exists { current }) => Err(Lost::Guard {
                key: current.key.clone(),
                current: Some(current),
            }),
            Err(Error::Unavailable(cause)) => {
                let mut status = Status::timeout(
                    "the storage did not answer; whether the change was stored is unknown, read before you try again",
                );
                status.internal = Some(cause);
                Err(Lost::Refused(status))
            }
            Err(error) => Err(Lost::Refused(Status::internal(error))),
        }
    }

    /// Makes the object that a stored entry is.
    fn parse(&self, entry: &Entry) -> Result<Arc<Object>, Status> {
        let (kind, key) = locate(self.cache.specs(), &entry.key).ok_or_else(|| Status::internal("a key of no kind"))?;
        let object = Object::parse(self.spec(kind), key, entry.revision, &entry.value).map_err(Status::internal)?;
        Ok(Arc::new(object))
    }

    fn complete(&self, target: &Target<'_>, revision: Revision, value: &Value) -> Result<Object, Status> {
        Object::from_value(self.spec(target.kind), target.key(), revision, value).map_err(Status::internal)
    }
}

/// Why a transaction was not carried out.
enum Lost {
    /// The object itself changed: this is what it is now.
    Race(Option<Entry>),
    /// Another key of the transaction is not as expected: a claim, or an Organization that admits the caller.
    Guard {
        /// The key.
        key: String,
        /// What is stored there.
        current: Option<Entry>,
    },
    /// For good.
    Refused(Status),
}

/// The storage key of an object.
fn storage_key(target: &Target<'_>) -> String {
    format!("{}/{}", target.resource.stored.plural, target.key())
}

/// What is not stored: `apiVersion` and `kind`, which differ by view, and the resourceVersion, which the storage itself
/// knows.
const UNSTORED: [&str; 3] = ["apiVersion", "kind", "resourceVersion"];

/// Says why a read cannot be answered.
pub fn stale(error: Stale) -> Status {
    match error {
        Stale::Initializing => {
            let mut status = Status::unavailable(error.to_string());
            status.code = 429;
            status.reason = "TooManyRequests".into();
            status
        }
        Stale::Storage(error) => {
            let mut status = Status::unavailable("the storage cannot be reached right now, try again");
            status.internal = Some(error.to_string());
            status
        }
        Stale::Behind { wanted, reached } => Status::too_large_resource_version(wanted, reached),
    }
}

/// 404 for the target, whether it is not there or not the caller's (visibility rule V7).
fn not_found(target: &Target<'_>) -> Status {
    let resource: GroupResource = target.resource.group_resource();
    Status::not_found(&resource, target.name)
}

/// 403 for a member who is not an owner.
fn ownership_required(target: &Target<'_>, verb: &str) -> Status {
    let why = format!("ownership is required for {verb} operation");
    Status::forbidden(&target.resource.group_resource(), target.name, why)
}
