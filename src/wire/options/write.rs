//! What a create, an update or a patch asks for beside its body.

use super::{Query, refuse};
use crate::wire::quote::is_print;
use crate::wire::status::Status;
use crate::wire::validation::FieldError;

/// The longest field manager, in bytes.
pub const FIELD_MANAGER_LIMIT: usize = 128;

/// What happens to unknown and duplicate fields of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are dropped.
    Ignore,
    /// They are dropped, and a `Warning` header names them.
    #[default]
    Warn,
    /// The request is refused.
    Strict,
}

/// The options of create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateOptions {
    /// `dryRun=All`: do everything but the write.
    pub dry_run: bool,
    /// Who owns the fields that are set; empty to derive it from the user agent.
    pub field_manager: String,
    /// What happens to unknown and duplicate fields.
    pub field_validation: FieldValidation,
}

/// The options of update; the same as those of create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateOptions {
    /// `dryRun=All`: do everything but the write.
    pub dry_run: bool,
    /// Who owns the fields that are set; empty to derive it from the user agent.
    pub field_manager: String,
    /// What happens to unknown and duplicate fields.
    pub field_validation: FieldValidation,
}

/// The options of patch and apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchOptions {
    /// `dryRun=All`: do everything but the write.
    pub dry_run: bool,
    /// Who owns the fields that are set; for other patches than apply, empty to derive it from the user agent.
    pub field_manager: String,
    /// What happens to unknown and duplicate fields.
    pub field_validation: FieldValidation,
    /// Apply alone: take fields from other managers.
    pub force: bool,
}

impl CreateOptions {
    /// Reads and validates the query.
    ///
    /// # Errors
    /// 422.
    pub fn decode(query: &Query) -> Result<Self, Status> {
        let (dry_run, field_manager, field_validation) = decode("CreateOptions", query, Vec::new())?;
        Ok(Self {
            dry_run,
            field_manager,
            field_validation,
        })
    }
}

impl UpdateOptions {
    /// Reads and validates the query.
    ///
    /// # Errors
    /// 422.
    pub fn decode(query: &Query) -> Result<Self, Status> {
        let (dry_run, field_manager, field_validation) = decode("UpdateOptions", query, Vec::new())?;
        Ok(Self {
            dry_run,
            field_manager,
            field_validation,
        })
    }
}

impl PatchOptions {
    /// Reads and validates the query of an apply, or of another patch.
    ///
    /// # Errors
    /// 422.
    pub fn decode(query: &Query, apply: bool) -> Result<Self, Status> {
        let force = query.optional_flag("force");
        let mut errors = Vec::new();
        if apply && query.get("fieldManager").unwrap_or_default().is_empty() {
            errors.push(FieldError::required("fieldManager", "is required for apply patch"));
        }
        if !apply && force.is_some() {
            errors.push(FieldError::forbidden(
                "force",
                "may not be specified for non-apply patch",
            ));
        }
        let (dry_run, field_manager, field_validation) = decode("PatchOptions", query, errors)?;
        Ok(Self {
            dry_run,
            field_manager,
            field_validation,
            force: force.unwrap_or(false),
        })
    }
}

fn decode(kind: &str, query: &Query, mut errors: Vec<FieldError>) -> Result<(bool, String, FieldValidation), Status> {
    let field_manager = query.text("fieldManager");
    validate_field_manager("fieldManager", &field_manager, &mut errors);
    let dry_run: Vec<String> = query.all("dryRun").map(str::to_owned).collect();
    validate_dry_run(&dry_run, &mut errors);
    let field_validation = match query.get("fieldValidation").unwrap_or_default() {
        "" | "Warn" => FieldValidation::Warn,
        "Ignore" => FieldValidation::Ignore,
        "Strict" => FieldValidation::Strict,
        other => {
            let supported = ["", "Ignore", "Strict", "Warn"];
            errors.push(FieldError::not_supported("fieldValidation", other, &supported));
            FieldValidation::Warn
        }
    };
    refuse(kind, &errors)?;
    Ok((!dry_run.is_empty(), field_manager, field_validation))
}

/// Only `All` is known, any number of times.
pub(super) fn validate_dry_run(values: &[String], errors: &mut Vec<FieldError>) {
    if values.iter().any(|value| value != "All") {
        errors.push(FieldError::not_supported("dryRun", values, &["All"]));
    }
}

/// A field manager is short and printable (k8s.io/apimachinery pkg/apis/meta/v1/validation ValidateFieldManager).
pub fn validate_field_manager(path: &str, manager: &str, errors: &mut Vec<FieldError>) {
    if manager.len() > FIELD_MANAGER_LIMIT {
        errors.push(FieldError::too_long(path, FIELD_MANAGER_LIMIT));
    }
    // Each fault shows the whole name: for a long one all of them would be as many as the square.
    if manager.len() > 4 * FIELD_MANAGER_LIMIT {
        return;
    }
    for (at, c) in manager.char_indices().filter(|(_, c)| !is_print(*c)) {
        let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(c));
        errors.push(FieldError::invalid(path, manager, &detail));
    }
}

/// The field manager of a request that names none: the user agent up to the first slash, printable and short
/// (k8s.io/apiserver pkg/endpoints/handlers/create.go prefixFromUserAgent).
pub fn manager_from_user_agent(user_agent: &str) -> String {
    let mut manager = String::new();
    let head = user_agent.split('/').next().unwrap_or_default();
    for c in head.chars().filter(|c| is_print(*c)) {
        if manager.len() + c.len_utf8() > FIELD_MANAGER_LIMIT {
            break;
        }
        manager.push(c);
    }
    manager
}
