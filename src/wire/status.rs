//! `meta/v1` Status: every error that a client sees, in Kubernetes' own words.
//!
//! Texts and codes follow k8s.io/apimachinery pkg/api/errors/errors.go.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::names::{GroupKind, GroupResource};
use super::quote::go_quote;

/// How much text of field errors one answer carries, in bytes. The Go server has no limit: half a megabyte of bad labels is
/// answered with sixty. What people can read is far below.
const ERRORS_LIMIT: usize = 256 << 10;

/// A failure (or, for deletions, a success) as the client sees it. Also the error type of everything above the storage.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason; empty for errors without one.
    pub reason: Cow<'static, str>,
    /// The sentence for people.
    pub message: String,
    /// What the error is about.
    pub details: Option<Box<Details>>,
    /// `metadata.continue`: a fresh token that goes with an expired one.
    pub continue_token: Option<Box<str>>,
    /// Sentences for `Warning` headers, found before the error was.
    pub warnings: Box<[String]>,
    /// Why it happened, for the log under the audit id; never sent.
    pub internal: Option<String>,
}

/// `Status.details`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// The object's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The kind, or the resource where Kubernetes itself puts the resource here.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The object's uid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// One entry a field that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Seconds after which a retry may succeed; mirrored in the `Retry-After` header.
    #[serde(skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u32,
}

/// One entry of `Status.details.causes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// For example `FieldValueInvalid`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The sentence for people, without the field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The path of the field, for example `spec.owners[0].kind`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

fn is_zero(seconds: &u32) -> bool {
    *seconds == 0
}

// === impl Status ===

impl Status {
    /// An error with `code`, `reason` and `message` alone.
    pub fn new(code: u16, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            message: message.into(),
            details: None,
            continue_token: None,
            warnings: Box::default(),
            internal: None,
        }
    }

    /// 404 for an object.
    pub fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{resource} {} not found", go_quote(name))).about(resource, name)
    }

    /// 404 for a path below a served group that names nothing.
    pub fn unknown_path() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(404, "NotFound", message).with_details(Details::default())
    }

    /// 405 for a path that exists with other methods.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message).with_details(Details::default())
    }

    /// Whether it says that nothing is served there at all.
    pub fn is_unrouted(&self) -> bool {
        self.code == 405 || self.code == 404 && *self == Self::unknown_path()
    }

    /// 409 for a name that is taken.
    pub fn already_exists(resource: &GroupResource, name: &str) -> Self {
        let message = format!("{resource} \"{name}\" already exists");
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    /// 409 for a write that lost a race; `why` follows the standard opening.
    pub fn conflict(resource: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// 409 for a stale resourceVersion.
    pub fn modified(resource: &GroupResource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// 403; the name is left out when it is empty.
    pub fn forbidden(resource: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        let message = if name.is_empty() {
            format!("{resource} is forbidden: {why}")
        } else {
            format!("{resource} \"{name}\" is forbidden: {why}")
        };
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    /// 422 with one cause a field error, as far as they fit into [`ERRORS_LIMIT`].
    pub fn invalid(kind: &GroupKind, name: &str, errors: &[super::validation::FieldError]) -> Self {
        let mut size = 0;
        let fitting = errors.iter().take_while(|error| {
            let before = size;
            size += error.field.len() + error.message.len();
            before == 0 || size <= ERRORS_LIMIT
        });
        let (errors, left_out) = errors.split_at(fitting.count());
        let causes = errors.iter().map(super::validation::FieldError::cause).collect();
        let mut message = format!("{kind} {} is invalid", super::quote::go_quote(name));
        if !errors.is_empty() {
            message.push_str(": ");
            message.push_str(&super::validation::aggregate(errors));
        }
        if !left_out.is_empty() {
            message.push_str(&format!(" and {} more", left_out.len()));
        }
        Self::new(422, "Invalid", message).with_details(Details {
            name: name.to_owned(),
            group: kind.group.clone(),
            kind: kind.kind.clone(),
            causes,
            ..Details::default()
        })
    }

    /// 422 for what a patch has made of an object. The original quotes all of it; a limit keeps answers small.
    pub fn unreadable_patch(object: &Value, why: &str) -> Self {
        const QUOTED: usize = 4096;
        let mut text = String::from_utf8_lossy(&super::json::to_vec(object)).into_owned();
        if text.len() > QUOTED {
            let end = (0..=QUOTED).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
            text.push_str(" ...");
        }
        let error = super::validation::FieldError::invalid("patch", &text, why);
        Self::invalid(&GroupKind::default(), "", &[error])
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401, the same for every kind of bad credential.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 406 with the media types that would have been accepted.
    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", accepted.join(", "));
        Self::new(406, "NotAcceptable", message)
    }

    /// 406 from where a path is found, before anything of the request is looked at (github.com/emicklei/go-restful curly.go).
    pub fn no_representation(available: &[&str]) -> Self {
        let message = format!(
            "406: Not Acceptable\n\nAvailable representations: {}",
            available.join(", ")
        );
        Self::new(406, "NotAcceptable", message).with_details(Details::default())
    }

    /// 415 with the media types that would have been accepted.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 413 for a body over `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 429 for what may succeed in some seconds, in the words of k8s.io/apiserver pkg/server/filters/maxinflight.go.
    pub fn too_many_requests(retry_after: u32) -> Self {
        let message = "Too many requests, please try again later.";
        Self::new(429, "TooManyRequests", message).with_details(Details {
            retry_after_seconds: retry_after,
            ..Details::default()
        })
    }

    /// 410 for a revision or token whose history is gone.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 410 for a watch from a revision whose history is gone (`oldest` is the first one that can still be replayed).
    pub fn too_old(requested: u64, oldest: u64) -> Self {
        Self::expired(format!("too old resource version: {requested} ({oldest})"))
    }

    /// 504 for a revision that the store has not reached.
    pub fn too_large_resource_version(requested: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {requested}, current: {current}");
        Self::new(504, "Timeout", message).with_details(Details {
            causes: vec![Cause {
                reason: "ResourceVersionTooLarge".to_owned(),
                message: "Too large resource version".to_owned(),
                field: String::new(),
            }],
            retry_after_seconds: 1,
            ..Details::default()
        })
    }

    /// 503: the storage cannot be asked right now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message).with_details(Details {
            retry_after_seconds: 1,
            ..Details::default()
        })
    }

    /// 504: the storage did not answer in time.
    pub fn timeout(message: impl fmt::Display) -> Self {
        Self::new(504, "Timeout", format!("Timeout: {message}")).with_details(Details {
            retry_after_seconds: 1,
            ..Details::default()
        })
    }

    /// 500; `internal` goes to the log, the caller learns nothing of it.
    pub fn internal(internal: impl fmt::Display) -> Self {
        let mut status = Self::new(500, "InternalError", "Internal error occurred");
        status.internal = Some(internal.to_string());
        status
    }

    /// 500 that says what went wrong, because somebody else did it (k8s.io/apimachinery pkg/api/errors NewInternalError).
    pub fn internal_because(why: impl fmt::Display) -> Self {
        let why = why.to_string();
        let cause = Cause {
            message: why.clone(),
            ..Cause::default()
        };
        Self::new(500, "InternalError", format!("Internal error occurred: {why}")).with_details(Details {
            causes: vec![cause],
            ..Details::default()
        })
    }

    /// The answer to a deletion that was carried out at once.
    pub fn deleted(resource: &GroupResource, name: &str, uid: &str) -> Self {
        Self::new(200, "", "").with_details(Details {
            name: name.to_owned(),
            group: resource.group.clone(),
            kind: resource.resource.clone(),
            uid: uid.to_owned(),
            ..Details::default()
        })
    }

    /// Replaces the details.
    pub fn with_details(mut self, details: Details) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// The error with warnings that were found before it.
    pub fn with_warnings(mut self, warnings: &[String]) -> Self {
        self.warnings = [&*self.warnings, warnings].concat().into();
        self
    }

    fn about(self, resource: &GroupResource, name: &str) -> Self {
        self.with_details(Details {
            name: name.to_owned(),
            group: resource.group.clone(),
            kind: resource.resource.clone(),
            ..Details::default()
        })
    }

    /// Seconds for the `Retry-After` header, if any.
    pub fn retry_after(&self) -> Option<u32> {
        let seconds = self.details.as_ref()?.retry_after_seconds;
        (seconds > 0).then_some(seconds)
    }

    /// The object as it is sent.
    pub fn to_value(&self) -> Value {
        let mut metadata = json!({});
        if let Some(token) = &self.continue_token {
            metadata["continue"] = json!(token);
        }
        let success = self.code < 400;
        let mut value = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": if success { "Success" } else { "Failure" },
        });
        if !self.message.is_empty() {
            value["message"] = json!(self.message);
        }
        if !self.reason.is_empty() {
            value["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            value["details"] = json!(details);
        }
        if !success {
            value["code"] = json!(self.code);
        }
        value
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}
