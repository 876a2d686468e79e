//! Where admission comes into a write.

use serde_json::Value;

use super::update::Part;
use super::{Store, Wanted, WriteOptions};
use crate::rest::admission::{Attempt, Operation};
use crate::rest::caller::Target;
use crate::rest::field_manager::managed::Managed;
use crate::rest::owners::{self, Found};
use crate::wire::body::Decoded;
use crate::wire::meta;
use crate::wire::options::{DeleteOptions, FieldValidation, Sent};
use crate::wire::quote::go_quote;
use crate::wire::status::Status;

impl Store {
    /// Lets admission change an object that is `old` now, or null if it is new. What is left is an object of the kind again;
    /// says whether it is another one.
    pub(super) async fn mutated(
        &self,
        target: &Target<'_>,
        part: Part,
        options: &WriteOptions,
        wanted: &mut Wanted,
        old: &Value,
    ) -> Result<bool, Status> {
        let operation = operation(old);
        let Some(admission) = self.asked(target, operation) else {
            return Ok(false);
        };
        let tidy = |object: &mut Value| self.tidy_changed(target, object);
        let old = complete(target, old);
        let mut object = target.resource.complete(std::mem::take(&mut wanted.object));
        let record = meta::metadata(&object)
            .get("managedFields")
            .cloned()
            .unwrap_or_default();
        let attempt = Attempt {
            target,
            operation,
            part,
            new: &Value::Null,
            old: &old,
            dry_run: options.dry_run,
            options: &options.sent,
            tidy: &tidy,
        };
        let changed = admission.mutate(&attempt, &mut object).await;
        let changed = changed.map_err(|status| status.with_warnings(&wanted.warnings))?;
        if changed {
            tidy(&mut object)?;
            // pkg/endpoints/handlers/fieldmanager/admission.go
            if let Err(why) = Managed::decode(&object) {
                meta::set(&mut object, "managedFields", record);
                target.caller.notes.warn(format!(
                    ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating \
                     admission controller; please fix your requests: {why}"
                ));
            }
        }
        wanted.object = object;
        if changed {
            owners::dedup(wanted, Found::AfterAdmission);
            in_place(target, &wanted.object, old.is_null())?;
        }
        Ok(changed)
    }

    /// Lets admission judge an object as it will be stored, whose warnings have been collected.
    pub(super) async fn judged(
        &self,
        target: &Target<'_>,
        part: Part,
        options: &WriteOptions,
        new: &Value,
        old: &Value,
    ) -> Result<(), Status> {
        let operation = operation(old);
        let Some(admission) = self.asked(target, operation) else {
            return Ok(());
        };
        let attempt = Attempt {
            target,
            operation,
            part,
            new: &complete(target, new),
            old: &complete(target, old),
            dry_run: options.dry_run,
            options: &options.sent,
            tidy: &|object| self.tidy_changed(target, object),
        };
        admission.validate(&attempt).await
    }

    /// Asks admission about a deletion.
    pub(super) async fn may_go(
        &self,
        target: &Target<'_>,
        options: &DeleteOptions,
        old: impl FnOnce() -> Value,
    ) -> Result<(), Status> {
        let operation = Operation::Delete;
        let Some(admission) = self.asked(target, operation) else {
            return Ok(());
        };
        let mut old = old();
        target.resource.serve(&mut old);
        let attempt = Attempt {
            target,
            operation,
            part: Part::Main,
            new: &Value::Null,
            old: &complete(target, &old),
            dry_run: options.dry_run,
            options: &Sent::Delete(options.clone()),
            tidy: &|_| Ok(()),
        };
        admission.mutate(&attempt, &mut Value::Null).await?;
        admission.validate(&attempt).await
    }

    /// Who is asked about such a write, if anybody.
    fn asked(&self, target: &Target<'_>, operation: Operation) -> Option<&dyn crate::rest::admission::Admission> {
        let admission = self.admission.as_deref()?;
        admission.handles(target, operation).then_some(admission)
    }

    /// What admission has made, as a body is made an object of the kind; what a body may be warned of is nobody's fault here.
    fn tidy_changed(&self, target: &Target<'_>, object: &mut Value) -> Result<(), Status> {
        of_its_kind(target, object)?;
        let body = Decoded {
            value: target.resource.complete(std::mem::take(object)),
            duplicates: Vec::new(),
        };
        let wanted = self.decode(target, body, FieldValidation::Ignore);
        let wanted = wanted.map_err(|why| Status::internal_because(format!("after admission: {why}")))?;
        *object = wanted.object;
        Ok(())
    }
}

/// What has been changed is of the kind that it was (k8s.io/apimachinery pkg/runtime/serializer/json/json.go, Decode).
fn of_its_kind(target: &Target<'_>, object: &Value) -> Result<(), Status> {
    let (own_version, own_kind) = (target.resource.group_version.to_string(), &target.resource.stored.kind);
    // What says nothing is filled in.
    let version = Some(meta::api_version(object)).filter(|said| !said.is_empty());
    let kind = Some(meta::kind(object)).filter(|said| !said.is_empty());
    let (version, kind) = (version.unwrap_or(&own_version), kind.unwrap_or(own_kind));
    if version == own_version && kind == own_kind {
        return Ok(());
    }
    let (kind, version) = (go_quote(kind), go_quote(version));
    Err(Status::internal_because(format!(
        "no kind {kind} is registered for version {version}"
    )))
}

/// What has been changed is where it was. Of what exists, validation holds that it keeps its name.
fn in_place(target: &Target<'_>, object: &Value, new: bool) -> Result<(), Status> {
    let namespace = meta::namespace(object);
    if target.resource.stored.namespaced && !namespace.is_empty() && namespace != target.namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Status::bad_request(message));
    }
    let name = meta::name(object);
    if new && !target.name.is_empty() && name != target.name {
        let text = format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        );
        return Err(Status::bad_request(text));
    }
    Ok(())
}

fn operation(old: &Value) -> Operation {
    if old.is_null() {
        Operation::Create
    } else {
        Operation::Update
    }
}

/// A copy with `apiVersion` and `kind`; null stays null.
fn complete(target: &Target<'_>, object: &Value) -> Value {
    if object.is_null() {
        return Value::Null;
    }
    target.resource.complete(object.clone())
}
