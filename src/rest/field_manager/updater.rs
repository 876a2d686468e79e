//! Ownership after a write (sigs.k8s.io/structured-merge-diff merge/{update,conflict}.go).
//!
//! One schema serves every view and version of a kind, so that nothing is converted: entries of other versions are
//! understood as they are.

use serde_json::Value;

use super::compare::Comparison;
use super::managed::{Managed, Owned, Writer};
use super::merge::merge;
use super::reconcile::reconcile;
use super::scalar;
use super::set::Set;
use super::shape::ShapeRef;
use super::typed::{field_set, remove};

/// What another writer owns and an apply would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// The owner.
    pub writer: Writer,
    /// The fields; there is one at least.
    pub fields: Set,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// Others own what would change.
    Conflicts(Vec<Conflict>),
    /// The values do not fit the schema.
    Schema(String),
}

/// The rules of one kind and one part of it.
#[derive(Clone, Copy, Debug)]
pub struct Updater<'a> {
    /// The type of the objects.
    pub shape: ShapeRef<'a>,
    /// What the write cannot change, and therefore nobody comes to own by it.
    pub reset: &'a Set,
}

impl Updater<'_> {
    /// What an update from `live` to `new` sets; everybody else loses what was changed.
    ///
    /// # Errors
    /// A value does not fit the schema.
    pub fn update(&self, live: &Value, new: &Value, managed: &mut Managed) -> Result<Set, String> {
        self.reconcile(managed);
        let all = compare(self.shape, live, new)?;
        let seen = all.without(self.reset);
        let taken = seen.modified.union(&seen.added).union(&seen.removed);
        managed.edit(|owned| Some(owned.fields.difference(&taken)));
        Ok(seen.modified.union(&seen.added))
    }

    /// The object after an apply, or `None` if nothing in it changes.
    ///
    /// # Errors
    /// Conflicts, unless `force`.
    pub fn apply(
        &self,
        live: &Value,
        config: &Value,
        managed: &mut Managed,
        own: Owned,
        force: bool,
    ) -> Result<Option<Value>, Failure> {
        self.reconcile(managed);
        let merged =
            merge(self.shape, live, config).map_err(|why| Failure::Schema(format!("failed to merge config: {why}")))?;
        let last = managed.get(&own.writer).map(|own| own.fields.clone());
        let writer = own.writer.clone();
        managed.insert(Owned {
            fields: field_set(self.shape, config).recursive_difference(self.reset),
            ..own
        });
        let new = match last.filter(|last| !last.is_empty()) {
            Some(last) => self.prune(&merged, &last, managed),
            None => merged,
        };
        let changes = compare(self.shape, live, &new).map_err(Failure::Schema)?;
        let changes = changes.without(self.reset);
        let changed = changes.modified.union(&changes.added);
        let others = managed.iter().filter(|owned| owned.writer != writer);
        let conflicts = others.map(|owned| Conflict {
            writer: owned.writer.clone(),
            fields: owned.fields.intersection(&changed),
        });
        let conflicts: Vec<Conflict> = conflicts.filter(|one| !one.fields.is_empty()).collect();
        if !force && !conflicts.is_empty() {
            return Err(Failure::Conflicts(conflicts));
        }
        let lost = changed.union(&changes.removed);
        managed.edit(|owned| (owned.writer != writer).then(|| owned.fields.difference(&lost)));
        Ok((!scalar::equal(live, &new)).then_some(new))
    }

    fn reconcile(&self, managed: &mut Managed) {
        managed.edit(|owned| Some(reconcile(self.shape, &owned.fields)));
    }

    /// Removes what this applier applied last time and not this time, unless somebody else owns it.
    fn prune(&self, merged: &Value, last: &Set, managed: &Managed) -> Value {
        let named = |set: &Set| set.with_named_fields(Some(self.shape));
        let without = |value: &Value, items: &Set| remove(self.shape, value, items).unwrap_or(Value::Null);
        let merged_set = named(&field_set(self.shape, merged));
        let pruned = without(merged, &named(last));
        // what went with its parent, but is owned, comes back
        let kept = named(&field_set(self.shape, &pruned)).union(&named(&managed.all_fields()));
        let pruned = without(merged, &merged_set.difference(&kept));
        // what went with its parent, but was never applied, comes back
        let pruned_set = named(&field_set(self.shape, &pruned));
        without(merged, &merged_set.difference(&pruned_set).intersection(&named(last)))
    }
}

fn compare(shape: ShapeRef<'_>, live: &Value, new: &Value) -> Result<Comparison, String> {
    Comparison::of(shape, live, new).map_err(|why| format!("failed to compare objects: {why}"))
}
