//! Who made what, as far as it was seen: a label can be taken off, and what carried it is still ours.

use std::collections::HashMap;

use kube::Resource;
use kube::api::ObjectMeta;
use parking_lot::Mutex;

use super::super::labels::{MAKER_UID, label};
use crate::controllers::store::Change;

/// Uids of makers by the uids of the Roles and RoleBindings that they made.
#[derive(Debug, Default)]
pub struct Memory(Mutex<HashMap<String, String>>);

impl Memory {
    /// Takes note of a change.
    pub fn saw(&self, change: &Change<'_, impl Resource>) {
        match change.new {
            Some(new) => self.saw_object(new.meta()),
            None => {
                let uid = change.object().meta().uid.as_deref().unwrap_or_default();
                self.0.lock().remove(uid);
            }
        }
    }

    /// Takes note of an object. What was seen first counts: a label may be changed later.
    pub fn saw_object(&self, metadata: &ObjectMeta) {
        let maker = label(metadata.labels.as_ref(), MAKER_UID);
        if let (Some(uid), Some(maker)) = (&metadata.uid, maker) {
            self.0.lock().entry(uid.clone()).or_insert_with(|| maker.to_owned());
        }
    }

    /// The uid of what made an object.
    pub fn maker(&self, metadata: &ObjectMeta) -> Option<String> {
        let seen = metadata.uid.as_ref().and_then(|uid| self.0.lock().get(uid).cloned());
        seen.or_else(|| label(metadata.labels.as_ref(), MAKER_UID).map(str::to_owned))
    }
}
