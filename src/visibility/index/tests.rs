//! The index equals a brute-force reading of the visibility rule after every change.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::visibility::Role;

const ORGANIZATIONS: KindId = KindId(0);
const PROJECTS: KindId = KindId(1);

fn index() -> Index {
    Index::new(vec![Some(PROJECTS), None].into())
}

fn user(name: &str) -> SubjectKey {
    SubjectKey::user(name)
}

fn facts(owners: &[&str], members: &[&str], namespace: Option<&str>) -> Option<Arc<Facts>> {
    let sorted = |names: &[&str]| {
        let mut keys: Vec<SubjectKey> = names.iter().map(|name| user(name)).collect();
        keys.sort();
        keys.dedup();
        keys
    };
    Some(Arc::new(Facts {
        owners: sorted(owners),
        members: sorted(members),
        own_members: Vec::new(),
        namespace: namespace.map(Into::into),
    }))
}

#[test]
fn a_project_member_sees_the_organization_and_a_change_touches_both() {
    let mut index = index();
    index.apply(ORGANIZATIONS, &"acme".into(), facts(&["alice"], &[], Some("acme")));
    let touched = index.apply(PROJECTS, &"acme/web".into(), facts(&["alice"], &["bob"], None));
    assert_eq!(touched.len(), 2, "the Project and the Organization seen through it");
    assert_eq!(index.list(ORGANIZATIONS, &[user("bob")], None), vec![Key::from("acme")]);
    let audience = index.audience(ORGANIZATIONS, &"acme".into()).expect("acme");
    assert_eq!(audience.role(&[user("bob")]), Some(Role::Via("web".into())));
    assert_eq!(audience.role(&[user("alice")]), Some(Role::Owner));

    let touched = index.apply(PROJECTS, &"acme/web".into(), facts(&["alice"], &[], None));
    let organization = &touched[1];
    assert!(organization.before.as_ref().expect("before").contains(&[user("bob")]));
    assert!(!organization.after.as_ref().expect("after").contains(&[user("bob")]));
    assert!(index.list(ORGANIZATIONS, &[user("bob")], None).is_empty());
}

#[test]
fn a_project_in_a_similarly_named_namespace_opens_nothing() {
    let mut index = index();
    index.apply(ORGANIZATIONS, &"acme".into(), facts(&["alice"], &[], Some("acme")));
    index.apply(PROJECTS, &"acme-b/web".into(), facts(&["bob"], &[], None));
    index.apply(PROJECTS, &"acme0/web".into(), facts(&["bob"], &[], None));
    assert!(index.list(ORGANIZATIONS, &[user("bob")], None).is_empty());
}

/// One random change: an Organization or a Project appears, changes or goes.
#[derive(Clone, Debug)]
enum Step {
    Organization(u8, Option<(Vec<u8>, Vec<u8>, Option<u8>)>),
    Project(u8, u8, Option<(Vec<u8>, Vec<u8>)>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let people = || prop::collection::vec(0u8..6, 0..4);
    let organization = (
        0u8..4,
        prop::option::weighted(0.8, (people(), people(), prop::option::of(0u8..4))),
    );
    let project = (0u8..4, 0u8..3, prop::option::weighted(0.8, (people(), people())));
    let step = prop_oneof![
        organization.prop_map(|(name, facts)| Step::Organization(name, facts)),
        project.prop_map(|(namespace, name, facts)| Step::Project(namespace, name, facts)),
    ];
    prop::collection::vec(step, 1..60)
}

fn people(numbers: &[u8]) -> Vec<SubjectKey> {
    let set: BTreeSet<SubjectKey> = numbers.iter().map(|number| user(&format!("p{number}"))).collect();
    set.into_iter().collect()
}

type Model = BTreeMap<(KindId, Key), Arc<Facts>>;

/// The rule, word for word.
fn sees(model: &Model, kind: KindId, key: &Key, subject: &SubjectKey) -> bool {
    let Some(facts) = model.get(&(kind, key.clone())) else {
        return false;
    };
    let named = |facts: &Facts| facts.owners.contains(subject) || facts.members.contains(subject);
    let inside = |namespace: &str| {
        let mut projects = model.iter().filter(|((kind, _), _)| *kind == PROJECTS);
        projects.any(|((_, key), facts)| split(key).0 == Some(namespace) && named(facts))
    };
    named(facts) || (kind == ORGANIZATIONS && facts.namespace.as_deref().is_some_and(inside))
}

proptest! {
    #[test]
    fn index_equals_brute_force(steps in steps()) {
        let mut index = index();
        let mut model = Model::new();
        for step in steps {
            let (kind, key, facts) = match step {
                Step::Organization(name, facts) => {
                    let facts = facts.map(|(owners, members, namespace)| Facts {
                        owners: people(&owners),
                        members: people(&members),
                        own_members: Vec::new(),
                        namespace: namespace.map(|number| format!("n{number}").into()),
                    });
                    (ORGANIZATIONS, Key::from(format!("o{name}")), facts)
                }
                Step::Project(namespace, name, facts) => {
                    let facts = facts.map(|(owners, members)| Facts {
                        owners: people(&owners),
                        members: people(&members),
                        own_members: Vec::new(),
                        namespace: None,
                    });
                    (PROJECTS, Key::from(format!("n{namespace}/q{name}")), facts)
                }
            };
            let facts = facts.map(Arc::new);
            let before = model.clone();
            match &facts {
                Some(facts) => model.insert((kind, key.clone()), facts.clone()),
                None => model.remove(&(kind, key.clone())),
            };
            let touched = index.apply(kind, &key, facts);

            let objects: BTreeSet<(KindId, Key)> = before.keys().chain(model.keys()).cloned().collect();
            for number in 0..6u8 {
                let subject = user(&format!("p{number}"));
                let subjects = [subject.clone()];
                for (kind, key) in &objects {
                    let did = sees(&before, *kind, key, &subject);
                    let does = sees(&model, *kind, key, &subject);
                    prop_assert_eq!(index.visible(*kind, key, &subjects), does);
                    // Whoever gained or lost sight of an object is told by `touched`, with both states.
                    if did != does {
                        let told = touched.iter().find(|one| one.kind == *kind && one.key == *key);
                        let told = told.expect("a change of sight is always touched");
                        prop_assert_eq!(told.before.as_ref().is_some_and(|audience| audience.contains(&subjects)), did);
                        prop_assert_eq!(told.after.as_ref().is_some_and(|audience| audience.contains(&subjects)), does);
                    }
                }
                for kind in [ORGANIZATIONS, PROJECTS] {
                    let expected: Vec<Key> = model.keys()
                        .filter(|(other, key)| *other == kind && sees(&model, kind, key, &subject))
                        .map(|(_, key)| key.clone())
                        .collect();
                    prop_assert_eq!(index.list(kind, &subjects, None), expected);
                }
            }
        }
        // Nothing is left behind when everything goes.
        for (kind, key) in model.keys() {
            index.apply(*kind, key, None);
        }
        prop_assert_eq!(index.size(), (0, 0));
    }
}
