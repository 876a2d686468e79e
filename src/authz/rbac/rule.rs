//! What the rules of a role allow, and how they are told (k8s.io/kubernetes pkg/apis/rbac/v1/evaluation_helpers.go).

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::authz::Attributes;
use crate::wire::rbac::{ALL, Rule, covers_path, has, has_or_all};

impl Rule {
    /// Reads a rule as roles hold it.
    pub fn parse(value: &Value) -> Self {
        let texts = |field: &str| {
            let list = value[field].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            verbs: texts("verbs"),
            api_groups: texts("apiGroups"),
            resources: texts("resources"),
            resource_names: texts("resourceNames"),
            non_resource_urls: texts("nonResourceURLs"),
        }
    }

    /// The rules of a list.
    pub fn list(rules: &Value) -> Vec<Self> {
        rules.as_array().into_iter().flatten().map(Self::parse).collect()
    }

    /// The part about resources, as reviews tell it.
    pub fn resource_rule(&self) -> Option<Value> {
        if self.resources.is_empty() {
            return None;
        }
        let mut rule = json!({"verbs": self.verbs, "apiGroups": self.api_groups, "resources": self.resources});
        if !self.resource_names.is_empty() {
            rule["resourceNames"] = json!(self.resource_names);
        }
        Some(rule)
    }

    /// The part about paths, as reviews tell it.
    pub fn non_resource_rule(&self) -> Option<Value> {
        let urls = &self.non_resource_urls;
        (!urls.is_empty()).then(|| json!({"verbs": self.verbs, "nonResourceURLs": urls}))
    }

    /// Whether the rule allows what is asked.
    pub fn allows(&self, attributes: &Attributes) -> bool {
        match attributes {
            Attributes::Resource(asked) => {
                has_or_all(&self.verbs, &asked.verb)
                    && has_or_all(&self.api_groups, &asked.group)
                    && self.has_resource(&asked.resource, &asked.subresource)
                    && (self.resource_names.is_empty() || has(&self.resource_names, &asked.name))
            }
            Attributes::Path { path, verb } => {
                has_or_all(&self.verbs, verb) && self.non_resource_urls.iter().any(|pattern| covers_path(pattern, path))
            }
        }
    }

    fn has_resource(&self, resource: &str, subresource: &str) -> bool {
        let matches = |own: &String| match own.as_str() {
            ALL => true,
            own if subresource.is_empty() => own == resource,
            own => match own.split_once('/') {
                Some((first, rest)) => (first == ALL || first == resource) && rest == subresource,
                None => false,
            },
        };
        self.resources.iter().any(matches)
    }

    /// The rule in one line, as refusals tell it (pkg/apis/rbac/v1/helpers.go CompactString).
    pub(super) fn compact(&self) -> String {
        let mut parts = String::from("{");
        let mut add = |name: &str, list: &[String]| {
            if !list.is_empty() {
                if parts.len() > 1 {
                    parts.push_str(", ");
                }
                let quoted: Vec<String> = list.iter().map(|one| crate::wire::quote::go_quote(one)).collect();
                let _ = write!(parts, "{name}:[{}]", quoted.join(" "));
            }
        };
        add("APIGroups", &self.api_groups);
        add("Resources", &self.resources);
        add("NonResourceURLs", &self.non_resource_urls);
        add("ResourceNames", &self.resource_names);
        add("Verbs", &self.verbs);
        parts.push('}');
        parts
    }
}

/// Joins the verbs of what differs by nothing else (pkg/registry/rbac/validation/policy_compact.go).
pub(super) fn compact(rules: Vec<Rule>) -> Vec<Rule> {
    let mut compacted: Vec<Rule> = Vec::new();
    for rule in rules {
        let same = |known: &&mut Rule| {
            rule.non_resource_urls.is_empty()
                && known.non_resource_urls.is_empty()
                && known.api_groups == rule.api_groups
                && known.resources == rule.resources
                && known.resource_names == rule.resource_names
        };
        match compacted.iter_mut().find(same) {
            Some(known) => known.verbs.extend(rule.verbs),
            None => compacted.push(rule),
        }
    }
    compacted
}
