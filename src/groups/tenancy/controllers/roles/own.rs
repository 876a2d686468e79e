//! Roles that users wrote themselves: they are cut down to what the Organization may do, and come back when it may do more.
//!
//! What a Role said is kept in a RoleOriginal, beside what was written instead. Whatever else is found in the Role is a
//! user's edit, and becomes the original. Both are written before the Role is, so that it can be told at any moment, after
//! any crash, who wrote what stands there.

use k8s_openapi::api::rbac::v1::Role;

use super::super::labels::EXEMPT;
use super::grant::rules_of;
use crate::groups::tenancy::rbac::{Groups, Rule, fit};
use crate::groups::tenancy::role_original::{RoleOriginalSpec, Written};

/// What a Role of a user's needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What is to be kept of it.
    pub original: Keep,
    /// The rules to write into it, after that.
    pub rules: Option<Vec<Rule>>,
}

/// What is to become of a RoleOriginal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// It is right, or there is none and need not be.
    #[default]
    AsItIs,
    /// It should say this.
    Write(RoleOriginalSpec),
    /// It is of no use any more.
    Delete,
}

/// What `role` needs where `maximum` holds. `original` is what is kept under its name.
pub fn change(role: &Role, original: Option<&RoleOriginalSpec>, maximum: &[Rule], groups: &Groups) -> Change {
    let exempt = role
        .metadata
        .labels
        .as_ref()
        .is_some_and(|labels| labels.contains_key(EXEMPT));
    if exempt || role.metadata.deletion_timestamp.is_some() {
        return Change::default();
    }
    let uid = role.metadata.uid.as_deref().unwrap_or_default();
    let known = original.filter(|original| original.role_uid == uid);
    let current = rules_of(role);
    let is_written = |kept: &&RoleOriginalSpec| kept.written.iter().any(|written| written.rules == current);
    let written = known.filter(is_written);
    let source = written.map_or(&current, |kept| &kept.rules);
    let fit = fit(source, maximum, groups);
    if fit.rules == current {
        let spec = || spec(uid, source, [&current]);
        let original = match original {
            Some(_) if fit.whole => Keep::Delete,
            Some(kept) if !fit.whole && *kept != spec() => Keep::Write(spec()),
            // Cut is only what was written, and that has been kept.
            _ => Keep::AsItIs,
        };
        return Change { original, rules: None };
    }
    // What stands there now must not be taken for an edit if the write of the Role never comes.
    let before = written.map(|_| &current);
    let spec = spec(uid, source, before.into_iter().chain([&fit.rules]));
    let original = match original {
        Some(kept) if *kept == spec => Keep::AsItIs,
        _ => Keep::Write(spec),
    };
    Change {
        original,
        rules: Some(fit.rules),
    }
}

fn spec<'a>(uid: &str, rules: &[Rule], written: impl IntoIterator<Item = &'a Vec<Rule>>) -> RoleOriginalSpec {
    let written = written.into_iter().map(|rules| Written { rules: rules.clone() });
    RoleOriginalSpec {
        role_uid: uid.to_owned(),
        rules: rules.to_vec(),
        written: written.collect(),
    }
}

#[cfg(test)]
mod tests {
    use kube::api::ObjectMeta;
    use proptest::prelude::*;

    use super::*;

    fn groups() -> Groups {
        Groups::new(["apps".to_owned()], "storage.bulward.io")
    }

    fn role(uid: &str, rules: &[Rule]) -> Role {
        Role {
            metadata: ObjectMeta {
                uid: Some(uid.to_owned()),
                ..ObjectMeta::default()
            },
            rules: Some(rules.iter().map(Into::into).collect()),
        }
    }

    /// What the cluster holds, and what a user wrote last.
    #[derive(Clone, Debug)]
    struct World {
        role: Role,
        original: Option<RoleOriginalSpec>,
        user: Vec<Rule>,
        maximum: Vec<Rule>,
    }

    impl World {
        /// Takes so many of the writes that are planned.
        fn act(&mut self, writes: usize) {
            let change = change(&self.role, self.original.as_ref(), &self.maximum, &groups());
            if writes > 0 {
                match change.original {
                    Keep::AsItIs => {}
                    Keep::Write(spec) => self.original = Some(spec),
                    Keep::Delete => self.original = None,
                }
            }
            if let Some(rules) = change.rules.filter(|_| writes > 1) {
                self.role.rules = Some(rules.iter().map(Into::into).collect());
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Event {
        Edit(Vec<Rule>),
        Recreate(Vec<Rule>),
        Maximum(Vec<Rule>),
        /// A look that is cut off after so many writes.
        Look(usize),
    }

    fn rules() -> impl Strategy<Value = Vec<Rule>> {
        let some = |all: &'static [&'static str]| proptest::sample::subsequence(all, 1..=all.len());
        let rule = (some(&["pods", "secrets"]), some(&["get", "list", "*"]));
        proptest::collection::vec(
            rule.prop_map(|(resources, verbs)| Rule::on("", &resources, &verbs)),
            0..3,
        )
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            2 => rules().prop_map(Event::Edit),
            1 => rules().prop_map(Event::Recreate),
            3 => rules().prop_map(Event::Maximum),
            6 => (0_usize..3).prop_map(Event::Look),
        ]
    }

    proptest! {
        /// Whatever happens, and wherever a look is cut off: in the end the Role is what the user wrote last, cut to the maximum.
        #[test]
        fn a_role_is_what_was_written_last_cut_to_the_maximum(events in proptest::collection::vec(event(), 0..20)) {
            let mut world = World { role: role("0", &[]), original: None, user: Vec::new(), maximum: Vec::new() };
            for (number, event) in events.into_iter().enumerate() {
                match event {
                    // An edit to what stands there already is none, and nobody can tell that a user wrote what we had.
                    Event::Edit(rules) => {
                        let mut ours = world.original.iter().flat_map(|kept| &kept.written);
                        if rules_of(&world.role) != rules && !ours.any(|it| it.rules == rules) {
                            world.role.rules = Some(rules.iter().map(Into::into).collect());
                            world.user = rules;
                        }
                    }
                    Event::Recreate(rules) => {
                        world.role = role(&number.to_string(), &rules);
                        world.user = rules;
                    }
                    Event::Maximum(rules) => world.maximum = rules,
                    Event::Look(writes) => world.act(writes),
                }
            }
            for _ in 0..3 {
                world.act(2);
            }
            let wanted = fit(&world.user, &world.maximum, &groups());
            prop_assert_eq!(rules_of(&world.role), wanted.rules);
            prop_assert_eq!(world.original.is_none(), wanted.whole, "it is kept as long as it is needed: {:?}", world.original);
            let settled = change(&world.role, world.original.as_ref(), &world.maximum, &groups());
            prop_assert_eq!(settled, Change::default());
            world.maximum = vec![Rule::on("", &["*"], &["*"])];
            for _ in 0..3 {
                world.act(2);
            }
            prop_assert_eq!(rules_of(&world.role), world.user, "it comes back");
        }
    }

    #[test]
    fn exempt_roles_are_left_alone() {
        let mut role = role("1", &[Rule::on("", &["secrets"], &["*"])]);
        assert_ne!(change(&role, None, &[], &groups()), Change::default());
        role.metadata.labels = Some([(EXEMPT.to_owned(), String::new())].into());
        assert_eq!(change(&role, None, &[], &groups()), Change::default());
    }
}
