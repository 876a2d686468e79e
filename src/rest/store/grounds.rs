//! Why an object exists for a caller, for the audit of the request: nobody is told who does not read that.

use std::sync::Arc;

use super::Store;
use crate::rest::caller::Target;
use crate::rest::resource::Access;
use crate::watchcache::{Object, Snapshot};
use crate::wire::notes::{Detail, Notes};
use crate::wire::subject::SubjectKey;

/// What the caller is to the object: `owner`, `member`, `via project web`, `none` where it is hidden from them, or
/// `unfiltered` where nobody asks (visibility rule V16).
const ROLE: &str = "visibility.bulward.io/role";
/// The subject by which they are: `User:alice`, `Group:team-alice`.
const SUBJECT: &str = "visibility.bulward.io/subject";

impl Store {
    /// Says why `object` (nothing, where there is none) is decided upon as it is. What was said before no longer counts: it
    /// may have rested on an older object.
    pub(super) fn tell_grounds(&self, target: &Target<'_>, object: Option<&Arc<Object>>, snapshot: &Snapshot) {
        let notes = &target.caller.notes;
        if target.resource.access != Access::Filtered || !notes.wanted(Detail::Facts) {
            return;
        }
        let (role, subject) = match object {
            None => (None, None),
            Some(_) if target.caller.unfiltered => (Some("unfiltered".to_owned()), None),
            Some(object) => {
                let audience = snapshot.audience(target.kind, object);
                match audience.witness(&target.caller.subjects) {
                    Some((role, subject)) => (Some(role.to_string()), Some(shown(subject))),
                    None => (Some("none".to_owned()), None),
                }
            }
        };
        notes.settle(ROLE, role);
        notes.settle(SUBJECT, subject);
    }
}

/// What was said of one object does not hold for all.
pub fn forget(notes: &Notes) {
    notes.settle(ROLE, None);
    notes.settle(SUBJECT, None);
}

fn shown(subject: &SubjectKey) -> String {
    match subject.as_str().split_once(':') {
        Some(("g", group)) => format!("Group:{group}"),
        Some((_, user)) => format!("User:{user}"),
        None => String::new(),
    }
}
