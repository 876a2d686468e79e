//! What is said about a maker: where its roles are in place, what was cut off, and what stands in the way.

use super::super::status::READY;
use super::grant::Grant;
use super::maker::Maker;
use super::plan::State;
use super::target::Target;
use crate::groups::tenancy::makers::{Level, RoleStatus, TargetReference};
use crate::groups::tenancy::organization::Condition;
use crate::groups::tenancy::rbac::{Cut, Rule, intersect};

/// Above this many targets they are counted, and no longer listed: an object has its limits.
const LISTED: usize = 5_000;
/// The group that a reference to a target names (tenancy.md 1a).
const GROUP: &str = "bulward.io";
/// How much of what was cut a message tells.
const TOLD: usize = 3;
const CUT_OFF: &str = "; cut off: ";

/// What a message of [`status`] tells of what was cut.
pub fn cut_off(message: &str) -> Option<&str> {
    message.split_once(CUT_OFF).map(|(_, cut)| cut)
}

/// What a maker makes of one target that it applies to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Where.
    pub target: TargetReference,
    /// Name of the namespace.
    pub namespace: String,
    /// How far it has come.
    pub state: State,
    /// What is granted there.
    pub rules: Vec<Rule>,
    /// What is not.
    pub cut: Vec<Cut>,
}

impl Outcome {
    /// Of a grant that has come so far.
    pub fn new(maker: &Maker, target: &Target, grant: Grant, state: State) -> Self {
        let (kind, namespace) = match target.level {
            Level::Organization => ("Organization", ""),
            Level::Project => ("Project", target.key.namespace.as_str()),
        };
        let target_reference = TargetReference {
            api_group: GROUP.to_owned(),
            kind: kind.to_owned(),
            name: target.key.name.clone(),
            namespace: namespace.to_owned(),
            observed_generation: maker.object.metadata.generation.unwrap_or_default(),
        };
        Self {
            target: target_reference,
            namespace: target.namespace.clone(),
            state,
            rules: grant.rules,
            cut: grant.cut,
        }
    }
}

/// The status of a maker. While something is on its way nothing is said that is not final, unless it is `overdue`: then
/// the answer is what holds now. `now` is the time of a condition that changes.
pub fn status(maker: &Maker, outcomes: &[Outcome], overdue: bool, now: &str) -> Option<RoleStatus> {
    let old = &maker.object.status;
    let old = old.as_ref().map(|status| status.0.clone()).unwrap_or_default();
    let waiting = outcomes
        .iter()
        .filter(|outcome| outcome.state == State::Waiting)
        .count();
    let conflict = outcomes.iter().find_map(|outcome| match outcome.state {
        State::Conflict(kind) => Some((kind, outcome)),
        _ => None,
    });
    if waiting > 0 && !overdue {
        return None;
    }
    let in_place = || outcomes.iter().filter(|outcome| outcome.state == State::InPlace);
    let (reason, message) = match conflict {
        Some((kind, outcome)) => {
            let name = maker.role_name();
            let message = format!(
                "{kind} {name:?} in namespace {:?} exists and is not made by this object",
                outcome.namespace
            );
            ("NameConflict", message)
        }
        None if waiting > 0 => (
            "Progressing",
            format!("the role is not yet in place in {waiting} namespaces"),
        ),
        None => ("SetupComplete", told(outcomes)),
    };
    let (effective_rules, cut) = match maker.kind.shows_rules() {
        true => together(outcomes),
        false => Default::default(),
    };
    let mut targets: Vec<TargetReference> = in_place().map(|outcome| outcome.target.clone()).collect();
    targets.sort_unstable();
    targets.truncate(LISTED);
    let condition = condition(&old.conditions, reason, message, now);
    let phase = if condition.status == "True" {
        "Ready"
    } else {
        "NotReady"
    };
    Some(with(old, maker, condition, phase, targets, effective_rules, cut))
}

/// The status of a maker that is going away.
pub fn deleting(maker: &Maker, now: &str) -> RoleStatus {
    let old = &maker.object.status;
    let old = old.as_ref().map(|status| status.0.clone()).unwrap_or_default();
    let message = "the roles that were made are being deleted".to_owned();
    let condition = condition(&old.conditions, "Deleting", message, now);
    let (targets, rules, cut) = (old.targets.clone(), old.effective_rules.clone(), old.cut.clone());
    with(old, maker, condition, "Terminating", targets, rules, cut)
}

fn with(
    old: RoleStatus,
    maker: &Maker,
    condition: Condition,
    phase: &str,
    targets: Vec<TargetReference>,
    effective_rules: Vec<Rule>,
    cut: Vec<Cut>,
) -> RoleStatus {
    let mut conditions = old.conditions;
    match conditions.iter_mut().find(|it| it.r#type == READY) {
        Some(place) => *place = condition,
        None => conditions.push(condition),
    }
    RoleStatus {
        conditions,
        phase: phase.to_owned(),
        observed_generation: maker.object.metadata.generation.unwrap_or_default(),
        targets,
        effective_rules,
        cut,
    }
}

/// The condition Ready; its time stays while its status does.
fn condition(old: &[Condition], reason: &str, message: String, now: &str) -> Condition {
    let ready = if reason == "SetupComplete" { "True" } else { "False" };
    let before = old.iter().find(|it| it.r#type == READY && it.status == ready);
    Condition {
        r#type: READY.to_owned(),
        status: ready.to_owned(),
        last_transition_time: before.map_or_else(|| now.to_owned(), |before| before.last_transition_time.clone()),
        reason: reason.to_owned(),
        message,
    }
}

/// What holds in every target, and what does not hold in some.
fn together(outcomes: &[Outcome]) -> (Vec<Rule>, Vec<Cut>) {
    let Some((first, others)) = outcomes.split_first() else {
        return Default::default();
    };
    let mut rules = first.rules.clone();
    let mut cut = first.cut.clone();
    for outcome in others {
        if outcome.rules != rules {
            rules = intersect(&rules, &outcome.rules);
        }
        let new: Vec<Cut> = outcome.cut.iter().filter(|one| !cut.contains(one)).cloned().collect();
        cut.extend(new);
    }
    (rules, cut)
}

fn told(outcomes: &[Outcome]) -> String {
    let mut message = match outcomes.len() {
        0 => "nothing is selected".to_owned(),
        1 => "the role is in place in 1 namespace".to_owned(),
        more => format!("the role is in place in {more} namespaces"),
    };
    let (_, cut) = together(outcomes);
    if !cut.is_empty() {
        let first: Vec<String> = cut
            .iter()
            .take(TOLD)
            .map(|one| format!("{} ({})", words(&one.rule), one.reason))
            .collect();
        message.push_str(CUT_OFF);
        message.push_str(&first.join(", "));
        if cut.len() > TOLD {
            message.push_str(&format!(", and {} more", cut.len() - TOLD));
        }
    }
    message
}

/// `get,list of pods,secrets in apps`
fn words(rule: &Rule) -> String {
    let few = |list: &[String]| match list {
        [one, two, three, rest @ ..] if !rest.is_empty() => format!("{one},{two},{three},..."),
        list => list.join(","),
    };
    let mut text = format!(
        "{} of {}",
        few(&rule.verbs),
        few(&[&rule.resources[..], &rule.non_resource_urls].concat())
    );
    let groups: Vec<String> = rule
        .api_groups
        .iter()
        .filter(|group| !group.is_empty())
        .cloned()
        .collect();
    if !groups.is_empty() {
        text.push_str(&format!(" in {}", few(&groups)));
    }
    if !rule.resource_names.is_empty() {
        text.push_str(&format!(" named {}", few(&rule.resource_names)));
    }
    text
}
