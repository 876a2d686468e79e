//! What happens to an object on its way into the store.

use serde_json::Value;

use super::store::update::Part;
use crate::wire::validation::FieldError;
use crate::wire::validation::names::{NameRule, name_is_dns_subdomain};

/// A part of an object that needs a permission of its own.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// The verb on the resource that RBAC must allow.
    pub verb: &'static str,
    /// Whether the part differs. The old object is null where there was none.
    pub differs: fn(new: &Value, old: &Value) -> bool,
}

/// What happens to an object on its way into the store (k8s.io/apiserver pkg/registry/rest RESTCreateStrategy, RESTUpdateStrategy).
pub trait Strategy: Send + Sync + 'static {
    /// What a new object may be called.
    fn name_rule(&self) -> NameRule {
        name_is_dns_subdomain
    }

    /// Fills defaults; runs before validation, for every write.
    fn default(&self, _object: &mut Value) {}

    /// Writes in one way what means the same; runs on an applied configuration before it is compared with the object. In an
    /// atomic list, what [`Strategy::default`] fills in later would make a conflict of the same words said twice.
    fn normalize(&self, _object: &mut Value) {}

    /// What is wrong with an object apart from its status; the schema's own demands are checked before.
    fn validate(&self, _object: &Value) -> Vec<FieldError> {
        Vec::new()
    }

    /// What is wrong with an object's status, when the status is written.
    fn validate_status(&self, _object: &Value) -> Vec<FieldError> {
        Vec::new()
    }

    /// A part of the objects that not everybody may write who may write the rest.
    fn guard(&self) -> Option<Guard> {
        None
    }

    /// What is wrong with a new object beyond [`Strategy::validate`].
    fn validate_create(&self, _object: &Value) -> Vec<FieldError> {
        Vec::new()
    }

    /// Gives a new object what only the server says of it; runs before validation, and after others' words on the status are
    /// gone.
    fn prepare_create(&self, _object: &mut Value) {}

    /// Takes back what a write of this part must not change; runs before validation.
    fn prepare_update(&self, _part: Part, _new: &mut Value, _old: &Value) {}

    /// Says in an object that its deletion has begun.
    fn prepare_delete(&self, _object: &mut Value) {}

    /// Whether what stands in `spec.finalizers` holds back a deletion as `metadata.finalizers` does, and `/finalize` is
    /// served to take it away: so it is with Namespaces.
    fn has_spec_finalizers(&self) -> bool {
        false
    }

    /// Whether a change may leave out the resourceVersion that it starts from, and then replaces whatever is there.
    fn allows_unconditional_update(&self) -> bool {
        false
    }

    /// Why an object must never be deleted, whoever asks.
    fn keeps(&self, _name: &str) -> Option<&'static str> {
        None
    }

    /// What is wrong with a change beyond [`Strategy::validate`].
    fn validate_update(&self, _new: &Value, _old: &Value) -> Vec<FieldError> {
        Vec::new()
    }
}
