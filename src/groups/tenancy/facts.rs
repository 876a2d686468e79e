//! What an Organization or Project says about who sees it.

use serde::Deserialize;
use serde_json::Value;

use crate::visibility::Facts;
use crate::wire::subject::{Subject, SubjectKey};

/// Reads owners, members and the claimed namespace. A subject that cannot be read matches nobody and hurts nobody
/// else (visibility rule V13).
pub fn facts(object: &Value) -> Facts {
    let status = &object["status"];
    Facts {
        owners: keys(&object["spec"]["owners"]),
        members: keys(&status["members"]),
        // Without propagation from Projects the two are the same, and the field is left out.
        own_members: status.get("ownMembers").map(keys),
        namespace: status["namespace"]["name"]
            .as_str()
            .filter(|name| !name.is_empty())
            .map(Into::into),
    }
}

fn keys(subjects: &Value) -> Box<[SubjectKey]> {
    let subjects = subjects.as_array().into_iter().flatten();
    let mut keys: Vec<SubjectKey> = subjects
        .filter_map(|subject| Subject::deserialize(subject).ok()?.key())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into()
}
