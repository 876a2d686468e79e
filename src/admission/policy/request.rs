//! What policies are told of a write.

use serde_json::{Value, json};

use crate::wire::names::GroupResource;
use crate::wire::user::UserInfo;

/// A resource as it is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The API group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The plural name.
    pub resource: String,
    /// The kind.
    pub kind: String,
}

/// A write, as its caller asked for it.
pub struct Request<'a> {
    /// CREATE, UPDATE, DELETE or CONNECT.
    pub operation: &'a str,
    /// Through which view.
    pub view: &'a View,
    /// All others of the same objects.
    pub equivalents: &'a [View],
    /// For example `status`; empty for the object itself.
    pub subresource: &'a str,
    /// Empty for what is cluster-scoped.
    pub namespace: &'a str,
    /// Empty where the server makes one up.
    pub name: &'a str,
    /// Who asks.
    pub user: &'a UserInfo,
    /// Whether nothing is stored.
    pub dry_run: bool,
    /// CreateOptions, UpdateOptions or DeleteOptions, with their kind.
    pub options: &'a Value,
    /// What is to be stored, in the caller's view; `None` for a deletion.
    pub object: Option<&'a Value>,
    /// What is stored.
    pub old_object: Option<&'a Value>,
    /// An object of the caller's view in another one.
    pub convert: &'a (dyn Fn(&View, &Value) -> Value + Sync),
}

impl Request<'_> {
    /// The object in a view.
    pub(super) fn in_view(&self, view: &View, object: Option<&Value>) -> Option<Value> {
        let object = object?;
        Some(if view == self.view {
            object.clone()
        } else {
            (self.convert)(view, object)
        })
    }

    pub(super) fn group_resource(&self) -> GroupResource {
        GroupResource {
            group: self.view.group.clone(),
            resource: self.view.resource.clone(),
        }
    }

    /// The AdmissionRequest of expressions, without the objects
    /// (k8s.io/apiserver pkg/admission/plugin/cel/condition.go CreateAdmissionRequest).
    pub(super) fn admission_request(&self, matched: &View) -> Value {
        let mut request = json!({
            "uid": "",
            "kind": kind(matched),
            "resource": resource(matched),
            "requestKind": kind(self.view),
            "requestResource": resource(self.view),
            "operation": self.operation,
            "userInfo": user(self.user),
            "dryRun": self.dry_run,
            "options": self.options,
        });
        let left_out_when_empty = [
            ("subResource", self.subresource),
            ("requestSubResource", self.subresource),
            ("namespace", self.namespace),
            ("name", self.name),
        ];
        for (field, text) in left_out_when_empty.into_iter().filter(|(_, text)| !text.is_empty()) {
            request[field] = text.into();
        }
        request
    }
}

fn kind(view: &View) -> Value {
    json!({"group": view.group, "version": view.version, "kind": view.kind})
}

fn resource(view: &View) -> Value {
    json!({"group": view.group, "version": view.version, "resource": view.resource})
}

fn user(user: &UserInfo) -> Value {
    let mut info = json!({"username": user.name});
    if !user.uid.is_empty() {
        info["uid"] = json!(user.uid);
    }
    if !user.groups.is_empty() {
        info["groups"] = json!(user.groups);
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}
