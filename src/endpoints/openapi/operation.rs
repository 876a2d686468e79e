//! Paths and operations, independent of the version of OpenAPI that they are written in.

use serde_json::Value;

/// A path with what can be done there.
pub(super) struct Path {
    pub(super) path: String,
    /// Keys into `meta.json` of parameters that all operations here take.
    pub(super) parameters: Vec<&'static str>,
    pub(super) operations: Vec<Operation>,
}

/// What one HTTP method does at a path.
pub(super) struct Operation {
    /// Lowercase.
    pub(super) method: &'static str,
    /// For example `listApiserverBulwardIoV1alpha1Organization`.
    pub(super) id: String,
    pub(super) tag: String,
    pub(super) description: String,
    /// Keys into `meta.json`.
    pub(super) parameters: Vec<&'static str>,
    pub(super) body: Option<Body>,
    /// The media types of a request; OpenAPI v2 has them without a body, too.
    pub(super) consumes: &'static [&'static str],
    /// Codes of success.
    pub(super) codes: &'static [u16],
    /// The name of the schema of a successful response.
    pub(super) response: String,
    /// The media types of a successful response.
    pub(super) produces: &'static [&'static str],
    /// What the operation is about; `None` for discovery itself.
    pub(super) subject: Option<Subject>,
}

/// A request body.
pub(super) struct Body {
    /// The name of its schema.
    pub(super) schema: String,
    pub(super) required: bool,
}

/// What an operation does to which kind.
pub(super) struct Subject {
    /// The plain kind, for parameter descriptions.
    pub(super) kind: String,
    /// `x-kubernetes-action`.
    pub(super) action: &'static str,
    /// `x-kubernetes-group-version-kind`.
    pub(super) group_version_kind: Value,
}

/// What a response code is called.
pub(super) fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        _ => "Unauthorized",
    }
}

/// Turns `apiserver.bulward.io` into `apiserverBulwardIo`, or `ApiserverBulwardIo` when `capital` (k8s.io/apiserver pkg/endpoints/openapi/openapi.go
/// ToValidOperationID).
pub(super) fn identifier(text: &str, capital: bool) -> String {
    let mut capital = capital;
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if !letter.is_alphanumeric() {
            capital = true;
        } else if capital {
            out.extend(letter.to_uppercase());
            capital = false;
        } else {
            out.push(letter);
        }
    }
    out
}
