//! AdmissionReview: what is asked, and what an answer must be (k8s.io/apiserver pkg/admission/plugin/webhook/request).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::wire::quote::go_quote;
use crate::wire::status::{Cause, Details, Status};

/// A version of AdmissionReview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one that says what it answers to.
    V1,
    /// The one before.
    V1beta1,
}

/// What a webhook answers.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    /// Facts for the audit.
    pub audit_annotations: BTreeMap<String, String>,
    /// Whether the request may go on.
    pub allowed: bool,
    /// A JSON Patch; empty for none.
    pub patch: Vec<u8>,
    /// How the patch is to be understood.
    pub patch_type: String,
    /// What the caller is to be told.
    pub status: Option<GivenStatus>,
    /// Sentences for the caller.
    pub warnings: Vec<String>,
}

/// A Status as a webhook gives it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct GivenStatus {
    code: i64,
    reason: Option<String>,
    message: Option<String>,
    details: Option<GivenDetails>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct GivenDetails {
    name: String,
    group: String,
    kind: String,
    uid: String,
    causes: Option<Vec<GivenCause>>,
    retry_after_seconds: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct GivenCause {
    reason: String,
    message: String,
    field: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Review {
    api_version: String,
    kind: String,
    response: Option<Response>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Response {
    uid: String,
    allowed: bool,
    status: Option<GivenStatus>,
    patch: Option<String>,
    patch_type: Option<String>,
    audit_annotations: Option<BTreeMap<String, String>>,
    warnings: Option<Vec<String>>,
}

impl Version {
    /// The first of a webhook's versions that is known here.
    ///
    /// # Errors
    /// There is none.
    pub fn of(versions: &[String]) -> Result<Self, String> {
        let known = versions.iter().find_map(|version| match version.as_str() {
            "v1" => Some(Self::V1),
            "v1beta1" => Some(Self::V1beta1),
            _ => None,
        });
        known.ok_or_else(|| "webhook does not accept known AdmissionReview versions (v1, v1beta1)".to_owned())
    }

    /// `v1` ..
    pub fn number(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1beta1 => "v1beta1",
        }
    }

    fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "admission.k8s.io/v1",
            Self::V1beta1 => "admission.k8s.io/v1beta1",
        }
    }

    /// The body of a call.
    pub fn review(self, uid: &str, mut request: Value, object: &Value, old_object: &Value) -> Vec<u8> {
        request["uid"] = uid.into();
        request["object"] = object.clone();
        request["oldObject"] = old_object.clone();
        let review = json!({"kind": "AdmissionReview", "apiVersion": self.api_version(), "request": request});
        crate::wire::json::to_vec(&review)
    }

    /// Reads an answer to the call `uid`.
    ///
    /// # Errors
    /// It is none.
    pub fn answer(self, uid: &str, mutating: bool, bytes: &[u8]) -> Result<Answer, Bad> {
        // serde's text may quote the answer; where it is wrong is enough
        let unread = |error: serde_json::Error| Bad::Undecodable(format!("not understood (column {})", error.column()));
        let review: Review = serde_json::from_slice(bytes).map_err(unread)?;
        let (api_version, kind) = (review.api_version, review.kind);
        let response = review
            .response
            .ok_or_else(|| Bad::invalid("webhook response was absent"))?;
        if self == Self::V1 {
            if response.uid != uid {
                let why = format!(
                    "expected response.uid={}, got {}",
                    go_quote(uid),
                    go_quote(&response.uid)
                );
                return Err(Bad::Invalid(why));
            }
            if api_version != self.api_version() || kind != "AdmissionReview" {
                let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
                return Err(Bad::Invalid(format!(
                    "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {group}/{version}, Kind={kind}"
                )));
            }
        }
        let patch = STANDARD.decode(response.patch.unwrap_or_default());
        let patch = patch.map_err(|error| Bad::Undecodable(error.to_string()))?;
        let mut patch_type = response.patch_type.clone().unwrap_or_default();
        match (self, mutating) {
            (Self::V1, true) => {
                let given = response.patch_type.is_some();
                if !patch.is_empty() && !given {
                    return Err(Bad::invalid(
                        "webhook returned response.patch but not response.patchType",
                    ));
                }
                if patch.is_empty() && given {
                    return Err(Bad::invalid(
                        "webhook returned response.patchType but not response.patch",
                    ));
                }
                if given && patch_type.is_empty() {
                    return Err(Bad::invalid("webhook returned invalid response.patchType of \"\""));
                }
            }
            (Self::V1, false) => {
                if !patch.is_empty() {
                    return Err(Bad::invalid("validating webhook may not return response.patch"));
                }
                if response.patch_type.is_some() {
                    return Err(Bad::invalid("validating webhook may not return response.patchType"));
                }
            }
            (Self::V1beta1, _) => "JSONPatch".clone_into(&mut patch_type),
        }
        Ok(Answer {
            audit_annotations: response.audit_annotations.unwrap_or_default(),
            allowed: response.allowed,
            patch: if mutating { patch } else { Vec::new() },
            patch_type,
            status: response.status,
            warnings: response.warnings.unwrap_or_default(),
        })
    }
}

/// Why an answer is none.
#[derive(Debug, PartialEq)]
pub enum Bad {
    /// It is no AdmissionReview.
    Undecodable(String),
    /// It is one that does not answer.
    Invalid(String),
}

impl Bad {
    fn invalid(why: &str) -> Self {
        Self::Invalid(why.to_owned())
    }
}

/// What the caller of a denied request is told (pkg/admission/plugin/webhook/errors/statuserror.go `ToStatusErr`).
pub fn denied(webhook: &str, given: Option<GivenStatus>) -> Status {
    let by = format!("admission webhook {} denied the request", go_quote(webhook));
    let given = given.unwrap_or_default();
    let reason = given.reason.unwrap_or_default();
    let message = given.message.unwrap_or_default();
    let message = match (message.as_str(), reason.as_str()) {
        ("", "") => format!("{by} without explanation"),
        ("", reason) => format!("{by}: {reason}"),
        (message, _) => format!("{by}: {message}"),
    };
    let code = match given.code {
        code @ 400..=999 => u16::try_from(code).unwrap_or(400),
        _ => 400,
    };
    let mut status = Status::new(code, reason, message);
    status.details = given.details.map(|details| {
        let causes = details.causes.unwrap_or_default().into_iter().map(|cause| Cause {
            reason: cause.reason,
            message: cause.message,
            field: cause.field,
        });
        Box::new(Details {
            name: details.name,
            group: details.group,
            kind: details.kind,
            uid: details.uid,
            causes: causes.collect(),
            retry_after_seconds: details.retry_after_seconds,
        })
    });
    status
}

#[cfg(test)]
mod tests;
