//! From text to rules (k8s.io/apiserver pkg/audit/policy/reader.go, pkg/apis/audit/validation/validation.go).

use std::fmt::Display;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::rule::{Resources, Rule};
use super::{Policy, Stages, Verdict};
use crate::audit::event::{Event, LEVELS, Level, STAGES};
use crate::wire::validation::FieldError;
use crate::wire::validation::names::dns1123_subdomain;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PolicyText {
    api_version: Option<String>,
    kind: Option<String>,
    #[serde(default, rename = "metadata")]
    _metadata: Option<IgnoredAny>,
    #[serde(default)]
    rules: Option<Vec<RuleText>>,
    #[serde(default)]
    omit_stages: Option<Vec<String>>,
    #[serde(default)]
    omit_managed_fields: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RuleText {
    #[serde(default)]
    level: Option<String>,
    #[serde(default)]
    users: Option<Vec<String>>,
    #[serde(default)]
    user_groups: Option<Vec<String>>,
    #[serde(default)]
    verbs: Option<Vec<String>>,
    #[serde(default)]
    resources: Option<Vec<ResourcesText>>,
    #[serde(default)]
    namespaces: Option<Vec<String>>,
    #[serde(default, rename = "nonResourceURLs")]
    paths: Option<Vec<String>>,
    #[serde(default)]
    omit_stages: Option<Vec<String>>,
    #[serde(default)]
    omit_managed_fields: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ResourcesText {
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    resources: Option<Vec<String>>,
    #[serde(default)]
    resource_names: Option<Vec<String>>,
}

/// A policy that may be used, or everything that is wrong with it in one line.
pub(super) fn policy(text: &str) -> Result<Policy, String> {
    let read: PolicyText = serde_saphyr::from_str(text).map_err(|error| one_line(&error))?;
    let (version, kind) = (read.api_version.unwrap_or_default(), read.kind.unwrap_or_default());
    if (version.as_str(), kind.as_str()) != (Event::API_VERSION, "Policy") {
        let wanted = Event::API_VERSION;
        return Err(format!(
            "apiVersion {version:?}, kind {kind:?}: must be {wanted:?} and \"Policy\""
        ));
    }
    let mut errors = Vec::new();
    let everywhere = stages("omitStages", read.omit_stages, &mut errors);
    let rules: Vec<Rule> = read
        .rules
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(|(at, rule)| {
            rule.read(
                &format!("rules[{at}]"),
                everywhere,
                read.omit_managed_fields,
                &mut errors,
            )
        })
        .collect();
    if rules.is_empty() {
        errors.push(FieldError::required("rules", "a policy without rules records nothing"));
    }
    match errors.is_empty() {
        true => Ok(Policy { rules }),
        false => Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    }
}

impl RuleText {
    fn read(self, path: &str, everywhere: Stages, omit_managed_fields: bool, errors: &mut Vec<FieldError>) -> Rule {
        let field = |name: &str| format!("{path}.{name}");
        let paths = self.paths.unwrap_or_default();
        for (at, url) in paths.iter().enumerate() {
            let at = format!("{}[{at}]", field("nonResourceURLs"));
            errors.extend(path_error(&at, url));
        }
        let resources = self.resources.unwrap_or_default().into_iter().enumerate();
        let resources: Vec<Resources> = resources
            .map(|(at, one)| one.read(&format!("{}[{at}]", field("resources")), errors))
            .collect();
        let namespaces = self.namespaces.unwrap_or_default();
        if !paths.is_empty() && (!resources.is_empty() || !namespaces.is_empty()) {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(FieldError::invalid(field("nonResourceURLs"), paths.join(","), why));
        }
        Rule {
            verdict: Verdict {
                level: level(field("level"), self.level, errors),
                omit_managed_fields: self.omit_managed_fields.unwrap_or(omit_managed_fields),
                omitted: everywhere.and(stages(&field("omitStages"), self.omit_stages, errors)),
            },
            users: self.users.unwrap_or_default(),
            user_groups: self.user_groups.unwrap_or_default(),
            verbs: self.verbs.unwrap_or_default(),
            resources,
            namespaces,
            paths,
        }
    }
}

impl ResourcesText {
    fn read(self, path: &str, errors: &mut Vec<FieldError>) -> Resources {
        let read = Resources {
            group: self.group.unwrap_or_default(),
            resources: self.resources.unwrap_or_default(),
            names: self.resource_names.unwrap_or_default(),
        };
        if !matches!(read.group.as_str(), "" | "*")
            && let wrong @ [_, ..] = dns1123_subdomain(&read.group).as_slice()
        {
            let why = wrong.join(",");
            errors.push(FieldError::invalid(format!("{path}.group"), read.group.as_str(), &why));
        }
        if !read.names.is_empty() && read.resources.is_empty() {
            let why = "using resourceNames requires at least one resource";
            errors.push(FieldError::invalid(
                format!("{path}.resourceNames"),
                read.names.join(","),
                why,
            ));
        }
        read
    }
}

fn level(field: String, text: Option<String>, errors: &mut Vec<FieldError>) -> Level {
    let text = text.unwrap_or_default();
    if let Some((_, level)) = LEVELS.iter().find(|(name, _)| *name == text) {
        return *level;
    }
    errors.push(match text.as_str() {
        "" => FieldError::required(field, ""),
        text => FieldError::not_supported(field, text, &LEVELS.map(|(name, _)| name)),
    });
    Level::None
}

fn stages(field: &str, texts: Option<Vec<String>>, errors: &mut Vec<FieldError>) -> Stages {
    let mut all = Stages::default();
    for (at, text) in texts.unwrap_or_default().iter().enumerate() {
        match STAGES.iter().find(|(name, _)| name == text) {
            Some((_, stage)) => all = all.with(*stage),
            None => {
                let why = format!("allowed stages are {}", STAGES.map(|(name, _)| name).join(","));
                errors.push(FieldError::invalid(format!("{field}[{at}]"), text.as_str(), &why));
            }
        }
    }
    all
}

fn path_error(field: &str, url: &str) -> Option<FieldError> {
    if url == "*" {
        return None;
    }
    let why = if !url.starts_with('/') {
        "non-resource URL rules must begin with a '/' character"
    } else if url.strip_suffix('*').unwrap_or(url).contains('*') {
        "non-resource URL wildcards '*' must be the final character of the rule"
    } else {
        return None;
    };
    Some(FieldError::invalid(field, url, why))
}

fn one_line(error: &impl Display) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
