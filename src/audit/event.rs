//! One event, in the form that everybody reads (k8s.io/apiserver pkg/apis/audit/v1/types.go).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::wire::json as go_json;
use crate::wire::user::UserInfo;

/// How much is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Level {
    /// Nothing.
    None,
    /// Who did what, when.
    Metadata,
    /// What was sent as well.
    Request,
    /// And what was answered.
    RequestResponse,
}

/// When in the life of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Stage {
    /// Its sender is known, and nothing else has happened.
    RequestReceived,
    /// The answer has begun, and goes on: watches.
    ResponseStarted,
    /// Nothing more is sent.
    ResponseComplete,
    /// The server failed.
    Panic,
}

/// The names of the levels, and of the stages, as a policy writes them.
pub(super) const LEVELS: [(&str, Level); 4] = [
    ("None", Level::None),
    ("Metadata", Level::Metadata),
    ("Request", Level::Request),
    ("RequestResponse", Level::RequestResponse),
];
pub(super) const STAGES: [(&str, Stage); 4] = [
    ("RequestReceived", Stage::RequestReceived),
    ("ResponseStarted", Stage::ResponseStarted),
    ("ResponseComplete", Stage::ResponseComplete),
    ("Panic", Stage::Panic),
];

impl Level {
    /// As a policy writes it.
    pub fn name(self) -> &'static str {
        LEVELS[self as usize].0
    }
}

/// What is written down of one stage of one request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    pub(super) kind: &'static str,
    pub(super) api_version: &'static str,
    pub(super) level: Level,
    #[serde(rename = "auditID")]
    pub(super) audit_id: String,
    pub(super) stage: Stage,
    #[serde(rename = "requestURI")]
    pub(super) request_uri: String,
    pub(super) verb: String,
    #[serde(serialize_with = "identity")]
    pub(super) user: Option<Arc<UserInfo>>,
    #[serde(serialize_with = "identity", skip_serializing_if = "Option::is_none")]
    pub(super) impersonated_user: Option<Arc<UserInfo>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) authentication_metadata: Option<AuthenticationMetadata>,
    #[serde(rename = "sourceIPs", skip_serializing_if = "Vec::is_empty")]
    pub(super) source_ips: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) user_agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) object_ref: Option<ObjectRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_status: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_object: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_object: Option<Value>,
    #[serde(serialize_with = "micro_time")]
    pub(super) request_received_timestamp: Timestamp,
    #[serde(serialize_with = "micro_time")]
    pub(super) stage_timestamp: Timestamp,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

/// By what right somebody acts as somebody else; only of constrained impersonation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthenticationMetadata {
    pub(super) impersonation_constraint: String,
}

/// What a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// The plural resource.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// The namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name in the path, or in the object that was sent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The uid in the object that was sent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    /// The API version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The resourceVersion in the object that was sent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// For example `status`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
}

impl Event {
    /// The group and version of all events.
    pub const API_VERSION: &'static str = "audit.k8s.io/v1";

    /// As one line of JSON.
    pub fn to_json(&self) -> Vec<u8> {
        go_json::to_vec(self)
    }

    /// The same without what was sent and answered, and with a word that it was left out.
    pub(super) fn truncated(&self) -> Self {
        let mut short = Self {
            request_object: None,
            response_object: None,
            ..self.clone()
        };
        let key = "audit.k8s.io/truncated".to_owned();
        short.annotations.insert(key, "true".to_owned());
        short
    }
}

/// What an answer with this code says in `responseStatus`; `body` is the Status that it carries, if it is one.
pub(super) fn response_status(code: u16, body: Option<&Value>) -> Value {
    let mut status = json!({"metadata": {}});
    for field in ["status", "message", "reason", "details"] {
        if let Some(value) = body.and_then(|body| body.get(field)) {
            status[field] = value.clone();
        }
    }
    status["code"] = json!(code);
    status
}

/// Takes away the record of who owns what, of an object, a list or a table.
pub(super) fn omit_managed_fields(object: &mut Value) {
    let omit = |object: &mut Value| {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
    };
    omit(object);
    for (list, inner) in [("items", None), ("rows", Some("object"))] {
        for item in object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            match inner {
                None => omit(item),
                Some(inner) => item.get_mut(inner).into_iter().for_each(omit),
            }
        }
    }
}

/// Whoever has not been told is an empty object.
fn identity<S: Serializer>(user: &Option<Arc<UserInfo>>, serializer: S) -> Result<S::Ok, S::Error> {
    match user {
        Some(user) => user.serialize(serializer),
        None => json!({}).serialize(serializer),
    }
}

/// With microseconds, all six of them.
fn micro_time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ"))
}
