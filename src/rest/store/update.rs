//! Update, and everything that is an update underneath: patch, status, the removal of the last finalizer.

use std::sync::Arc;

use serde_json::Value;

use super::{
    ATTEMPTS, Lost, Store, UNSTORED, Wanted, WriteOptions, Written, not_found, ownership_required, stale, storage_key,
};
use crate::rest::caller::Target;
use crate::rest::field_manager::{Configuration, same_but_for_times};
use crate::rest::resource::Access;
use crate::rest::{claim, metadata};
use crate::storage::{Change, Expect, Op, Revision};
use crate::watchcache::{Object, Snapshot};
use crate::wire::meta;
use crate::wire::status::Status;
use crate::wire::validation::FieldError;

/// Which half of an object a write is about (visibility rule V14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status.
    Main,
    /// The status alone.
    Status,
    /// As [`Part::Main`], of kinds whose `spec.finalizers` are taken away through a path of their own.
    Finalize,
}

/// Makes the wanted object from the current one (complete with resourceVersion). May be called several times.
pub type Modify<'a> = &'a (dyn Fn(&Value) -> Result<Wanted, Status> + Send + Sync);

/// How the wanted object comes about.
#[derive(Clone, Copy)]
pub enum Way<'a> {
    /// By replacing or patching the current one; what changes belongs to the writer.
    Edited(Modify<'a>),
    /// By server-side apply.
    Applied(Configuration<'a>),
}

/// What one look at the current object leads to.
enum Plan {
    /// Nothing to do.
    Same(Vec<String>),
    /// Store this, which has the stored form.
    Put(Value, Vec<String>),
    /// The last finalizer of a deleted object went: remove it; this is its last state.
    Remove(Value, Vec<String>),
}

impl Store {
    /// Changes an object.
    ///
    /// # Errors
    /// 404 for what the caller does not see, 403 for a member who is no owner, 409 for a stale resourceVersion or uid,
    /// 422 for an invalid result; whatever `way` says, conflicts of an apply among it.
    pub async fn update(
        &self,
        target: &Target<'_>,
        verb: &str,
        part: Part,
        options: &WriteOptions,
        way: Way<'_>,
    ) -> Result<Written, Status> {
        let mut snapshot = self.cache.any().map_err(stale)?;
        let mut current = snapshot.get(target.kind, &target.key()).cloned();
        // Whether `current` and `snapshot` are known to be what the storage holds.
        let mut sure = false;
        for _ in 0..ATTEMPTS {
            let plan = self
                .plan(target, verb, part, options, current.as_ref(), &snapshot, way)
                .await;
            if !sure && matches!(plan, Err(_) | Ok(Plan::Same(_))) {
                let seen = self.look(target, current.as_ref(), &snapshot);
                snapshot = self.cache.fresh().await.map_err(stale)?;
                current = snapshot.get(target.kind, &target.key()).cloned();
                sure = true;
                // What was looked at is what there is: nobody has to be asked again.
                if seen != self.look(target, current.as_ref(), &snapshot) {
                    continue;
                }
            }
            let (ops, next, warnings) = match (plan, &current) {
                (Err(status), _) => return Err(status),
                (_, None) => return Err(not_found(target)),
                (Ok(Plan::Same(warnings)), Some(current)) => return Ok(written(current.clone(), warnings)),
                (Ok(Plan::Put(value, warnings)), Some(current)) => {
                    let next = Arc::new(self.complete(target, 0, &value)?);
                    (put_ops(target, current, &next), (next, None), warnings)
                }
                // An object that goes has no revision of its own any more: it is shown with its last one.
                (Ok(Plan::Remove(value, warnings)), Some(current)) => {
                    let last = Arc::new(self.complete(target, 0, &value)?);
                    (remove_ops(target, current), (last, Some(current.revision)), warnings)
                }
            };
            let (next, shown_at) = next;
            if options.dry_run {
                let revision = current.as_ref().map_or(0, |current| current.revision);
                return Ok(written(next.at(revision).into(), warnings));
            }
            match self.put(ops, &next).await {
                Ok(revision) => return Ok(written(next.at(shown_at.unwrap_or(revision)).into(), warnings)),
                Err(Lost::Race(entry)) => {
                    // Newer than the snapshot, which a refusal therefore must not rest upon.
                    current = entry.map(|entry| self.parse(&entry)).transpose()?;
                    sure = false;
                }
                Err(Lost::Guard { .. }) => {
                    let namespace = next.facts.namespace.as_deref().unwrap_or_default();
                    let error = FieldError::duplicate("status.namespace.name", namespace);
                    return Err(Status::invalid(&target.resource.group_kind(), target.name, &[error]));
                }
                Err(Lost::Refused(status)) => return Err(status),
            }
        }
        Err(Status::modified(&target.resource.group_resource(), target.name))
    }

    /// Of what a plan was made: which version of the object, and whether it exists for the caller.
    pub(super) fn look(
        &self,
        target: &Target<'_>,
        current: Option<&Arc<Object>>,
        snapshot: &Snapshot,
    ) -> Option<(Revision, bool)> {
        current.map(|object| (object.revision, self.sees(target, object, snapshot)))
    }

    /// The checks are made against the object that the transaction compares with (visibility rule V11).
    #[expect(
        clippy::too_many_arguments,
        reason = "one look at one object: splitting it would only rename the arguments"
    )]
    async fn plan(
        &self,
        target: &Target<'_>,
        verb: &str,
        part: Part,
        options: &WriteOptions,
        current: Option<&Arc<Object>>,
        snapshot: &Snapshot,
        way: Way<'_>,
    ) -> Result<Plan, Status> {
        self.tell_grounds(target, current, snapshot);
        let current = current
            .filter(|object| self.sees(target, object, snapshot))
            .ok_or_else(|| not_found(target))?;
        if target.filtered() && !current.facts.owned_by(&target.caller.subjects) {
            return Err(ownership_required(target, verb));
        }
        let mut old = current.value();
        target.resource.serve(&mut old);
        let stored = self.stored(target.kind);
        let mut wanted = self.wanted(target, part, options, &old, way)?;
        compare_identity(target, part, options, &wanted.object, &old)
            .map_err(|status| status.with_warnings(&wanted.warnings))?;
        meta::set(&mut wanted.object, "namespace", target.namespace);
        if self.mutated(target, part, options, &mut wanted, &old).await? {
            if target.resource.access == Access::Filtered {
                metadata::keep_own_finalizers(&mut wanted.object, Some(&old));
            }
            compare_identity(target, part, options, &wanted.object, &old)
                .map_err(|status| status.with_warnings(&wanted.warnings))?;
        }
        let Wanted {
            object: mut new,
            mut warnings,
        } = wanted;
        metadata::carry_over(&mut new, &old);
        // whoever names no revision means the one that is there
        if meta::resource_version(&new).is_empty() {
            meta::set(&mut new, "resourceVersion", meta::resource_version(&old));
        }
        meta::set(&mut new, "namespace", target.namespace);
        match part {
            Part::Main | Part::Finalize if !stored.split => {}
            Part::Main | Part::Finalize => keep(&mut new, &old, |field| field == "status"),
            Part::Status => {
                // of the metadata, the record of who owns what is the one thing that changes
                let managed = meta::metadata(&new).get("managedFields").cloned();
                keep(&mut new, &old, |field| field != "status");
                meta::set(&mut new, "managedFields", managed.unwrap_or_default());
            }
        }
        let strategy = target.resource.strategy();
        strategy.prepare_update(part, &mut new, &old);
        let found = self.validate_change(target, part, &new, &old);
        warnings.extend(found.map_err(|status| status.with_warnings(&warnings))?);
        self.allowed(target, options, &new, &old)?;
        if stored.kind.conventions.counts_generation() && content(&new, stored.split) != content(&old, stored.split) {
            metadata::next_generation(&mut new);
        }
        self.judged(target, part, options, &new, &old)
            .await
            .map_err(|status| status.with_warnings(&warnings))?;
        target.resource.store(&mut new);
        target.resource.store(&mut old);
        if metadata::deleting(&new) && meta::finalizers(&new).is_empty() && !metadata::held_by_spec(strategy, &new) {
            return Ok(Plan::Remove(new, warnings));
        }
        if same_but_for_times(&new, &old, &UNSTORED) {
            return Ok(Plan::Same(warnings));
        }
        Ok(Plan::Put(new, warnings))
    }

    /// The wanted object with the record of who owns what, free of unknown fields and with its defaults.
    fn wanted(
        &self,
        target: &Target<'_>,
        part: Part,
        options: &WriteOptions,
        old: &Value,
        way: Way<'_>,
    ) -> Result<Wanted, Status> {
        let fields = self.fields(target.kind);
        let write = options.write(target, part);
        let mut wanted = match way {
            Way::Edited(modify) => modify(old)?,
            Way::Applied(config) => {
                let mut new = fields.apply(
                    &target.resource.complete(old.clone()),
                    &config,
                    &write,
                    &self.normalize(target),
                )?;
                self.tidy_applied(target, &mut new)?;
                Wanted {
                    object: new,
                    warnings: Vec::new(),
                }
            }
        };
        let new = &mut wanted.object;
        if target.resource.access == Access::Filtered {
            metadata::keep_own_finalizers(new, Some(old));
        }
        if let Way::Edited(_) = way {
            fields.update(old, new, &write);
        }
        Ok(wanted)
    }
}

/// The transaction that stores `next` over `current`, claims included.
fn put_ops(target: &Target<'_>, current: &Object, next: &Object) -> Vec<Op> {
    let mut ops = vec![Op {
        key: storage_key(target),
        expect: Expect::At(current.revision),
        change: Change::Put(next.stored().into()),
    }];
    let (old, new) = (current.facts.namespace.as_deref(), next.facts.namespace.as_deref());
    ops.extend(claim::ops(target, &current.uid, old, new));
    ops
}

/// The transaction that removes `current`, its claim included.
pub(super) fn remove_ops(target: &Target<'_>, current: &Object) -> Vec<Op> {
    let mut ops = vec![Op {
        key: storage_key(target),
        expect: Expect::At(current.revision),
        change: Change::Delete,
    }];
    ops.extend(claim::release(target, current));
    ops
}

fn written(object: Arc<Object>, warnings: Vec<String>) -> Written {
    Written { object, warnings }
}

/// The resourceVersion and uid that the client gives are preconditions. A patch of the status says nothing of the uid: of its
/// metadata nothing is taken (apiextensions-apiserver pkg/registry/customresource/status_strategy.go).
fn compare_identity(
    target: &Target<'_>,
    part: Part,
    options: &WriteOptions,
    new: &Value,
    old: &Value,
) -> Result<(), Status> {
    let resource = target.resource.group_resource();
    let uid = meta::uid(new);
    let heeded = !(options.patched && part == Part::Status);
    if heeded && !uid.is_empty() && uid != meta::uid(old) {
        if options.patched {
            let error = FieldError::invalid("metadata.uid", uid, "field is immutable");
            let mut errors = vec![error];
            if target.resource.stored.conventions.checks_metadata_twice() {
                errors.push(errors[0].clone());
            }
            return Err(Status::invalid(&target.resource.group_kind(), target.name, &errors));
        }
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in \
             precondition: {uid}, UID in object meta: {}",
            storage_key(target),
            meta::uid(old)
        );
        return Err(Status::conflict(&resource, target.name, why));
    }
    let version = meta::resource_version(new);
    if version.is_empty() && target.resource.strategy().allows_unconditional_update() {
        return Ok(());
    }
    if version.is_empty() || version == "0" {
        let error = FieldError::invalid("metadata.resourceVersion", 0, "must be specified for an update");
        let kind = crate::wire::names::GroupKind {
            group: resource.group,
            kind: resource.resource,
        };
        return Err(Status::invalid(&kind, target.name, &[error]));
    }
    if version != meta::resource_version(old) {
        return Err(Status::modified(&resource, target.name));
    }
    Ok(())
}

/// Takes the top-level fields that `stays` names from the stored object.
fn keep(new: &mut Value, old: &Value, stays: impl Fn(&str) -> bool) {
    let (Some(new), Some(old)) = (new.as_object_mut(), old.as_object()) else {
        return;
    };
    new.retain(|field, _| !stays(field));
    let kept = old.iter().filter(|(field, _)| stays(field));
    new.extend(kept.map(|(field, value)| (field.clone(), value.clone())));
}

/// What the generation counts: everything but metadata, and the status where that is a half of its own.
fn content(object: &Value, split: bool) -> Vec<(&String, &Value)> {
    let members = object.as_object().into_iter().flatten();
    let counted = members.filter(|(field, _)| match field.as_str() {
        "metadata" | "apiVersion" | "kind" => false,
        "status" => !split,
        _ => true,
    });
    counted.collect()
}
