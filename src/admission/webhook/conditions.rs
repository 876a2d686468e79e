//! `matchConditions`.

use super::Hook;
use crate::admission::attributes::Attributes;
use crate::rest::resource::Resource;

/// Whether all conditions of a webhook hold.
pub(super) async fn matched(_hook: &Hook, _attributes: &Attributes<'_>, _resource: &Resource) -> Result<bool, String> {
    Err("matchConditions are not supported".to_owned())
}
