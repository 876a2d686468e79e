//! What of the requested rules may be granted, and what was cut off and why.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::intersect::intersect;
use super::rule::MOST;
use super::tidy::tidy;
use crate::wire::rbac::{ALL, Rule, covers, size, uncovered};

/// API groups of the cluster, and the one that is never granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    served: BTreeSet<String>,
    never: String,
}

/// A part of the requested rules that is not granted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cut {
    /// What was asked for and is not granted, or not as it was asked for.
    pub rule: Rule,
    /// Why it is not granted.
    pub reason: String,
}

/// What may be written of the requested rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// The rules to write.
    pub rules: Vec<Rule>,
    /// Whether that is all that was requested, in the words in which it was.
    pub whole: bool,
}

impl Groups {
    /// The groups that the cluster serves, and the one among them that nobody is granted anything of.
    pub fn new(served: impl IntoIterator<Item = String>, never: &str) -> Self {
        let mut served: BTreeSet<String> = served.into_iter().collect();
        served.insert(String::new());
        served.remove(never);
        Self {
            served,
            never: never.to_owned(),
        }
    }

    /// The groups by name.
    pub fn served(&self) -> impl Iterator<Item = &str> {
        self.served.iter().map(String::as_str)
    }

    /// The rules without what must never be granted. RBAC cannot say "all groups but one", so that a wildcard becomes the
    /// list of the groups that are served.
    fn without_never(&self, mut rules: Vec<Rule>) -> Vec<Rule> {
        for rule in &mut rules {
            if rule.api_groups.iter().any(|group| group == ALL) {
                rule.api_groups = self.served.iter().cloned().collect();
            }
            rule.api_groups.retain(|group| *group != self.never);
        }
        rules.retain(|rule| !rule.api_groups.is_empty());
        tidy(rules)
    }
}

/// What of `requested` lies within `maximum` and may be written.
pub fn fit(requested: &[Rule], maximum: &[Rule], groups: &Groups) -> Fit {
    let granted = groups.without_never(intersect(requested, maximum));
    if size(requested) <= MOST && covers(&granted, requested) {
        return Fit {
            rules: requested.to_vec(),
            whole: true,
        };
    }
    Fit {
        rules: granted,
        whole: false,
    }
}

/// What of `requested` is not in `granted`, which [`fit`] made of the same.
pub fn cut(requested: &[Rule], maximum: &[Rule], granted: &[Rule], groups: &Groups) -> Vec<Cut> {
    if size(requested) > MOST {
        let reason = format!("more than {MOST} single permissions: only what is granted is shown");
        let whole = |rule: &Rule| Cut {
            rule: rule.clone(),
            reason: reason.clone(),
        };
        return requested.iter().map(whole).collect();
    }
    let mut reasons: Vec<(String, Vec<Rule>)> = Vec::new();
    for single in uncovered(granted, requested) {
        let reason = groups.reason(&single, maximum);
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, rules)) => rules.push(single),
            None => reasons.push((reason, vec![single])),
        }
    }
    let cuts = reasons.into_iter().flat_map(|(reason, rules)| {
        tidy(rules).into_iter().map(move |rule| Cut {
            rule,
            reason: reason.clone(),
        })
    });
    cuts.collect()
}

impl Groups {
    /// Why a single permission is not granted as it was asked for.
    fn reason(&self, single: &Rule, maximum: &[Rule]) -> String {
        let single = std::slice::from_ref(single);
        let group = single[0].api_groups.first().map_or("", String::as_str);
        let never = &self.never;
        if !single[0].non_resource_urls.is_empty() {
            "what is not a resource lies in no namespace".to_owned()
        } else if group == never {
            format!("{never} is never granted")
        } else if maximum.is_empty() {
            "nothing is permitted here: no OrganizationRoleTemplate applies".to_owned()
        } else if intersect(single, maximum).is_empty() {
            "beyond what the Organization may do at most".to_owned()
        } else if group == ALL && covers(maximum, single) {
            format!("{never} is never granted: the API groups that the cluster serves are granted by name")
        } else {
            "in part beyond what the Organization may do at most: the rest is granted".to_owned()
        }
    }
}
