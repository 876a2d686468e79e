//! Ownership after a write (sigs.k8s.io/structured-merge-diff merge/{update,conflict}.go).
//!
//! Each entry of the record is in the form of its version, and is compared with the objects as that version shows them.

use std::borrow::Cow;

use serde_json::Value;

use super::compare::Comparison;
use super::managed::{Managed, Owned, Writer};
use super::merge::merge;
use super::reconcile::reconcile;
use super::scalar;
use super::set::Set;
use super::typed::{field_set, remove};
use super::versions::{Form, Versions};

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
#[derive(Clone, Copy)]
pub struct Updater<'a> {
    /// The versions of the kind.
    pub versions: &'a Versions,
    /// The form of the objects that are given.
    pub form: &'a Form,
    /// What the write cannot change, and therefore nobody comes to own by it.
    pub reset: &'a Set,
}

/// What a write changes, as each form shows it.
struct Changes<'a>(Vec<Change<'a>>);

/// What a write changes in one form; made once, however many entries the record has.
struct Change<'a> {
    form: &'a Form,
    /// What has another value than before.
    set: Set,
    /// What is gone.
    removed: Set,
}

impl Change<'_> {
    /// What is left of the fields of somebody else.
    fn leaves(&self, fields: &Set) -> Set {
        fields.difference(&self.set).difference(&self.removed)
    }
}

impl Changes<'_> {
    fn of(&self, form: &Form) -> Option<&Change<'_>> {
        self.0.iter().find(|change| std::ptr::eq(change.form, form))
    }
}

impl<'a> Updater<'a> {
    /// What an update from `live` to `new` sets; everybody else loses what was changed.
    ///
    /// # Errors
    /// A value does not fit the schema.
    pub fn update(&self, live: &Value, new: &Value, managed: &mut Managed) -> Result<Set, String> {
        self.reconcile(managed);
        let changes = self.changes(live, new, managed)?;
        managed.edit(|owned| {
            let seen = self.seen(&changes, owned)?;
            Some(seen.leaves(&owned.fields))
        });
        let own = changes
            .0
            .into_iter()
            .find(|change| std::ptr::eq(change.form, self.form));
        Ok(own.map(|change| change.set).unwrap_or_default())
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
        let shape = self.form.shape();
        let merged = merge(shape, live, config);
        let merged = merged.map_err(|why| Failure::Schema(format!("failed to merge config: {why}")))?;
        let last = managed.get(&own.writer).cloned();
        let writer = own.writer.clone();
        managed.insert(Owned {
            fields: field_set(shape, config).recursive_difference(self.reset),
            ..own
        });
        let new = match last.filter(|last| !last.fields.is_empty()) {
            Some(last) => self.prune(merged, &last, managed),
            None => merged,
        };
        let changes = self.changes(live, &new, managed).map_err(Failure::Schema)?;
        let others = managed.iter().filter(|owned| owned.writer != writer);
        let conflicts = others.map(|owned| {
            let seen = self.seen(&changes, owned);
            let taken = seen.map(|seen| owned.fields.intersection(&seen.set));
            Conflict {
                writer: owned.writer.clone(),
                fields: taken.unwrap_or_default(),
            }
        });
        let conflicts: Vec<Conflict> = conflicts.filter(|one| !one.fields.is_empty()).collect();
        if !force && !conflicts.is_empty() {
            return Err(Failure::Conflicts(conflicts));
        }
        managed.edit(|owned| {
            let seen = self.seen(&changes, owned).filter(|_| owned.writer != writer)?;
            Some(seen.leaves(&owned.fields))
        });
        Ok((!scalar::equal(live, &new)).then_some(new))
    }

    /// Forgets entries of versions that are not served; in the others, what has become atomic is owned as a whole.
    fn reconcile(&self, managed: &mut Managed) {
        managed.edit(|owned| {
            let form = self.versions.form(&owned.api_version);
            Some(form.map_or_else(Set::default, |form| reconcile(form.shape(), &owned.fields)))
        });
    }

    /// What changes between two objects, in this updater's form and in that of every entry.
    fn changes(&self, live: &Value, new: &Value, managed: &Managed) -> Result<Changes<'a>, String> {
        let mut changes = Changes(Vec::new());
        let others = managed
            .iter()
            .filter_map(|owned| self.versions.form(&owned.api_version));
        for form in std::iter::once(self.form).chain(others) {
            if changes.of(form).is_none() {
                let convert = |value| self.versions.convert(value, self.form, form);
                let found = Comparison::of(form.shape(), &convert(live), &convert(new));
                let found = found.map_err(|why| format!("failed to compare objects: {why}"))?;
                let found = found.without(self.reset);
                changes.0.push(Change {
                    form,
                    set: found.modified.and(found.added),
                    removed: found.removed,
                });
            }
        }
        Ok(changes)
    }

    /// The changes in the form of an entry.
    fn seen<'c>(&self, changes: &'c Changes<'_>, owned: &Owned) -> Option<&'c Change<'c>> {
        changes.of(self.versions.form(&owned.api_version)?)
    }

    /// Removes what this applier applied last time and not this time, unless somebody else owns it.
    fn prune(&self, merged: Value, last: &Owned, managed: &Managed) -> Value {
        let Some(then) = self.versions.form(&last.api_version) else {
            return merged;
        };
        let named = |form: &Form, set: &Set| set.with_named_fields(Some(form.shape()));
        let without =
            |form: &Form, value: &Value, items: &Set| remove(form.shape(), value, items).unwrap_or(Value::Null);
        let last = named(then, &last.fields);
        let merged = self.convert(merged, self.form, then);
        let merged_set = named(then, &field_set(then.shape(), &merged));
        let pruned = without(then, &merged, &last);

        // what went with its parent, but is owned, comes back: first as the version of the last time has it
        let mut forms = vec![then];
        for form in managed
            .iter()
            .filter_map(|owned| self.versions.form(&owned.api_version))
        {
            if !forms.iter().any(|known| std::ptr::eq(*known, form)) {
                forms.push(form);
            }
        }
        let (mut at, mut whole, mut pruned) = (then, merged.clone(), pruned);
        for form in forms {
            let owned = managed.iter().filter(|owned| {
                let own = self.versions.form(&owned.api_version);
                own.is_some_and(|own| std::ptr::eq(own, form))
            });
            let mut all = Set::default();
            owned.for_each(|owned| all.extend(&owned.fields));
            (whole, pruned) = (self.convert(whole, at, form), self.convert(pruned, at, form));
            at = form;
            let kept = named(form, &field_set(form.shape(), &pruned)).union(&named(form, &all));
            let whole_set = named(form, &field_set(form.shape(), &whole));
            pruned = without(form, &whole, &whole_set.difference(&kept));
        }

        // what went with its parent, but was never applied, comes back
        let pruned = self.convert(pruned, at, then);
        let pruned_set = named(then, &field_set(then.shape(), &pruned));
        let new = without(then, &merged, &merged_set.difference(&pruned_set).intersection(&last));
        self.convert(new, then, self.form)
    }

    fn convert(&self, value: Value, from: &Form, to: &Form) -> Value {
        let converted = match self.versions.convert(&value, from, to) {
            Cow::Borrowed(_) => None,
            Cow::Owned(converted) => Some(converted),
        };
        converted.unwrap_or(value)
    }
}
