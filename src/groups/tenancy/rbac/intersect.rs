//! What two sets of rules both allow.

use super::tidy::tidy;
use crate::wire::rbac::{ALL, Rule};

/// What both `left` and `right` allow: exactly that, for whatever verb, group, resource or name may be asked about. A rule is a
/// product of four sets, and so is what two rules have in common; rules about paths have nothing in common with anything.
pub fn intersect(left: &[Rule], right: &[Rule]) -> Vec<Rule> {
    let pairs = left.iter().flat_map(|one| right.iter().map(move |other| (one, other)));
    tidy(pairs.filter_map(|(one, other)| both(one, other)).collect())
}

fn both(one: &Rule, other: &Rule) -> Option<Rule> {
    let filled = |list: Vec<String>| (!list.is_empty()).then_some(list);
    Some(Rule {
        verbs: filled(common(&one.verbs, &other.verbs, exact))?,
        api_groups: filled(common(&one.api_groups, &other.api_groups, exact))?,
        resources: filled(common(&one.resources, &other.resources, resource))?,
        resource_names: match (one.resource_names.as_slice(), other.resource_names.as_slice()) {
            ([], names) | (names, []) => names.to_vec(),
            (names, others) => filled(common(names, others, name))?,
        },
        non_resource_urls: Vec::new(),
    })
}

/// What each pair has in common.
fn common<'a>(left: &'a [String], right: &'a [String], both: fn(&'a str, &'a str) -> Option<&'a str>) -> Vec<String> {
    let pairs = left.iter().flat_map(|one| right.iter().map(move |other| (one, other)));
    let mut found: Vec<&str> = pairs.filter_map(|(one, other)| both(one, other)).collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(ToOwned::to_owned).collect()
}

/// Names know no wildcard: an object called `*` is just that.
fn name<'a>(left: &'a str, right: &'a str) -> Option<&'a str> {
    (left == right).then_some(left)
}

fn exact<'a>(left: &'a str, right: &'a str) -> Option<&'a str> {
    match (left, right) {
        (ALL, other) | (other, ALL) => Some(other),
        _ => name(left, right),
    }
}

fn resource<'a>(left: &'a str, right: &'a str) -> Option<&'a str> {
    exact(left, right).or_else(|| {
        let ((kind, sub), (other_kind, other_sub)) = (left.split_once('/')?, right.split_once('/')?);
        match (kind, other_kind) {
            _ if sub != other_sub => None,
            (ALL, _) => Some(right),
            (_, ALL) => Some(left),
            _ => None,
        }
    })
}
