//! POST of a question: what a caller may do, and who they are (k8s.io/kubernetes pkg/registry/{authorization,authentication}).

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::input;
use crate::authz::{Attributes, Authorizer, Decision, ResourceAttributes};
use crate::http::body::Body;
use crate::http::pipeline::Authorized;
use crate::http::respond::{self, Manner};
use crate::rest::review::{Question, Review};
use crate::wire::body::{self, MediaType};
use crate::wire::json as go_json;
use crate::wire::names::GroupKind;
use crate::wire::negotiate::{self, Shape};
use crate::wire::options::CreateOptions;
use crate::wire::selector::{FieldSelector, LabelSelector};
use crate::wire::status::Status;
use crate::wire::user::UserInfo;
use crate::wire::validation::FieldError;
use crate::wire::{meta, protobuf};

/// Answers a question.
pub async fn review(review: &Review, request: &Authorized) -> Result<Response<Body>, Status> {
    let version = review.group_version.to_string();
    let has_protobuf = protobuf::has_form(&version, review.kind);
    let accept = request.headers.get(http::header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    let representation = negotiate::representation(accept, has_protobuf, false, true)?;
    if representation.shape != Shape::Object {
        return Err(Status::not_acceptable(&negotiate::MEDIA_TYPES));
    }
    let media = MediaType::of(input::content_type(&request.headers), has_protobuf)?;
    let bytes = input::read(&request.body).await?;
    CreateOptions::decode(&request.query)?;
    let mut object = body::decode_some(media, &bytes, review.kind)?.value;
    identify(review, &version, &mut object)?;
    let status = answer(review, request, &object).await?;
    object["status"] = status;
    if review.question == Question::OwnRules {
        object["spec"] = json!({});
    }
    let manner = Manner {
        format: representation.format,
        pretty: representation.pretty.unwrap_or(request.pretty),
    };
    Ok(respond::encoded(StatusCode::CREATED, manner, go_json::to_vec(&object)))
}

/// What a question does not say of itself, the path says.
fn identify(review: &Review, version: &str, object: &mut Value) -> Result<(), Status> {
    if object.is_null() {
        *object = json!({});
    }
    for (field, wanted) in [("apiVersion", version), ("kind", review.kind)] {
        match object[field].as_str().unwrap_or_default() {
            "" => object[field] = json!(wanted),
            given if given == wanted => {}
            given => {
                let text = format!("the {field} in the data ({given}) does not match the expected one ({wanted})");
                return Err(Status::bad_request(text));
            }
        }
    }
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    Ok(())
}

async fn answer(review: &Review, request: &Authorized, object: &Value) -> Result<Value, Status> {
    let spec = &object["spec"];
    let invalid = |error: FieldError| {
        let kind = GroupKind {
            group: review.group_version.group.clone(),
            kind: review.kind.to_owned(),
        };
        Status::invalid(&kind, meta::name(object), &[error])
    };
    let authorizer = request.permission.authorizer();
    match review.question {
        Question::OwnIdentity => Ok(json!({"userInfo": &*request.user})),
        Question::OwnRules => {
            let namespace = spec["namespace"].as_str().unwrap_or_default();
            if namespace.is_empty() {
                return Err(Status::bad_request("no namespace on request"));
            }
            Ok(rules(authorizer, &request.user, namespace).await)
        }
        Question::OwnAccess => {
            let attributes = attributes(spec).map_err(invalid)?;
            decided(authorizer, &request.user, &attributes).await
        }
        Question::Access => {
            let attributes = attributes(spec).map_err(invalid)?;
            let user = somebody(spec).map_err(invalid)?;
            if review.namespaced {
                same_namespace(&request.info.namespace, &attributes).map_err(invalid)?;
            }
            decided(authorizer, &user, &attributes).await
        }
    }
}

async fn decided(authorizer: &Arc<dyn Authorizer>, user: &UserInfo, attributes: &Attributes) -> Result<Value, Status> {
    let (allowed, reason, error) = match authorizer.authorize(user, attributes).await {
        Ok(Decision::Allow { reason }) => (true, reason, String::new()),
        Ok(Decision::Deny { reason }) => (false, reason, String::new()),
        Err(error) => (false, String::new(), error),
    };
    let mut status = json!({"allowed": allowed});
    for (field, text) in [("reason", reason), ("evaluationError", error)] {
        if !text.is_empty() {
            status[field] = json!(text);
        }
    }
    Ok(status)
}

async fn rules(authorizer: &Arc<dyn Authorizer>, user: &UserInfo, namespace: &str) -> Value {
    let rules = authorizer.rules(user, namespace).await;
    let mut status = json!({
        "resourceRules": rules.resources,
        "nonResourceRules": rules.paths,
        "incomplete": rules.incomplete,
    });
    if !rules.error.is_empty() {
        status["evaluationError"] = json!(rules.error);
    }
    status
}

/// What is asked about (pkg/registry/authorization/util/helpers.go, pkg/apis/authorization/validation).
fn attributes(spec: &Value) -> Result<Attributes, FieldError> {
    let present = |field: &str| Some(&spec[field]).filter(|value| value.is_object());
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    match (present("resourceAttributes"), present("nonResourceAttributes")) {
        (Some(asked), None) => Ok(Attributes::Resource(ResourceAttributes {
            verb: text(asked, "verb"),
            group: text(asked, "group"),
            version: text(asked, "version"),
            resource: text(asked, "resource"),
            subresource: text(asked, "subresource"),
            namespace: text(asked, "namespace"),
            name: text(asked, "name"),
            field_selector: FieldSelector::parse(&text(&asked["fieldSelector"], "rawSelector")).unwrap_or_default(),
            label_selector: LabelSelector::parse(&text(&asked["labelSelector"], "rawSelector")).unwrap_or_default(),
        })),
        (None, Some(asked)) => Ok(Attributes::Path {
            path: text(asked, "path"),
            verb: text(asked, "verb"),
        }),
        (Some(_), Some(asked)) => Err(FieldError::invalid(
            "spec.nonResourceAttributes",
            asked.clone(),
            "cannot be specified in combination with resourceAttributes",
        )),
        (None, None) => Err(FieldError::invalid(
            "spec.resourceAttributes",
            Value::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
    }
}

fn somebody(spec: &Value) -> Result<UserInfo, FieldError> {
    let texts = |value: &Value| {
        let list = value.as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let extra = spec["extra"].as_object().into_iter().flatten();
    let user = UserInfo {
        name: spec["user"].as_str().unwrap_or_default().to_owned(),
        uid: spec["uid"].as_str().unwrap_or_default().to_owned(),
        groups: texts(&spec["groups"]),
        extra: extra.map(|(key, values)| (key.clone(), texts(values))).collect(),
    };
    if user.name.is_empty() && user.groups.is_empty() {
        let detail = "at least one of user or group must be specified";
        return Err(FieldError::invalid("spec.user", "", detail));
    }
    Ok(user)
}

fn same_namespace(namespace: &str, attributes: &Attributes) -> Result<(), FieldError> {
    match attributes {
        Attributes::Resource(asked) if asked.namespace == namespace => Ok(()),
        Attributes::Resource(asked) => {
            let detail = format!("must match metadata.namespace: {namespace}");
            let field = "spec.resourceAttributes.namespace";
            Err(FieldError::invalid(field, &asked.namespace, &detail))
        }
        Attributes::Path { .. } => Err(FieldError::invalid(
            "spec.nonResourceAttributes",
            "",
            "disallowed on this kind of request",
        )),
    }
}
