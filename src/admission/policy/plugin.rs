//! Policies in the way of a write.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::Policies;
use super::request::{Request, View};
use crate::admission::equivalents::{Equivalents, converted};
use crate::rest::admission::{Admission, Attempt, Operation};
use crate::rest::caller::Target;
use crate::rest::resource::Resource;
use crate::wire::meta;
use crate::wire::status::Status;

/// How many characters the server appends to `generateName`.
const GENERATED: usize = 5;

/// Everything that is served, with the other views of the same objects.
pub(super) struct Served(Vec<One>);

struct One {
    resource: Arc<Resource>,
    view: View,
    others: Vec<View>,
}

impl Served {
    pub(super) fn new(resources: &Equivalents) -> Self {
        let one = |resource: &Arc<Resource>| One {
            resource: resource.clone(),
            view: view(resource),
            others: resources.others(resource).map(|other| view(other)).collect(),
        };
        Self(resources.all().map(one).collect())
    }

    fn get(&self, resource: &Resource) -> Option<&One> {
        let same = |one: &&One| {
            one.resource.group_version == resource.group_version && one.resource.stored.plural == resource.stored.plural
        };
        self.0.iter().find(same)
    }

    fn resource(&self, view: &View) -> Option<&Arc<Resource>> {
        self.0.iter().find(|one| one.view == *view).map(|one| &one.resource)
    }
}

fn view(resource: &Resource) -> View {
    View {
        group: resource.group_version.group.clone(),
        version: resource.group_version.version.clone(),
        resource: resource.stored.plural.clone(),
        kind: resource.stored.kind.clone(),
    }
}

#[async_trait]
impl Admission for Policies {
    fn handles(&self, target: &Target<'_>, _: Operation) -> bool {
        let served = self.served.get(target.resource);
        served.is_some_and(|one| self.concern(&one.view, &one.others))
    }

    async fn validate(&self, attempt: &Attempt<'_>) -> Result<(), Status> {
        let target = attempt.target;
        let Some(served) = self.served.get(target.resource) else {
            return Ok(());
        };
        let present = |object: &'_ Value| !object.is_null();
        let object = Some(attempt.new).filter(|object| present(object));
        let old_object = Some(attempt.old).filter(|object| present(object));
        let options = attempt.options();
        let convert = |to: &View, object: &Value| match self.served.resource(to) {
            Some(to) => converted(object, target.resource, to).into_owned(),
            None => object.clone(),
        };
        let request = Request {
            operation: attempt.operation.name(),
            view: &served.view,
            equivalents: &served.others,
            subresource: attempt.subresource(),
            namespace: target.namespace,
            name: name(attempt),
            user: &target.caller.user,
            dry_run: attempt.dry_run,
            options: &options,
            object,
            old_object,
            convert: &convert,
        };
        Policies::validate(self, &request, &target.caller.notes).await
    }
}

/// The name that the caller gave; empty where the server made it up, as the Go server asks before it does.
fn name<'a>(attempt: &'a Attempt<'_>) -> &'a str {
    let name = attempt.name(attempt.new);
    let prefix = meta::generate_name(attempt.new);
    let made_up = attempt.operation == Operation::Create && !prefix.is_empty() && attempt.target.name.is_empty();
    let suffix = name.strip_prefix(prefix).filter(|_| made_up);
    if suffix.is_some_and(|suffix| suffix.len() == GENERATED) {
        ""
    } else {
        name
    }
}
