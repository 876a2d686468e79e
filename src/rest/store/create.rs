//! Create: who may, under which name, and in which namespace.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::update::Part;
use super::{Lost, Store, Wanted, WriteOptions, Written, storage_key};
use crate::rest::caller::Target;
use crate::rest::claim;
use crate::rest::metadata;
use crate::rest::resource::{Access, Edge};
use crate::storage::{Change, Expect, Op, Revision};
use crate::watchcache::{Object, Snapshot};
use crate::wire::meta;
use crate::wire::names::GroupResource;
use crate::wire::status::{Cause, Details, Status};

/// How many generated names are tried.
const GENERATED: usize = 8;

impl Store {
    /// Stores a new object, whose kind and namespace have been compared with the path.
    ///
    /// # Errors
    /// 422 for an invalid object, 400 for somebody who would not own it, 403 for a namespace that is not theirs
    /// (visibility rule V17), 409 for a name that is taken.
    pub async fn create(&self, target: &Target<'_>, wanted: Wanted, options: &WriteOptions) -> Result<Written, Status> {
        self.create_new(target, wanted, options, true).await
    }

    /// As [`Store::create`]; `record` is false where the object says already who owns what.
    pub(super) async fn create_new(
        &self,
        target: &Target<'_>,
        wanted: Wanted,
        options: &WriteOptions,
        record: bool,
    ) -> Result<Written, Status> {
        let stored = self.stored(target.kind);
        let mut wanted = wanted;
        let object = &mut wanted.object;
        meta::wipe_system_fields(object);
        // What is no revision says nothing, and an apply is an update of what may not be there yet
        // (k8s.io/apiserver pkg/storage/etcd3/store.go).
        if record
            && meta::resource_version(object)
                .parse()
                .is_ok_and(|version: u64| version != 0)
        {
            return Err(stored.kind.conventions.version_given());
        }
        meta::set(object, "resourceVersion", Value::Null);
        meta::set(object, "namespace", target.namespace);
        if target.resource.access == Access::Filtered {
            metadata::keep_own_finalizers(object, None);
        }
        if record {
            let write = options.write(target, Part::Main);
            self.fields(target.kind).update(&Value::Null, object, &write);
        }
        self.mutated(target, Part::Main, options, &mut wanted, &Value::Null)
            .await?;
        let mut object = std::mem::take(&mut wanted.object);
        self.settle(target, &mut object);
        let base = meta::generate_name(&object).to_owned();
        let generate = meta::name(&object).is_empty() && !base.is_empty();
        let attempts = if generate { GENERATED } else { 1 };
        for _ in 0..attempts {
            if generate {
                meta::set(&mut object, "name", meta::generated_name(&base));
            }
            target.resource.strategy().prepare_create(&mut object);
            let found = self.validate_new(target, &object);
            let mut warnings = wanted.warnings.clone();
            warnings.extend(found.map_err(|status| status.with_warnings(&wanted.warnings))?);
            self.allowed(target, options, &object, &Value::Null)?;
            let name = meta::name(&object).to_owned();
            let named = target.named(target.namespace, &name);
            let mut stored = Cow::Borrowed(&object);
            if target.resource.version.is_some() {
                target.resource.store(stored.to_mut());
            }
            let created = Arc::new(self.complete(&named, 0, &stored)?);
            if target.filtered() && !created.facts.owned_by(&target.caller.subjects) {
                let kind = &target.resource.stored.singular;
                let message = format!("cannot create {kind} you're not the owner of");
                return Err(Status::bad_request(message));
            }
            let judged = self.judged(target, Part::Main, options, &object, &Value::Null).await;
            judged.map_err(|status| status.with_warnings(&warnings))?;
            if let Some(written) = self.insert(&named, created, options, warnings).await? {
                return Ok(written);
            }
        }
        let mut status = taken(target, meta::name(&object), generate);
        if self.leaves(target, meta::name(&object)).await? {
            status.message.insert_str(0, "object is being deleted: ");
        }
        Err(status)
    }

    /// Gives a new object what is the server's to say, and takes away what is not the writer's, nor admission's.
    fn settle(&self, target: &Target<'_>, object: &mut Value) {
        let stored = self.stored(target.kind);
        metadata::born(object, stored.kind.conventions);
        meta::set(object, "resourceVersion", Value::Null);
        meta::set(object, "namespace", target.namespace);
        if let Some(members) = object.as_object_mut().filter(|_| stored.split) {
            members.remove("status");
        }
        if target.resource.access == Access::Filtered {
            metadata::keep_own_finalizers(object, None);
        }
    }

    /// Whether the object that has a name is being deleted, for those to whom nothing is hidden.
    async fn leaves(&self, target: &Target<'_>, name: &str) -> Result<bool, Status> {
        if target.filtered() {
            return Ok(false);
        }
        let snapshot = self.cache.fresh().await.map_err(super::stale)?;
        let object = snapshot.get(target.kind, &target.named(target.namespace, name).key());
        Ok(object.is_some_and(|object| metadata::deleting(&object.value())))
    }

    /// Stores the object, unless its name is taken.
    async fn insert(
        &self,
        target: &Target<'_>,
        created: Arc<Object>,
        options: &WriteOptions,
        warnings: Vec<String>,
    ) -> Result<Option<Written>, Status> {
        if options.dry_run {
            return self.rehearse(target, created, warnings).await;
        }
        let stored = Bytes::from(created.stored());
        let mut snapshot = self.cache.any().map_err(super::stale)?;
        let mut claim = None;
        for _ in 0..super::ATTEMPTS {
            let guards = match self.guards(target, &snapshot, claim) {
                Ok(guards) => guards,
                Err(_) => {
                    snapshot = self.cache.fresh().await.map_err(super::stale)?;
                    self.guards(target, &snapshot, claim)?
                }
            };
            let mut ops = vec![Op {
                key: storage_key(target),
                expect: Expect::Absent,
                change: Change::Put(stored.clone()),
            }];
            ops.extend(guards);
            match self.put(ops, &created).await {
                Ok(revision) => {
                    let object = created.at(revision).into();
                    return Ok(Some(Written { object, warnings }));
                }
                Err(Lost::Race(_)) => return Ok(None),
                Err(Lost::Guard { key, current }) => {
                    if key == claim::key(target.namespace) {
                        claim = current.map(|entry| entry.revision);
                    }
                    snapshot = self.cache.fresh().await.map_err(super::stale)?;
                }
                Err(Lost::Refused(status)) => return Err(status),
            }
        }
        Err(Status::modified(&target.resource.group_resource(), target.name))
    }

    /// Everything but storing.
    async fn rehearse(
        &self,
        target: &Target<'_>,
        object: Arc<Object>,
        warnings: Vec<String>,
    ) -> Result<Option<Written>, Status> {
        let snapshot = self.cache.fresh().await.map_err(super::stale)?;
        self.guards(target, &snapshot, None)?;
        if snapshot.get(target.kind, &target.key()).is_some() {
            return Ok(None);
        }
        Ok(Some(Written { object, warnings }))
    }

    /// V17: where an object of the parent kind claims the namespace, only its owners and own members may create here.
    /// What is returned keeps that true until the transaction; `claim` is the revision of a claim on the namespace that
    /// the snapshot is known to contain.
    fn guards(&self, target: &Target<'_>, snapshot: &Snapshot, claim: Option<Revision>) -> Result<Vec<Op>, Status> {
        let mut guards = self.admitted_by(target, snapshot, claim)?;
        guards.extend(self.namespace_lives(target, snapshot)?);
        Ok(guards)
    }

    /// Where this server holds the namespaces itself, an object is created only in one that is there and stays
    /// (k8s.io/apiserver pkg/admission/plugin/namespace/lifecycle). What is returned keeps that true until the
    /// transaction, so that nothing is left behind in a namespace that goes.
    fn namespace_lives(&self, target: &Target<'_>, snapshot: &Snapshot) -> Result<Option<Op>, Status> {
        let Some(kind) = self.namespaces.filter(|_| target.resource.stored.namespaced) else {
            return Ok(None);
        };
        let namespace = target.namespace;
        let Some(object) = snapshot.get(kind, &namespace.into()) else {
            let namespaces = GroupResource {
                group: String::new(),
                resource: self.spec(kind).plural.clone(),
            };
            return Err(Status::not_found(&namespaces, namespace));
        };
        if metadata::deleting(&object.value()) {
            let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
            let mut status = Status::forbidden(&target.resource.group_resource(), target.name, why);
            let details = status.details.get_or_insert_with(Box::<Details>::default);
            details.causes.push(Cause {
                reason: "NamespaceTerminating".to_owned(),
                message: format!("namespace {namespace} is being terminated"),
                field: "metadata.namespace".to_owned(),
            });
            return Err(status);
        }
        Ok(Some(Op {
            key: format!("{}/{namespace}", self.spec(kind).plural),
            expect: Expect::At(object.revision),
            change: Change::Keep,
        }))
    }

    fn admitted_by(
        &self,
        target: &Target<'_>,
        snapshot: &Snapshot,
        claim: Option<Revision>,
    ) -> Result<Vec<Op>, Status> {
        let Edge::Members {
            parent: Some(parent), ..
        } = &target.resource.stored.edge
        else {
            return Ok(Vec::new());
        };
        let Some(parent) = self.kind_id(parent).filter(|_| target.filtered()) else {
            return Ok(Vec::new());
        };
        let mut guards = Vec::new();
        for key in snapshot.claimants(parent, target.namespace) {
            let Some(organization) = snapshot.get(parent, &key) else {
                continue;
            };
            if !organization.facts.admits(&target.caller.subjects) {
                return Err(self.forbidden_by_rbac(target));
            }
            guards.push(Op {
                key: format!("{}/{key}", self.spec(parent).plural),
                expect: Expect::At(organization.revision),
                change: Change::Keep,
            });
        }
        if guards.is_empty() {
            guards.push(claim::guard(target.namespace, claim));
        }
        Ok(guards)
    }

    /// The 403 that RBAC itself would have given: the namespace's existence is nobody's business.
    fn forbidden_by_rbac(&self, target: &Target<'_>) -> Status {
        let resource = target.resource.group_resource();
        let why = format!(
            "User {:?} cannot create resource {:?} in API group {:?} in the namespace {:?}",
            target.caller.user.name, resource.resource, resource.group, target.namespace
        );
        Status::forbidden(&resource, "", why)
    }
}

/// 409 without any detail of the object that has the name (visibility rule V7).
fn taken(target: &Target<'_>, name: &str, generated: bool) -> Status {
    let mut status = Status::already_exists(&target.resource.group_resource(), name);
    if generated {
        status.message += ", the server was not able to generate a unique name for the object";
        let details = status.details.get_or_insert_with(Box::<Details>::default);
        details.retry_after_seconds = 1;
    }
    status
}
