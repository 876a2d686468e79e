//! Whether some rules allow all that others do (k8s.io/component-helpers auth/rbac/validation/policy_comparator.go).

use super::rule::{Rule, covers_path, has, has_or_all};

/// Whether `owner` allows everything that `servant` does, by RBAC's own measure: it looks for each single permission in
/// one rule alone, and knows wildcards, but not that a list may be complete.
pub fn covers(owner: &[Rule], servant: &[Rule]) -> bool {
    let mut single = servant.iter().flat_map(singles);
    single.all(|one| owner.iter().any(|rule| covers_single(rule, &one)))
}

/// The single permissions of `servant` that no rule of `owner` covers.
pub fn uncovered(owner: &[Rule], servant: &[Rule]) -> Vec<Rule> {
    let single = servant.iter().flat_map(singles);
    let found = single.filter(|one| !owner.iter().any(|rule| covers_single(rule, one)));
    found.map(Single::into_rule).collect()
}

/// Whether one rule allows everything that another does. A rule is a product of sets, so that each is looked at alone.
pub fn covers_rule(owner: &Rule, servant: &Rule) -> bool {
    let names = &owner.resource_names;
    let named = |name: &String| has(names, name);
    servant.verbs.iter().all(|verb| has_or_all(&owner.verbs, verb))
        && servant
            .api_groups
            .iter()
            .all(|group| has_or_all(&owner.api_groups, group))
        && servant
            .resources
            .iter()
            .all(|one| covers_resource(&owner.resources, one))
        && (names.is_empty() || !servant.resource_names.is_empty() && servant.resource_names.iter().all(named))
        && servant
            .non_resource_urls
            .iter()
            .all(|path| covers_any_path(owner, path))
}

/// How many single permissions the rules are.
pub fn size(rules: &[Rule]) -> usize {
    let product = |lists: &[usize]| lists.iter().fold(1_usize, |product, len| product.saturating_mul(*len));
    let of = |rule: &Rule| {
        let names = rule.resource_names.len().max(1);
        let resources = product(&[rule.verbs.len(), rule.api_groups.len(), rule.resources.len(), names]);
        resources.saturating_add(product(&[rule.verbs.len(), rule.non_resource_urls.len()]))
    };
    rules.iter().map(of).fold(0, usize::saturating_add)
}

/// One verb on one resource, with one name or on all objects; or on one path, with everything else empty.
struct Single<'a> {
    group: &'a str,
    resource: &'a str,
    verb: &'a str,
    name: Option<&'a str>,
    url: Option<&'a str>,
}

impl Single<'_> {
    fn into_rule(self) -> Rule {
        let one = |text: &str| vec![text.to_owned()];
        let verbs = one(self.verb);
        match self.url {
            Some(url) => Rule {
                non_resource_urls: one(url),
                verbs,
                ..Rule::default()
            },
            None => Rule {
                api_groups: one(self.group),
                resources: one(self.resource),
                resource_names: self.name.map(one).unwrap_or_default(),
                verbs,
                ..Rule::default()
            },
        }
    }
}

fn singles(rule: &Rule) -> impl Iterator<Item = Single<'_>> {
    let names: Vec<Option<&str>> = match rule.resource_names.as_slice() {
        [] => vec![None],
        names => names.iter().map(|name| Some(name.as_str())).collect(),
    };
    let resources = rule.api_groups.iter().flat_map(move |group| {
        let names = names.clone();
        rule.resources.iter().flat_map(move |resource| {
            let names = names.clone();
            rule.verbs.iter().flat_map(move |verb| {
                let single = move |name| Single {
                    group,
                    resource,
                    verb,
                    name,
                    url: None,
                };
                names.clone().into_iter().map(single)
            })
        })
    });
    let urls = rule.non_resource_urls.iter().flat_map(|url| {
        rule.verbs.iter().map(move |verb| Single {
            group: "",
            resource: "",
            verb,
            name: None,
            url: Some(url),
        })
    });
    resources.chain(urls)
}

fn covers_single(owner: &Rule, single: &Single<'_>) -> bool {
    if !has_or_all(&owner.verbs, single.verb) {
        return false;
    }
    if let Some(path) = single.url {
        // A rule is about resources or about paths, never both.
        return covers_any_path(owner, path);
    }
    has_or_all(&owner.api_groups, single.group)
        && covers_resource(&owner.resources, single.resource)
        && (owner.resource_names.is_empty() || single.name.is_some_and(|name| has(&owner.resource_names, name)))
}

fn covers_resource(resources: &[String], wanted: &str) -> bool {
    let subresource = || wanted.split_once('/').map(|(_, sub)| sub);
    has_or_all(resources, wanted) || subresource().is_some_and(|sub| has(resources, &format!("*/{sub}")))
}

fn covers_any_path(owner: &Rule, path: &str) -> bool {
    owner.non_resource_urls.iter().any(|pattern| covers_path(pattern, path))
}
