//! Which writes a policy or a binding is about (k8s.io/apiserver pkg/admission/plugin/policy/matching/matching.go).

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::{MatchResources, NamedRuleWithOperations};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use serde_json::Value;

use super::request::{Request, View};

/// Labels.
pub(super) type Labels = BTreeMap<String, String>;

/// Constraints, ready to be matched.
#[derive(Debug)]
pub(super) struct Matching {
    rules: Vec<NamedRuleWithOperations>,
    excluded: Vec<NamedRuleWithOperations>,
    namespaces: Result<Selector, String>,
    objects: Result<Selector, String>,
    equivalent: bool,
}

impl Matching {
    pub(super) fn new(resources: MatchResources) -> Self {
        let selector = |selector: Option<LabelSelector>| match selector.map(Selector::try_from) {
            Some(selector) => selector.map_err(|error| error.to_string()),
            None => Ok(Selector::default()),
        };
        Self {
            rules: resources.resource_rules.unwrap_or_default(),
            excluded: resources.exclude_resource_rules.unwrap_or_default(),
            namespaces: selector(resources.namespace_selector),
            objects: selector(resources.object_selector),
            equivalent: resources.match_policy.as_deref() == Some("Equivalent"),
        }
    }

    /// The view in which a request matches. `labels` are those of the request's namespace, or why they are not known.
    pub(super) fn matches(
        &self,
        request: &Request<'_>,
        labels: &Result<Labels, String>,
    ) -> Result<Option<View>, String> {
        let namespaces = self.namespace(request, labels);
        if namespaces == Ok(false) {
            return Ok(None);
        }
        let objects = self.object(request);
        if objects == Ok(false) {
            return Ok(None);
        }
        if self.rule(&self.excluded, request).is_some() {
            return Ok(None);
        }
        let view = if self.rules.is_empty() {
            Some(request.view)
        } else {
            self.rule(&self.rules, request)
        };
        let Some(view) = view else { return Ok(None) };
        // Whoever it is not about is not told of faults in its selectors.
        namespaces?;
        objects?;
        Ok(Some(view.clone()))
    }

    /// Whether any request for the view could match, whatever its operation, name and labels.
    pub(super) fn concerns(&self, view: &View, equivalents: &[View]) -> bool {
        let views = std::iter::once(view).chain(equivalents.iter().filter(|_| self.equivalent));
        let about = |view: &View| self.rules.iter().any(|rule| of_view(rule, view));
        self.rules.is_empty() || views.into_iter().any(about)
    }

    fn namespace(&self, request: &Request<'_>, labels: &Result<Labels, String>) -> Result<bool, String> {
        if request.namespace.is_empty() {
            return Ok(true);
        }
        let selector = self.namespaces.as_ref().map_err(Clone::clone)?;
        if selector.selects_all() {
            return Ok(true);
        }
        Ok(selector.matches(labels.as_ref().map_err(Clone::clone)?))
    }

    fn object(&self, request: &Request<'_>) -> Result<bool, String> {
        let selector = self.objects.as_ref().map_err(Clone::clone)?;
        if selector.selects_all() {
            return Ok(true);
        }
        let selects = |object: Option<&Value>| object.is_some_and(|object| selector.matches(&labels_of(object)));
        Ok(selects(request.object) || selects(request.old_object))
    }

    fn rule<'a>(&self, rules: &[NamedRuleWithOperations], request: &'a Request<'_>) -> Option<&'a View> {
        let any = |view: &View| rules.iter().any(|rule| matches(rule, view, request));
        if any(request.view) {
            return Some(request.view);
        }
        if !self.equivalent {
            return None;
        }
        // The first rule that knows one of them decides which.
        let others = |rule| {
            request
                .equivalents
                .iter()
                .find(move |view| matches(rule, view, request))
        };
        rules.iter().find_map(others)
    }
}

fn matches(rule: &NamedRuleWithOperations, view: &View, request: &Request<'_>) -> bool {
    let scope = match rule.scope.as_deref() {
        Some("Namespaced") => !request.namespace.is_empty(),
        Some("Cluster") => request.namespace.is_empty(),
        _ => true,
    };
    let resource = |pattern: &String| {
        let (resource, subresource) = pattern.split_once('/').unwrap_or((pattern, ""));
        (resource == "*" || resource == view.resource) && (subresource == "*" || subresource == request.subresource)
    };
    let names = rule.resource_names.as_deref().unwrap_or_default();
    scope
        && listed(rule.api_groups.as_ref(), &view.group)
        && listed(rule.api_versions.as_ref(), &view.version)
        && listed(rule.operations.as_ref(), request.operation)
        && rule.resources.iter().flatten().any(resource)
        && (names.is_empty() || names.iter().any(|name| name == request.name))
}

fn of_view(rule: &NamedRuleWithOperations, view: &View) -> bool {
    let resource = |pattern: &String| {
        let resource = pattern
            .split_once('/')
            .map_or(pattern.as_str(), |(resource, _)| resource);
        resource == "*" || resource == view.resource
    };
    listed(rule.api_groups.as_ref(), &view.group)
        && listed(rule.api_versions.as_ref(), &view.version)
        && rule.resources.iter().flatten().any(resource)
}

fn listed(list: Option<&Vec<String>>, wanted: &str) -> bool {
    list.into_iter().flatten().any(|item| item == "*" || item == wanted)
}

fn labels_of(object: &Value) -> Labels {
    let labels = object["metadata"]["labels"].as_object();
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    labels.into_iter().flatten().filter_map(text).collect()
}

#[cfg(test)]
mod tests;
