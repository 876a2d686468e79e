//! Which single permissions some rules lack of others (k8s.io/component-helpers auth/rbac/validation/policy_comparator.go).

use super::rule::{ALL, Rule, covers_path, has, has_or_all};

/// The single permissions in `servant` that no rule of `owner` covers. Each is looked for in one rule alone.
pub(super) fn uncovered(owner: &[Rule], servant: &[Rule]) -> Vec<Rule> {
    let single = servant.iter().flat_map(singles);
    let missing = single.filter(|single| !owner.iter().any(|rule| covers(rule, single)));
    missing.collect()
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

/// A rule as rules of one verb on one resource, with at most one name, or of one verb on one path.
fn singles(rule: &Rule) -> Vec<Rule> {
    let one = |text: &String| vec![text.clone()];
    let names: Vec<Vec<String>> = match rule.resource_names.as_slice() {
        [] => vec![Vec::new()],
        names => names.iter().map(one).collect(),
    };
    let mut found = Vec::new();
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                found.extend(names.iter().map(|names| Rule {
                    verbs: one(verb),
                    api_groups: one(group),
                    resources: one(resource),
                    resource_names: names.clone(),
                    non_resource_urls: Vec::new(),
                }));
            }
        }
    }
    for url in &rule.non_resource_urls {
        found.extend(rule.verbs.iter().map(|verb| Rule {
            verbs: one(verb),
            non_resource_urls: one(url),
            ..Rule::default()
        }));
    }
    found
}

/// Whether a rule covers one of [`singles`].
fn covers(owner: &Rule, single: &Rule) -> bool {
    let names = &owner.resource_names;
    single.verbs.iter().all(|verb| has_or_all(&owner.verbs, verb))
        && single
            .api_groups
            .iter()
            .all(|group| has_or_all(&owner.api_groups, group))
        && single
            .resources
            .iter()
            .all(|one| covers_resource(&owner.resources, one))
        && (names.is_empty()
            || !single.resource_names.is_empty() && single.resource_names.iter().all(|name| has(names, name)))
        && (single.non_resource_urls.iter())
            .all(|path| owner.non_resource_urls.iter().any(|pattern| covers_path(pattern, path)))
}

fn covers_resource(own: &[String], wanted: &str) -> bool {
    let of_all = || {
        wanted
            .split_once('/')
            .is_some_and(|(_, sub)| has(own, &format!("{ALL}/{sub}")))
    };
    has_or_all(own, wanted) || of_all()
}
