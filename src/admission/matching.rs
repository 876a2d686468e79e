//! Whether a webhook or a policy is about a request (k8s.io/apiserver pkg/admission/plugin/webhook/{generic,predicates}).

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as api;
use serde_json::Value;

use super::attributes::{Attributes, internal};
use super::equivalents::Equivalents;
use super::namespaces::Namespaces;
use super::rules::{Request, Rule};
use crate::rest::admission::Operation;
use crate::rest::resource::Resource;
use crate::wire::meta;
use crate::wire::selector::LabelSelector;
use crate::wire::status::Status;

/// What selects requests, apart from conditions.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// One of these has to match.
    pub rules: Vec<Rule>,
    /// Whether rules about other resources of the same objects count.
    pub equivalent: bool,
    /// Selects by the namespace.
    pub namespaces: Result<LabelSelector, String>,
    /// Selects by the object's labels, before or after.
    pub objects: Result<LabelSelector, String>,
}

impl Matcher {
    /// Whether a resource is ever meant.
    pub fn may_match(&self, resources: &Equivalents) -> bool {
        let meant = |resource: &Arc<Resource>| self.may_match_resource(resource);
        resources.all().any(meant)
    }

    /// Whether writes of a resource are ever meant, but for those through its equivalents.
    pub fn may_match_resource(&self, resource: &Resource) -> bool {
        let (group_version, plural) = (&resource.group_version, &resource.stored.plural);
        self.rules.iter().any(|rule| rule.may_match(group_version, plural))
    }

    /// The resource by whose rule a request is meant: the request's own before others.
    pub fn by_rules<'a>(&self, attributes: &Attributes<'a>, resources: &'a Equivalents) -> Option<&'a Resource> {
        let request = |resource: &'a Resource| Request {
            operation: attributes.operation,
            group_version: &resource.group_version,
            resource: &resource.stored.plural,
            subresource: attributes.subresource,
            namespaced: resource.stored.namespaced && !attributes.namespace.is_empty(),
        };
        let own = request(attributes.resource);
        if self.rules.iter().any(|rule| rule.matches(&own)) {
            return Some(attributes.resource);
        }
        let mut rules = self.rules.iter().filter(|_| self.equivalent);
        rules.find_map(|rule| {
            let mut others = resources.others(attributes.resource).map(AsRef::as_ref);
            others.find(|other| rule.matches(&request(other)))
        })
    }

    /// Whether the selectors select a request that the rules mean.
    ///
    /// # Errors
    /// A selector makes no sense, or nobody knows the namespace.
    pub async fn by_selectors(&self, attributes: &Attributes<'_>, namespaces: &Namespaces) -> Result<bool, Status> {
        Ok(self.by_object(attributes)? && self.by_namespace(attributes, namespaces).await?)
    }

    fn by_object(&self, attributes: &Attributes<'_>) -> Result<bool, Status> {
        let selector = self.objects.as_ref().map_err(internal)?;
        let selected = |object: &Value| !object.is_null() && selector.matches(|key| meta::label(object, key));
        Ok(selector.is_empty() || selected(&attributes.object) || selected(attributes.old_object))
    }

    async fn by_namespace(&self, attributes: &Attributes<'_>, namespaces: &Namespaces) -> Result<bool, Status> {
        let selector = self.namespaces.as_ref().map_err(internal)?;
        if selector.is_empty() || (attributes.namespace.is_empty() && !attributes.is_namespace()) {
            return Ok(true);
        }
        let written = matches!(attributes.operation, Operation::Create | Operation::Update);
        if attributes.is_namespace() && attributes.subresource.is_empty() && written {
            return Ok(selector.matches(|key| meta::label(&attributes.object, key)));
        }
        let namespace = namespaces.get(attributes.namespace).await?;
        let labels = namespace.metadata.labels.as_ref();
        Ok(selector.matches(|key| labels?.get(key).map(String::as_str)))
    }
}

/// A selector of the API; nothing given selects everything, as the API's own default does.
///
/// # Errors
/// It makes no sense.
pub fn selector(given: Option<&api::LabelSelector>) -> Result<LabelSelector, String> {
    let labels = given
        .and_then(|given| given.match_labels.as_ref())
        .into_iter()
        .flatten();
    let labels = labels.map(|(key, value)| (key.as_str(), value.as_str()));
    let expressions = given
        .and_then(|given| given.match_expressions.as_ref())
        .into_iter()
        .flatten();
    let expressions = expressions.map(|one| {
        let values = one.values.clone().unwrap_or_default();
        (one.key.as_str(), one.operator.as_str(), values)
    });
    LabelSelector::of(labels, expressions)
}
