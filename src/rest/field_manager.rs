//! Server-side apply and the record of who owns which field.
//!
//! Ported from k8s.io/apimachinery pkg/util/managedfields and sigs.k8s.io/structured-merge-diff v6. What differs:
//! - whole numbers in an applied configuration keep their precision, where Go makes them floats;
//! - conflicts are told in the order of their managers, where Go's order is random;
//! - a write through `/status` resets every other top-level field, where Go knows `spec` and `metadata` alone.

pub mod compare;
mod last_applied;
pub mod managed;
pub mod merge;
pub mod path;
pub mod reconcile;
mod scalar;
pub mod set;
pub mod shape;
pub mod typed;
pub mod updater;
pub mod versions;

use serde_json::Value;

use self::managed::{Managed, Owned, Writer};
use self::set::Set;
use self::updater::{Conflict, Failure, Updater};
use self::versions::Form;
pub use self::versions::Versions;
use crate::wire::meta;
use crate::wire::names::GroupVersion;
use crate::wire::status::{Cause, Details, Status};

/// How many updaters an object remembers one by one.
const UPDATERS: usize = 10;
/// How much is said of conflicts, in bytes: every path is told from the root, and one long name may stand above many.
const CONFLICTS_LIMIT: usize = 256 << 10;
/// What never belongs to anybody.
const NOBODYS: [&[&str]; 12] = [
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// The field manager of one kind.
#[derive(Debug)]
pub struct FieldManager {
    versions: Versions,
    nobodys: Set,
    /// What a write of the object cannot change.
    reset_main: Set,
    /// What a write of the status cannot change.
    reset_status: Set,
}

/// Who writes, through what.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The manager's name; empty for an unknown one.
    pub manager: &'a str,
    /// The view's group and version.
    pub group_version: &'a GroupVersion,
    /// The kind.
    pub kind: &'a str,
    /// Whether through `/status`.
    pub status: bool,
}

/// A configuration to apply: complete with `apiVersion`, `kind` and name.
#[derive(Clone, Copy, Debug)]
pub struct Configuration<'a> {
    /// The fields that the manager wants.
    pub object: &'a Value,
    /// Whether to take fields from other managers.
    pub force: bool,
}

/// Writes in one way what means the same.
pub type Normalize<'a> = &'a (dyn Fn(&mut Value) + Send + Sync);

impl Write<'_> {
    /// An object in an error's text.
    fn about(&self, object: &Value) -> String {
        let (namespace, name) = (meta::namespace(object), meta::name(object));
        format!("{namespace}/{name}; {}, Kind={}", self.group_version, self.kind)
    }

    fn writer(&self, applied: bool) -> Writer {
        Writer {
            name: if self.manager.is_empty() {
                "unknown"
            } else {
                self.manager
            }
            .to_owned(),
            applied,
            api_version: if applied {
                String::new()
            } else {
                self.group_version.to_string()
            },
            subresource: if self.status { "status" } else { "" }.to_owned(),
        }
    }
}

impl FieldManager {
    /// The field manager of a kind; `split` says whether its status is written through `/status` alone.
    pub fn new(versions: Versions, split: bool) -> Self {
        let others = versions.fields().filter(|name| *name != "status");
        let others: Vec<[&str; 1]> = others.chain(["metadata", "spec"]).map(|name| [name]).collect();
        let others: Vec<&[&str]> = others.iter().map(<[&str; 1]>::as_slice).collect();
        Self {
            nobodys: Set::of_fields(&NOBODYS),
            reset_main: Set::of_fields(if split { &[&["status"]] } else { &[] }),
            reset_status: Set::of_fields(&others),
            versions,
        }
    }

    /// A new object before anything is written, but for its `apiVersion` and `kind`.
    pub fn nothing(&self, group_version: &GroupVersion) -> Value {
        self.form(group_version).nothing().clone()
    }

    fn form(&self, group_version: &GroupVersion) -> &Form {
        self.versions.form_or_stored(&group_version.to_string())
    }

    fn updater(&self, write: &Write<'_>) -> Updater<'_> {
        Updater {
            versions: &self.versions,
            form: self.form(write.group_version),
            reset: if write.status {
                &self.reset_status
            } else {
                &self.reset_main
            },
        }
    }

    fn valid(&self, write: &Write<'_>, value: &Value, duplicates: bool) -> Result<(), String> {
        let errors = typed::validate(self.form(write.group_version).shape(), value, duplicates);
        if errors.is_empty() {
            return Ok(());
        }
        Err(typed::error_text(&errors))
    }

    /// Records in `new` what changed since `live`, which is null for a new object. Never fails: where the values fit no
    /// schema, which validation refuses later, nobody owns anything.
    pub fn update(&self, live: &Value, new: &mut Value, write: &Write<'_>) {
        let managed = if write.status {
            Managed::decode(live).unwrap_or_default()
        } else if managed::asks_for_reset(new) {
            Managed::default()
        } else {
            let given = Managed::decode(new).ok().filter(|given| !given.is_empty());
            given.unwrap_or_else(|| Managed::decode(live).unwrap_or_default())
        };
        meta::set(new, "managedFields", Value::Null);
        // An object that nobody tracked since its creation is tracked from the first apply on.
        if managed.is_empty() && !live.is_null() {
            return;
        }
        if let Ok(managed) = self.record(live, new, managed, write) {
            managed.encode(new);
        }
    }

    fn record(&self, live: &Value, new: &Value, mut managed: Managed, write: &Write<'_>) -> Result<Managed, String> {
        let updater = self.updater(write);
        let live = if live.is_null() { updater.form.nothing() } else { live };
        for (which, value) in [("new", new), ("live", live)] {
            self.valid(write, value, true).map_err(|why| {
                format!(
                    "failed to convert {which} object ({}) to smd typed: {why}",
                    write.about(value)
                )
            })?;
        }
        let set = updater
            .update(live, new, &mut managed)
            .map_err(|why| format!("failed to update ManagedFields ({}): {why}", write.about(new)))?;
        let fields = set.difference(&self.nobodys);
        if !fields.is_empty() {
            let writer = write.writer(false);
            let before = managed.remove(&writer).map(|owned| owned.fields).unwrap_or_default();
            managed.insert(Owned {
                writer,
                api_version: write.group_version.to_string(),
                time: Some(meta::now()),
                fields: fields.and(before),
            });
        }
        managed.cap_updaters(UPDATERS);
        Ok(managed)
    }

    /// The object after an apply. `live` is complete, or has `apiVersion` and `kind` alone where the object is new.
    ///
    /// `normalize` writes in one way what means the same: nobody is in conflict with what they say themselves.
    ///
    /// # Errors
    /// 409 for conflicts, 400 and 500 for configurations that are none of this kind.
    pub fn apply(
        &self,
        live: &Value,
        config: &Configuration<'_>,
        write: &Write<'_>,
        normalize: Normalize<'_>,
    ) -> Result<Value, Status> {
        let given = config.object;
        let mut object = given.clone();
        normalize(&mut object);
        let config = &Configuration {
            object: &object,
            ..*config
        };
        let managed = Managed::decode(live).map_err(|why| failed(format!("failed to decode managed fields: {why}")))?;
        let mut new = match self.try_apply(live, config, write, managed.clone()) {
            Err(Failure::Conflicts(conflicts)) if write.manager == "kubectl" => {
                let own = self
                    .owned_by_client_side_apply(live, write, normalize)
                    .unwrap_or_default();
                let left = conflicts.into_iter().map(|one| Conflict {
                    fields: one.fields.difference(&own),
                    ..one
                });
                let left: Vec<Conflict> = left.filter(|one| !one.fields.is_empty()).collect();
                if left.is_empty() {
                    let forced = Configuration { force: true, ..*config };
                    self.try_apply(live, &forced, write, managed)
                } else {
                    Err(Failure::Conflicts(left))
                }
            }
            result => result,
        }
        .map_err(|failure| match failure {
            Failure::Conflicts(conflicts) => conflict(&conflicts),
            Failure::Schema(why) => failed(why),
        })?;
        if write.manager == "kubectl" {
            last_applied::refresh(&mut new, given);
        }
        Ok(new)
    }

    fn try_apply(
        &self,
        live: &Value,
        config: &Configuration<'_>,
        write: &Write<'_>,
        mut managed: Managed,
    ) -> Result<Value, Failure> {
        let updater = self.updater(write);
        if managed.is_empty() {
            let before = Write {
                manager: "before-first-apply",
                ..*write
            };
            let mut empty = updater.form.nothing().clone();
            empty["apiVersion"] = live["apiVersion"].clone();
            empty["kind"] = live["kind"].clone();
            managed = self
                .record(&empty, live, managed, &before)
                .map_err(|why| Failure::Schema(format!("failed to create manager for existing fields: {why}")))?;
        }
        for (which, value, duplicates) in [("patch", config.object, false), ("live", live, true)] {
            self.valid(write, value, duplicates).map_err(|why| {
                let about = write.about(value);
                Failure::Schema(format!("failed to create typed {which} object ({about}): {why}"))
            })?;
        }
        let writer = write.writer(true);
        let own = Owned {
            time: managed.get(&writer).and_then(|own| own.time.clone()),
            writer: writer.clone(),
            api_version: write.group_version.to_string(),
            fields: Set::default(),
        };
        let new = updater.apply(live, config.object, &mut managed, own, config.force)?;
        if let Some(mut own) = managed.remove(&writer) {
            own.fields = own.fields.difference(&self.nobodys);
            if new.is_some() {
                own.time = Some(meta::now());
            }
            if !own.fields.is_empty() {
                managed.insert(own);
            }
        }
        let mut new = new.unwrap_or_else(|| live.clone());
        managed.encode(&mut new);
        Ok(new)
    }

    /// What `kubectl apply` last applied by itself and nobody changed since.
    fn owned_by_client_side_apply(&self, live: &Value, write: &Write<'_>, normalize: Normalize<'_>) -> Option<Set> {
        let shape = self.form(write.group_version).shape();
        let mut applied = last_applied::configuration(live, write.group_version)?;
        normalize(&mut applied);
        self.valid(write, live, false).ok()?;
        self.valid(write, &applied, false).ok()?;
        let since = compare::Comparison::of(shape, &applied, live).ok()?;
        let changed = since.modified.union(&since.added).union(&since.removed);
        Some(typed::field_set(shape, &applied).difference(&changed))
    }
}

/// Whether two objects differ at most in the times of managed fields, and in what `ignored` names: a field at the top, or
/// one of the metadata.
pub fn same_but_for_times(new: &Value, old: &Value, ignored: &[&str]) -> bool {
    let counts = |name: &String| !ignored.contains(&name.as_str());
    same_members(new, old, &counts, |name, new, old| match name {
        "metadata" => same_members(new, old, &counts, |name, new, old| match (name, new, old) {
            ("managedFields", Value::Array(new), Value::Array(old)) => {
                let timeless = |name: &String| name != "time";
                let same = |(new, old)| same_members(new, old, &timeless, |_, new, old| new == old);
                new.len() == old.len() && new.iter().zip(old).all(same)
            }
            _ => new == old,
        }),
        _ => new == old,
    })
}

/// Whether two objects have the same members, as far as they count.
fn same_members(
    new: &Value,
    old: &Value,
    counts: &dyn Fn(&String) -> bool,
    same: impl Fn(&str, &Value, &Value) -> bool,
) -> bool {
    let (Value::Object(new), Value::Object(old)) = (new, old) else {
        return new == old;
    };
    let number = |map: &serde_json::Map<String, Value>| map.keys().filter(|name| counts(name)).count();
    number(new) == number(old)
        && new
            .iter()
            .filter(|(name, _)| counts(name))
            .all(|(name, new)| old.get(name).is_some_and(|old| same(name, new, old)))
}

/// 500 without a reason, as the Go server answers errors that it does not expect.
fn failed(why: String) -> Status {
    Status::new(500, "", why)
}

/// 409 (k8s.io/apimachinery pkg/util/managedfields/internal/conflict.go).
fn conflict(conflicts: &[Conflict]) -> Status {
    let count: usize = conflicts.iter().map(|one| one.fields.len()).sum();
    let (mut causes, mut lines, mut size) = (Vec::new(), Vec::new(), 0);
    for one in conflicts {
        let writer = one.writer.describe();
        lines.push(format!("conflicts with {writer}:"));
        one.fields.walk(&mut |path| {
            let field: String = path.iter().map(ToString::to_string).collect();
            size += field.len();
            lines.push(format!("- {field}"));
            causes.push(Cause {
                reason: "FieldManagerConflict".to_owned(),
                message: format!("conflict with {writer}"),
                field,
            });
            size <= CONFLICTS_LIMIT
        });
    }
    let message = match causes.as_slice() {
        [only] if count == 1 => format!("Apply failed with 1 conflict: {}: {}", only.message, only.field),
        _ => format!("Apply failed with {count} conflicts: {}", lines.join("\n")),
    };
    Status::new(409, "Conflict", message).with_details(Details {
        causes,
        ..Details::default()
    })
}

#[cfg(test)]
mod tests;
