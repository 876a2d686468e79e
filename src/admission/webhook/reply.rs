//! What came back of a call, as client-go understands it (client-go rest/request.go, apimachinery pkg/api/errors
//! NewGenericServerResponse, pkg/runtime/serializer).

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;

use super::review::Version;
use crate::wire::quote::go_quote;

/// So much of a text is told.
const TOLD: usize = 2048;
/// What answers are taken to be that do not say it.
const JSON: &str = "application/json";

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Its code.
    pub code: StatusCode,
    /// As what it comes; empty if it does not say.
    pub content_type: String,
    /// All of it.
    pub body: Bytes,
}

/// Why a reply is none, in the words of client-go, with the code for the metrics.
#[derive(Debug, PartialEq, Eq)]
pub struct Failed(pub String, pub u16);

/// What is looked at first. Kubernetes knows a Status by its kind alone.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
    status: serde_json::Value,
    message: String,
    code: u16,
}

impl Reply {
    /// Whether there is an AdmissionReview of this version in it. One that does not say what it is, is taken for one.
    ///
    /// # Errors
    /// There is none.
    pub fn check(&self, version: Version) -> Result<(), Failed> {
        if !(200..=206).contains(&self.code.as_u16()) {
            return Err(self.refused());
        }
        let failed = |why: String| Err(Failed(why, 503));
        if self.body.is_empty() {
            let content_type = Some(self.content_type.as_str()).filter(|given| !given.is_empty());
            return failed(format!(
                "0-length response with status code: {} and content type: {}",
                self.code.as_u16(),
                content_type.unwrap_or(JSON)
            ));
        }
        let head = match self.head() {
            Ok(head) => head,
            // where it is wrong is enough: the error's text may quote the answer
            Err(error) => return failed(format!("the answer is not understood (column {})", error.column())),
        };
        let (group, number) = head.api_version.split_once('/').unwrap_or(("", &head.api_version));
        let kind = match head.kind.as_str() {
            "" => "AdmissionReview",
            given => given,
        };
        let (group, number) = match (group, number) {
            ("", "") | ("admission.k8s.io", "") => ("admission.k8s.io", version.number()),
            given => given,
        };
        let wanted = version.number();
        match (group, number, kind) {
            ("admission.k8s.io", number, "AdmissionReview") if number == wanted => Ok(()),
            ("admission.k8s.io", "v1" | "v1beta1", "AdmissionReview") | ("", "v1", "Status") => failed(format!(
                "converting ({number}.{kind}) to ({wanted}.AdmissionReview): unknown conversion"
            )),
            _ => failed(format!(
                "no kind {} is registered for version {}",
                go_quote(short(kind)),
                go_quote(short(&if group.is_empty() {
                    number.to_owned()
                } else {
                    format!("{group}/{number}")
                }))
            )),
        }
    }

    fn head(&self) -> Result<Head, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// A code that is no success: a Status in the body says more of it.
    fn refused(&self) -> Failed {
        let code = self.code.as_u16();
        let status = self.head().ok().filter(|head| {
            matches!(head.api_version.as_str(), "" | "v1") && head.kind == "Status" && head.status == "Failure"
        });
        if let Some(status) = status {
            return Failed(short(&status.message).to_owned(), status.code);
        }
        let text = self.content_type.is_empty() || self.content_type.starts_with("text/");
        let told = String::from_utf8_lossy(&self.body[..self.body.len().min(TOLD)]);
        let told = if text { told.trim() } else { "unknown" };
        let message = match code {
            400 => "the server rejected our request for an unknown reason",
            401 => "the server has asked for the client to provide credentials",
            403 | 415 => told,
            404 => "the server could not find the requested resource",
            405 => "the server does not allow this method on the requested resource",
            406 if told.is_empty() || told == "unknown" => {
                "the server was unable to respond with a content type that the client supports"
            }
            406 => told,
            409 => "the server reported a conflict",
            422 => "the server rejected our request due to an error in our request",
            429 => "the server has received too many requests and has asked us to try again later",
            503 => "the server is currently unable to handle the request",
            504 => {
                "the server was unable to return a response in the time allotted, but may still be processing the request"
            }
            500.. => {
                let message = format!(
                    "an error on the server ({}) has prevented the request from succeeding",
                    go_quote(told)
                );
                return Failed(message, code);
            }
            _ => {
                let message =
                    format!("the server responded with the status code {code} but did not return more information");
                return Failed(message, code);
            }
        };
        Failed(message.to_owned(), code)
    }
}

/// The beginning of what a webhook says of its trouble: whoever made the request is told it.
fn short(text: &str) -> &str {
    let end = (0..=text.len().min(TOLD)).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests;
