//! What a deletion asks for, in its body or in its query.

use serde_json::{Map, Value};

use super::write::validate_dry_run;
use super::{Query, refuse};
use crate::wire::json;
use crate::wire::quote::go_quote;
use crate::wire::status::Status;
use crate::wire::validation::FieldError;

/// What becomes of the dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They stay.
    Orphan,
    /// They go after the object.
    Background,
    /// They go before the object.
    Foreground,
}

impl Propagation {
    /// As `propagationPolicy` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Orphan => "Orphan",
            Self::Background => "Background",
            Self::Foreground => "Foreground",
        }
    }
}

/// What must hold for a deletion to be carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// The uid that the object must have.
    pub uid: Option<String>,
    /// The resourceVersion that the object must have.
    pub resource_version: Option<String>,
}

/// The options of delete and deletecollection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// `dryRun=All`: do everything but the deletion.
    pub dry_run: bool,
    /// What becomes of the dependents; `None` for the kind's default.
    pub propagation_policy: Option<Propagation>,
    /// The deprecated way to say [`Propagation::Orphan`] or not.
    pub orphan_dependents: Option<bool>,
    /// How long the object may take to go; only kinds that stop gracefully heed it.
    pub grace_period_seconds: Option<i64>,
    /// What must hold.
    pub preconditions: Preconditions,
}

/// As given, not yet validated.
#[derive(Default)]
struct Raw {
    dry_run: Vec<String>,
    propagation_policy: Option<String>,
    options: DeleteOptions,
}

impl DeleteOptions {
    /// Reads and validates the query of a deletion without a body.
    ///
    /// # Errors
    /// 400 for a parameter that cannot be read, 422 for a combination that makes no sense.
    pub fn from_query(query: &Query) -> Result<Self, Status> {
        let non_empty = |key: &str| query.get(key).filter(|value| !value.is_empty()).map(str::to_owned);
        let raw = Raw {
            dry_run: query.all("dryRun").map(str::to_owned).collect(),
            propagation_policy: query.get("propagationPolicy").map(str::to_owned),
            options: Self {
                grace_period_seconds: query.integer("gracePeriodSeconds")?,
                orphan_dependents: query.optional_flag("orphanDependents"),
                preconditions: Preconditions {
                    uid: non_empty("uid"),
                    resource_version: non_empty("resourceVersion"),
                },
                ..Self::default()
            },
        };
        raw.validate()
    }

    /// Reads and validates a body that JSON or YAML gave. Any `apiVersion` will do: every group has DeleteOptions.
    ///
    /// # Errors
    /// 400 for a body that is something else, 422 for a combination that makes no sense.
    pub fn from_body(body: &Value) -> Result<Self, Status> {
        let (nothing, kind) = (Map::new(), json::kind(body));
        let body = if body.is_null() {
            Some(&nothing)
        } else {
            body.as_object()
        };
        let Some(body) = body else {
            return Err(unreadable(format!(
                "cannot unmarshal {kind} into Go value of type v1.DeleteOptions"
            )));
        };
        let api_version = text(body, "apiVersion", "DeleteOptions.apiVersion")?.unwrap_or_default();
        let kind = text(body, "kind", "DeleteOptions.kind")?.unwrap_or_default();
        if !matches!(kind.as_str(), "" | "DeleteOptions") {
            let version = if api_version.is_empty() {
                "meta.k8s.io/v1"
            } else {
                &api_version
            };
            return Err(Status::bad_request(format!(
                "no kind {} is registered for version {}",
                go_quote(&kind),
                go_quote(version)
            )));
        }
        let mut raw = Raw {
            propagation_policy: text(body, "propagationPolicy", "DeleteOptions.propagationPolicy")?,
            ..Raw::default()
        };
        match present(body, "dryRun") {
            None => {}
            Some(Value::Array(values)) => {
                for value in values {
                    let Value::String(value) = value else {
                        return Err(mismatch(value, "DeleteOptions.dryRun", "string"));
                    };
                    raw.dry_run.push(value.clone());
                }
            }
            Some(other) => return Err(mismatch(other, "DeleteOptions.dryRun", "[]string")),
        }
        if let Some(value) = present(body, "gracePeriodSeconds") {
            let number = value.as_i64();
            let number = number.ok_or_else(|| mismatch(value, "DeleteOptions.gracePeriodSeconds", "int64"))?;
            raw.options.grace_period_seconds = Some(number);
        }
        if let Some(value) = present(body, "orphanDependents") {
            let flag = value.as_bool();
            let flag = flag.ok_or_else(|| mismatch(value, "DeleteOptions.orphanDependents", "bool"))?;
            raw.options.orphan_dependents = Some(flag);
        }
        match present(body, "preconditions") {
            None => {}
            Some(Value::Object(wanted)) => {
                raw.options.preconditions = Preconditions {
                    uid: text(wanted, "uid", "DeleteOptions.preconditions.uid")?,
                    resource_version: text(wanted, "resourceVersion", "DeleteOptions.preconditions.resourceVersion")?,
                };
            }
            Some(other) => return Err(mismatch(other, "DeleteOptions.preconditions", "v1.Preconditions")),
        }
        raw.validate()
    }
}

impl Raw {
    /// k8s.io/apimachinery pkg/apis/meta/v1/validation ValidateDeleteOptions.
    fn validate(self) -> Result<DeleteOptions, Status> {
        let mut errors = Vec::new();
        let field = "propagationPolicy";
        let mut options = self.options;
        if let Some(policy) = self.propagation_policy.as_deref() {
            if options.orphan_dependents.is_some() {
                let detail = "orphanDependents and deletionPropagation cannot be both set";
                errors.push(FieldError::invalid(field, policy, detail));
            }
            options.propagation_policy = match policy {
                "Orphan" => Some(Propagation::Orphan),
                "Background" => Some(Propagation::Background),
                "Foreground" => Some(Propagation::Foreground),
                other => {
                    let supported = ["Foreground", "Background", "Orphan", "nil"];
                    errors.push(FieldError::not_supported(field, other, &supported));
                    None
                }
            };
        }
        validate_dry_run(&self.dry_run, &mut errors);
        refuse("DeleteOptions", &errors)?;
        options.dry_run = !self.dry_run.is_empty();
        Ok(options)
    }
}

fn present<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

fn text(object: &Map<String, Value>, key: &str, path: &str) -> Result<Option<String>, Status> {
    match present(object, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(mismatch(other, path, "string")),
    }
}

fn mismatch(value: &Value, path: &str, wanted: &str) -> Status {
    let kind = json::kind(value);
    unreadable(format!(
        "cannot unmarshal {kind} into Go struct field {path} of type {wanted}"
    ))
}

fn unreadable(why: String) -> Status {
    Status::bad_request(format!("json: {why}"))
}
