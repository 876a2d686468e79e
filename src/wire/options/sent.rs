//! The options of a write as they were sent: for those who are shown the request.

use serde_json::{Value, json};

use super::{DeleteOptions, Query};

/// The options of a write as they were sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Sent {
    /// With a create, an update, a patch or an apply.
    Write {
        /// `dryRun=All`.
        dry_run: bool,
        /// The field manager; empty if none was named.
        field_manager: String,
        /// What is to happen to unknown fields; empty if nothing was said.
        field_validation: String,
    },
    /// With a deletion.
    Delete(DeleteOptions),
}

impl Default for Sent {
    fn default() -> Self {
        Self::Write {
            dry_run: false,
            field_manager: String::new(),
            field_validation: String::new(),
        }
    }
}

impl Sent {
    /// What the query of a write says, which has been found valid.
    pub fn with_write(query: &Query) -> Self {
        Self::Write {
            dry_run: query.get("dryRun").is_some(),
            field_manager: query.text("fieldManager"),
            field_validation: query.text("fieldValidation"),
        }
    }

    /// As JSON of a kind of `meta.k8s.io/v1`.
    pub fn to_value(&self, kind: &str) -> Value {
        let mut value = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1"});
        let mut set = |key: &str, given: Value| value[key] = given;
        match self {
            Self::Write {
                dry_run,
                field_manager,
                field_validation,
            } => {
                if *dry_run {
                    set("dryRun", json!(["All"]));
                }
                for (key, given) in [("fieldManager", field_manager), ("fieldValidation", field_validation)] {
                    if !given.is_empty() {
                        set(key, json!(given));
                    }
                }
            }
            Self::Delete(options) => {
                if options.dry_run {
                    set("dryRun", json!(["All"]));
                }
                if let Some(seconds) = options.grace_period_seconds {
                    set("gracePeriodSeconds", json!(seconds));
                }
                if let Some(orphan) = options.orphan_dependents {
                    set("orphanDependents", json!(orphan));
                }
                if let Some(policy) = options.propagation_policy {
                    set("propagationPolicy", json!(policy.name()));
                }
                let given = &options.preconditions;
                let mut preconditions = json!({});
                for (key, given) in [("uid", &given.uid), ("resourceVersion", &given.resource_version)] {
                    if let Some(given) = given {
                        preconditions[key] = json!(given);
                    }
                }
                if preconditions.as_object().is_some_and(|members| !members.is_empty()) {
                    set("preconditions", preconditions);
                }
            }
        }
        value
    }
}
