//! What happens to an Organization or a Project on its way into the store: both have owners, and both become a namespace.

use std::sync::Arc;

use serde_json::Value;

use super::reserved::Reserved;
use super::subjects;
use crate::rest::resource::{Guard, Strategy};
use crate::wire::meta;
use crate::wire::validation::FieldError;
use crate::wire::validation::names::{NameRule, name_is_dns_label};

/// The longest name of a namespace.
const LONGEST: usize = 63;
/// Where an object holds subjects.
const SUBJECTS: [&str; 3] = ["/spec/owners", "/status/members", "/status/ownMembers"];

/// The strategy of both kinds.
pub(super) struct Rules {
    pub(super) reserved: Arc<Reserved>,
    /// What not everybody may write.
    pub(super) guard: Option<Guard>,
}

impl Strategy for Rules {
    fn name_rule(&self) -> NameRule {
        name_is_dns_label
    }

    fn default(&self, object: &mut Value) {
        for path in SUBJECTS {
            if let Some(list) = object.pointer_mut(path) {
                subjects::default(list);
            }
        }
    }

    fn normalize(&self, object: &mut Value) {
        self.default(object);
    }

    fn guard(&self) -> Option<Guard> {
        self.guard
    }

    fn validate(&self, object: &Value) -> Vec<FieldError> {
        subjects::validate("spec.owners", &object["spec"]["owners"])
    }

    fn validate_status(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = subjects::validate("status.members", &object["status"]["members"]);
        errors.extend(subjects::validate("status.ownMembers", &object["status"]["ownMembers"]));
        errors
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let (namespace, name) = (meta::namespace(object), meta::name(object));
        let own = if namespace.is_empty() {
            name.to_owned()
        } else {
            format!("{namespace}-{name}")
        };
        let mut details = Vec::new();
        if own.len() > LONGEST {
            details.push(format!(
                "its namespace would be {own:?}, which is longer than {LONGEST} characters"
            ));
        }
        if let Some(pattern) = self.reserved.pattern(&own) {
            details.push(format!(
                "the namespace name {own:?} is reserved by {pattern:?}, choose another name"
            ));
        }
        let refuse = |detail: &String| FieldError::invalid("metadata.name", name, detail);
        details.iter().map(refuse).collect()
    }
}
