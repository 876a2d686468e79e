//! Delete: at once, or marked until the last finalizer is gone.

use std::sync::Arc;

use super::update::remove_ops;
use super::{ATTEMPTS, Lost, Store, not_found, ownership_required, stale, storage_key};
use crate::rest::caller::Target;
use crate::rest::metadata;
use crate::storage::{Change, Expect, Op};
use crate::watchcache::{Object, Snapshot};
use crate::wire::meta;
use crate::wire::names::GroupResource;
use crate::wire::options::{DeleteOptions, Preconditions};
use crate::wire::status::Status;

/// What a deletion came to.
#[derive(Debug)]
pub enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Arc<Object>),
    /// The object waits for its finalizers.
    Marked(Arc<Object>),
}

enum Plan {
    Remove,
    Mark(Arc<Object>),
    /// It is marked already, nothing changes.
    Same,
}

impl Store {
    /// Deletes an object.
    ///
    /// # Errors
    /// 404 for what the caller does not see, 403 for a member who is no owner, 409 for a precondition that does not hold.
    pub async fn delete(&self, target: &Target<'_>, options: &DeleteOptions) -> Result<Deleted, Status> {
        self.delete_as(target, target, options).await
    }

    /// Deletes an object as one of a collection. Admission is told what was asked for, which has no name
    /// (k8s.io/apiserver pkg/registry/rest/delete.go AdmissionToValidateObjectDeleteFunc).
    ///
    /// # Errors
    /// As [`Store::delete`].
    pub async fn delete_of(
        &self,
        collection: &Target<'_>,
        target: &Target<'_>,
        options: &DeleteOptions,
    ) -> Result<Deleted, Status> {
        self.delete_as(collection, target, options).await
    }

    async fn delete_as(
        &self,
        asked: &Target<'_>,
        target: &Target<'_>,
        options: &DeleteOptions,
    ) -> Result<Deleted, Status> {
        let mut snapshot = self.cache.any().map_err(stale)?;
        let mut current = snapshot.get(target.kind, &target.key()).cloned();
        let mut sure = false;
        for _ in 0..ATTEMPTS {
            let plan = self.deletion(asked, target, options, current.as_ref(), &snapshot).await;
            if !sure && matches!(plan, Err(_) | Ok(Plan::Same)) {
                let seen = self.look(target, current.as_ref(), &snapshot);
                snapshot = self.cache.fresh().await.map_err(stale)?;
                current = snapshot.get(target.kind, &target.key()).cloned();
                sure = true;
                if seen != self.look(target, current.as_ref(), &snapshot) {
                    continue;
                }
            }
            let (plan, object) = match (plan, current) {
                (Err(status), _) => return Err(status),
                (Ok(_), None) => return Err(not_found(target)),
                (Ok(plan), Some(object)) => (plan, object),
            };
            let ops = match &plan {
                Plan::Same => return Ok(Deleted::Marked(object)),
                Plan::Remove => remove_ops(target, &object),
                Plan::Mark(value) => vec![Op {
                    key: storage_key(target),
                    expect: Expect::At(object.revision),
                    change: Change::Put(value.stored().into()),
                }],
            };
            let revision = if options.dry_run {
                Ok(object.revision)
            } else {
                match &plan {
                    Plan::Mark(marked) => self.put(ops, marked).await,
                    _ => self.commit(ops).await,
                }
            };
            match revision {
                Ok(revision) => {
                    return match plan {
                        Plan::Mark(marked) => Ok(Deleted::Marked(marked.at(revision).into())),
                        _ => Ok(Deleted::Gone(object)),
                    };
                }
                Err(Lost::Race(entry)) => {
                    current = entry.map(|entry| self.parse(&entry)).transpose()?;
                    sure = false;
                }
                Err(Lost::Guard { key, .. }) => {
                    return Err(Status::internal(format!(
                        "a deletion depends on nothing, but {key} moved"
                    )));
                }
                Err(Lost::Refused(status)) => return Err(status),
            }
        }
        Err(Status::modified(&target.resource.group_resource(), target.name))
    }

    /// Whether the target is the caller's to delete, as far as the cache knows; after a refusal it knows what the refusal does.
    ///
    /// # Errors
    /// The cache cannot be read.
    pub fn owns(&self, target: &Target<'_>) -> Result<bool, Status> {
        let snapshot = self.cache.any().map_err(stale)?;
        let object = snapshot.get(target.kind, &target.key());
        let owned = |object: &Arc<Object>| object.facts.owned_by(&target.caller.subjects);
        Ok(!target.filtered() || object.is_some_and(owned))
    }

    async fn deletion(
        &self,
        asked: &Target<'_>,
        target: &Target<'_>,
        options: &DeleteOptions,
        current: Option<&Arc<Object>>,
        snapshot: &Snapshot,
    ) -> Result<Plan, Status> {
        self.tell_grounds(target, current, snapshot);
        let current = current
            .filter(|object| self.sees(target, object, snapshot))
            .ok_or_else(|| not_found(target))?;
        if target.filtered() && !current.facts.owned_by(&target.caller.subjects) {
            return Err(ownership_required(target, "delete"));
        }
        let strategy = target.resource.strategy();
        if let Some(why) = strategy.keeps(target.name) {
            return Err(Status::forbidden(&target.resource.group_resource(), target.name, why));
        }
        check(target, &options.preconditions, current)?;
        self.may_go(asked, options, || current.value()).await?;
        let old = current.value();
        let mut new = old.clone();
        let policy = options.propagation_policy;
        let finalizers = metadata::deletion_finalizers(&old, policy, options.orphan_dependents);
        let held = metadata::held_by_spec(strategy, &old);
        if finalizers.is_empty() && !held {
            return Ok(Plan::Remove);
        }
        // What has begun goes on in its own time (k8s.io/kubernetes pkg/registry/core/namespace/storage/storage.go).
        if held && metadata::deleting(&old) {
            return Ok(Plan::Same);
        }
        meta::set(&mut new, "finalizers", finalizers);
        if !metadata::deleting(&new) {
            meta::set(&mut new, "deletionTimestamp", meta::now());
            if !held {
                meta::set(&mut new, "deletionGracePeriodSeconds", 0);
            }
            strategy.prepare_delete(&mut new);
            // one that nobody counts is not counted now
            if meta::generation(&new) > 0 {
                metadata::next_generation(&mut new);
            }
        }
        if new == old {
            Ok(Plan::Same)
        } else {
            Ok(Plan::Mark(self.complete(target, 0, &new)?.into()))
        }
    }
}

/// The details of these two refusals name the kind, as the Go server's do.
fn check(target: &Target<'_>, preconditions: &Preconditions, current: &Object) -> Result<(), Status> {
    let why = match (&preconditions.uid, &preconditions.resource_version) {
        (Some(uid), _) if **uid != *current.uid => format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and \
             then recreated",
            current.uid
        ),
        (_, Some(version)) if *version != current.revision.to_string() => format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object \
             might have been modified",
            current.revision
        ),
        _ => return Ok(()),
    };
    let kind = GroupResource {
        group: target.resource.group_version.group.clone(),
        resource: target.resource.stored.kind.clone(),
    };
    Err(Status::conflict(&kind, target.name, why))
}
