//! Whether a webhook, a policy or a binding is about a request (k8s.io/apiserver pkg/admission/plugin/webhook/generic/webhook.go
//! ShouldCallHook, pkg/admission/plugin/policy/matching/matching.go, pkg/admission/plugin/webhook/predicates).

use k8s_openapi::api::admissionregistration::v1::{MatchResources, NamedRuleWithOperations};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as api;
use serde_json::Value;

use super::attributes::Attributes;
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
    /// Whether no rules at all mean everything, not nothing.
    pub open: bool,
    /// None of these may match.
    pub excluded: Vec<Rule>,
    /// Whether rules about other resources of the same objects count.
    pub equivalent: bool,
    /// Selects by the namespace.
    pub namespaces: Result<LabelSelector, String>,
    /// Selects by the object's labels, before or after.
    pub objects: Result<LabelSelector, String>,
}

impl Matcher {
    /// What a policy or a binding says.
    pub fn new(given: &MatchResources) -> Self {
        let rules = |rules: Option<&Vec<NamedRuleWithOperations>>| -> Vec<Rule> {
            rules.into_iter().flatten().map(Rule::from).collect()
        };
        Self {
            rules: rules(given.resource_rules.as_ref()),
            open: true,
            excluded: rules(given.exclude_resource_rules.as_ref()),
            equivalent: given.match_policy.as_deref() == Some("Equivalent"),
            namespaces: selector(given.namespace_selector.as_ref()),
            objects: selector(given.object_selector.as_ref()),
        }
    }

    /// Whether writes of any resource are ever meant.
    pub fn concerns_any(&self, resources: &Equivalents) -> bool {
        resources.all().any(|resource| self.concerns(resource, resources))
    }

    /// Whether writes of a resource are ever meant, whatever is done to which object.
    pub fn concerns(&self, resource: &Resource, resources: &Equivalents) -> bool {
        let meant = |resource: &Resource| {
            let (group_version, plural) = (&resource.group_version, &resource.stored.plural);
            self.rules.iter().any(|rule| rule.may_match(group_version, plural))
        };
        (self.open && self.rules.is_empty())
            || meant(resource)
            || (self.equivalent && resources.others(resource).any(|other| meant(other)))
    }

    /// The resource as which a request is meant: the request's own before others. `None`: it is not meant.
    ///
    /// # Errors
    /// A selector makes no sense, or nobody knows the namespace. Whoever is not asked anyway is not told.
    pub async fn matches<'a>(
        &self,
        attributes: &Attributes<'a>,
        resources: &'a Equivalents,
        namespaces: &Namespaces,
    ) -> Result<Option<&'a Resource>, Status> {
        let Some(resource) = self.by_rules(attributes, resources) else {
            return Ok(None);
        };
        let object = self.by_object(attributes);
        if matches!(object, Ok(false)) || !self.by_namespace(attributes, namespaces).await? {
            return Ok(None);
        }
        object.map(|_| Some(resource))
    }

    fn by_rules<'a>(&self, attributes: &Attributes<'a>, resources: &'a Equivalents) -> Option<&'a Resource> {
        if self.first(&self.excluded, attributes, resources).is_some() {
            return None;
        }
        if self.open && self.rules.is_empty() {
            return Some(attributes.resource);
        }
        self.first(&self.rules, attributes, resources)
    }

    fn first<'a>(
        &self,
        rules: &[Rule],
        attributes: &Attributes<'a>,
        resources: &'a Equivalents,
    ) -> Option<&'a Resource> {
        let request = |resource: &'a Resource| Request {
            operation: attributes.operation,
            group_version: &resource.group_version,
            resource: &resource.stored.plural,
            subresource: attributes.subresource,
            namespaced: resource.stored.namespaced && !attributes.namespace.is_empty(),
            name: &attributes.name,
        };
        let own = request(attributes.resource);
        if rules.iter().any(|rule| rule.matches(&own)) {
            return Some(attributes.resource);
        }
        // Of equivalent ones the first rule that knows one of them decides which.
        let mut rules = rules.iter().filter(|_| self.equivalent);
        rules.find_map(|rule| {
            let mut others = resources.others(attributes.resource).map(AsRef::as_ref);
            others.find(|other| rule.matches(&request(other)))
        })
    }

    fn by_object(&self, attributes: &Attributes<'_>) -> Result<bool, Status> {
        let selector = self.objects.as_ref().map_err(Status::internal_because)?;
        let selected = |object: &Value| !object.is_null() && selector.matches(|key| meta::label(object, key));
        Ok(selector.is_empty() || selected(&attributes.object) || selected(attributes.old_object))
    }

    async fn by_namespace(&self, attributes: &Attributes<'_>, namespaces: &Namespaces) -> Result<bool, Status> {
        let selector = self.namespaces.as_ref().map_err(Status::internal_because)?;
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

#[cfg(test)]
pub(super) mod tests;
