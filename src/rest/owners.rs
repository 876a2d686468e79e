//! Owner references that are given twice (k8s.io/apiserver pkg/endpoints/handlers/rest.go dedupOwnerReferences).

use std::collections::HashSet;

use serde_json::Value;

use super::store::Wanted;

/// When they are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// In the body.
    InBody,
    /// In what a patch made, which is looked at but once, or in what admission made.
    AfterAdmission,
}

/// Leaves one of equal owner references, and warns of the others.
pub fn dedup(wanted: &mut Wanted, found: Found) {
    let references = wanted.object.pointer_mut("/metadata/ownerReferences");
    let Some(Value::Array(references)) = references else {
        return;
    };
    let mut kept: Vec<Value> = Vec::with_capacity(references.len());
    let mut seen = HashSet::new();
    let mut twice = Vec::new();
    for reference in references.drain(..) {
        if seen.insert(reference.clone()) {
            kept.push(reference);
        } else {
            twice.push(reference["uid"].as_str().unwrap_or_default().to_owned());
        }
    }
    *references = kept;
    if twice.is_empty() {
        return;
    }
    let when = match found {
        Found::InBody => "",
        Found::AfterAdmission => " after mutating admission happens",
    };
    wanted.warnings.push(format!(
        ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may \
         reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        twice.join(", ")
    ));
}
