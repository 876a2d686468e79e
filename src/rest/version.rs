//! Several versions of one stored form.

use std::sync::Arc;

use serde_json::Value;

use super::strategy::Strategy;

/// What a version has of its own that is not served as it is stored.
///
/// A write is decoded, defaulted and validated in the version of its request, and converted last; a read is converted
/// first. Selectable fields, table columns and visibility look at the stored form.
pub struct Version {
    /// The schema of this version, as [`super::resource::Kind::schema`] is that of the stored form.
    pub schema: Value,
    /// What happens to an object that is written through this version.
    pub strategy: Arc<dyn Strategy>,
    /// The way to the stored form and back.
    pub conversion: Arc<dyn Conversion>,
}

/// The way from a version to the stored form and back. `apiVersion`, `kind` and `metadata` need no conversion. Server-side
/// apply converts incomplete objects, too: what is absent on one side is to be absent on the other.
pub trait Conversion: Send + Sync + 'static {
    /// Turns an object of this version into a stored one.
    fn to_stored(&self, object: &mut Value);

    /// Turns a stored object into one of this version.
    fn to_served(&self, object: &mut Value);
}
