//! Rules that say the same in fewer words.

use crate::wire::rbac::{ALL, Rule, covers_rule};

/// Above this many rules nothing is looked for that costs the square of their number.
const MANY: usize = 500;

/// The same permissions, in rules that are sorted, not covered by each other, and merged where just one part differs.
pub(super) fn tidy(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.iter_mut().for_each(absorb);
    rules.sort_unstable();
    rules.dedup();
    if rules.len() > MANY {
        return rules;
    }
    loop {
        drop_covered(&mut rules);
        if !merge_two(&mut rules) {
            rules.sort_unstable();
            return rules;
        }
    }
}

/// Drops from each list what a wildcard in it says, too.
fn absorb(rule: &mut Rule) {
    for list in [&mut rule.verbs, &mut rule.api_groups, &mut rule.resources] {
        if list.iter().any(|one| one == ALL) {
            *list = vec![ALL.to_owned()];
        }
        list.sort_unstable();
        list.dedup();
    }
    let of_all: Vec<String> = rule
        .resources
        .iter()
        .filter(|one| one.starts_with("*/"))
        .cloned()
        .collect();
    rule.resources.retain(|one| {
        let sub = one.split_once('/').map_or("", |(_, sub)| sub);
        one.starts_with("*/") || !of_all.iter().any(|all| &all[2..] == sub && one.contains('/'))
    });
    rule.resource_names.sort_unstable();
    rule.resource_names.dedup();
}

fn drop_covered(rules: &mut Vec<Rule>) {
    let mut at = 0;
    while at < rules.len() {
        let mut others = rules.iter().enumerate().filter(|(other, _)| *other != at);
        if others.any(|(_, other)| covers_rule(other, &rules[at])) {
            rules.remove(at);
        } else {
            at += 1;
        }
    }
}

/// Merges the first two rules that can be; says whether there were any.
fn merge_two(rules: &mut Vec<Rule>) -> bool {
    for at in 0..rules.len() {
        for other in at + 1..rules.len() {
            if let Some(merged) = merged(&rules[at], &rules[other]) {
                rules[at] = merged;
                rules.remove(other);
                return true;
            }
        }
    }
    false
}

/// One rule for two that differ in one part. Names may only be put together if both rules have some.
fn merged(one: &Rule, other: &Rule) -> Option<Rule> {
    let same = [
        one.verbs == other.verbs,
        one.api_groups == other.api_groups,
        one.resources == other.resources,
        one.resource_names == other.resource_names,
        one.non_resource_urls == other.non_resource_urls,
    ];
    if same.iter().filter(|same| !**same).count() != 1 {
        return None;
    }
    if !same[3] && (one.resource_names.is_empty() || other.resource_names.is_empty()) {
        return None;
    }
    let both = |left: &[String], right: &[String]| left.iter().chain(right).cloned().collect();
    let mut rule = Rule {
        verbs: both(&one.verbs, &other.verbs),
        api_groups: both(&one.api_groups, &other.api_groups),
        resources: both(&one.resources, &other.resources),
        resource_names: both(&one.resource_names, &other.resource_names),
        non_resource_urls: both(&one.non_resource_urls, &other.non_resource_urls),
    };
    rule.non_resource_urls.sort_unstable();
    rule.non_resource_urls.dedup();
    absorb(&mut rule);
    Some(rule)
}
