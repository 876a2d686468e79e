//! What is known of a write by those who decide about it (k8s.io/apiserver pkg/admission/attributes.go), and how an
//! AdmissionReview says it.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};

use super::cel::{self, Inputs};
use super::equivalents::converted;
use crate::authz::{Authorizer, ResourceAttributes};
use crate::rest::admission::{Attempt, Operation};
use crate::rest::resource::Resource;
use crate::wire::meta;
use crate::wire::names::{GroupResource, GroupVersion};
use crate::wire::status::Status;
use crate::wire::user::UserInfo;

/// A write.
#[derive(Clone)]
pub struct Attributes<'a> {
    /// The resource that the caller writes to.
    pub resource: &'a Resource,
    /// `status`, or empty.
    pub subresource: &'static str,
    /// The name in the path or, of a new object, its own; empty while it is still to be generated.
    pub name: String,
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: &'a str,
    /// What is done.
    pub operation: Operation,
    /// Who does it.
    pub user: &'a Arc<UserInfo>,
    /// What is to be stored, in the version of the request; null for a deletion.
    pub object: Cow<'a, Value>,
    /// What is stored; null for a new object.
    pub old_object: &'a Value,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// The request's options (`meta.k8s.io/v1`).
    pub options: Value,
}

/// A resource as requests spell it.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// Group and version.
    pub group_version: &'a GroupVersion,
    /// The plural.
    pub resource: &'a str,
    /// The kind.
    pub kind: &'a str,
}

impl<'a> Named<'a> {
    /// How a resource is called.
    pub fn of(resource: &'a Resource) -> Self {
        Self {
            group_version: &resource.group_version,
            resource: &resource.stored.plural,
            kind: &resource.stored.kind,
        }
    }

    fn kind(self) -> Value {
        let GroupVersion { group, version } = self.group_version;
        json!({"group": group, "version": version, "kind": self.kind})
    }

    fn resource(self) -> Value {
        let GroupVersion { group, version } = self.group_version;
        json!({"group": group, "version": version, "resource": self.resource})
    }
}

impl<'a> Attributes<'a> {
    /// The attributes of an attempt, the object being in the hands of whoever changes it.
    pub fn changing(attempt: &'a Attempt<'a>, object: Value) -> Self {
        Self::with(attempt, Cow::Owned(object))
    }

    /// The attributes of an attempt as it will be stored.
    pub fn judging(attempt: &'a Attempt<'a>) -> Self {
        Self::with(attempt, Cow::Borrowed(attempt.new))
    }

    fn with(attempt: &'a Attempt<'a>, object: Cow<'a, Value>) -> Self {
        Self {
            resource: attempt.target.resource,
            subresource: attempt.subresource(),
            name: attempt.name(&object).to_owned(),
            namespace: attempt.target.namespace,
            operation: attempt.operation,
            user: &attempt.target.caller.user,
            old_object: attempt.old,
            dry_run: attempt.dry_run,
            options: attempt.options(),
            object,
        }
    }

    /// Whether a namespace is written; requests about it are in it.
    pub fn is_namespace(&self) -> bool {
        self.resource.is_namespace()
    }

    /// The AdmissionRequest without `object` and `oldObject`, about the resource `asked`; its uid is empty
    /// (pkg/admission/plugin/cel/condition.go CreateAdmissionRequest).
    pub fn request(&self, asked: Named<'_>) -> Value {
        let own = Named::of(self.resource);
        let mut user = json!(self.user.as_ref());
        if let Some(user) = user.as_object_mut() {
            user.retain(|_, value| value.as_str() != Some(""));
        }
        let mut request = json!({
            "uid": "",
            "kind": asked.kind(),
            "resource": asked.resource(),
            "requestKind": own.kind(),
            "requestResource": own.resource(),
            "operation": self.operation.name(),
            "userInfo": user,
            "dryRun": self.dry_run,
            "options": self.options,
        });
        let texts = [
            ("name", self.name.as_str()),
            ("namespace", self.namespace),
            ("subResource", self.subresource),
            ("requestSubResource", self.subresource),
        ];
        for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            request[key] = text.into();
        }
        request
    }

    /// What expressions know of a request that is about `resource`: of the namespace as much as they are to.
    pub fn inputs(
        &self,
        resource: &Resource,
        namespace: Option<&Value>,
        authorizer: &Arc<dyn Authorizer>,
    ) -> Arc<Inputs> {
        let object = converted(&self.object, self.resource, resource);
        let old = converted(self.old_object, self.resource, resource);
        let present = |object: &&Value| !object.is_null();
        Arc::new(Inputs::new(
            Some(&*object).filter(present),
            Some(&*old).filter(present),
            &self.request(Named::of(resource)),
            namespace,
            Some(cel::Authorizer::new(
                authorizer.clone(),
                self.user.clone(),
                self.about(),
            )),
        ))
    }

    /// What an authorizer is asked about: `authorizer.requestResource` of expressions.
    fn about(&self) -> ResourceAttributes {
        let GroupVersion { group, version } = &self.resource.group_version;
        ResourceAttributes {
            group: group.clone(),
            version: version.clone(),
            resource: self.resource.stored.plural.clone(),
            subresource: self.subresource.to_owned(),
            namespace: self.namespace.to_owned(),
            name: self.name.clone(),
            ..ResourceAttributes::default()
        }
    }

    /// `organizations.apiserver.bulward.io`.
    pub fn group_resource(&self) -> GroupResource {
        self.resource.group_resource()
    }

    /// A 403 about the object (k8s.io/apiserver pkg/admission/errors.go NewForbidden).
    pub fn forbidden(&self, why: impl std::fmt::Display) -> Status {
        let name = [
            self.name.as_str(),
            meta::generate_name(&self.object),
            meta::name(&self.object),
        ];
        let name = name.into_iter().find(|name| !name.is_empty()).unwrap_or("Unknown");
        Status::forbidden(&self.group_resource(), name, why)
    }
}
