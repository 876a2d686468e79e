//! What is decided about a write by who makes it, beyond what authorization allowed.

use serde_json::Value;

use super::caller::Target;
use super::store::update::Part;
use crate::wire::status::Status;

/// A write that has been decoded, and not validated yet.
pub struct Attempt<'a> {
    /// Who writes, and where.
    pub target: &'a Target<'a>,
    /// Which half.
    pub part: Part,
    /// What is to be stored.
    pub new: &'a Value,
    /// What is stored; `None` for a new object.
    pub old: Option<&'a Value>,
}

/// Decides about writes of objects. It reads no more than the watch cache: it is asked again, after the cache has
/// caught up, before a refusal is told.
pub trait Admission: Send + Sync + 'static {
    /// Refuses a write, or not.
    ///
    /// # Errors
    /// What the caller is told.
    fn admit(&self, attempt: &Attempt<'_>) -> Result<(), Status>;
}
