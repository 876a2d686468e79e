//! The index equals a brute-force reading of the visibility rule after every change.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::visibility::Role;

const ORGANIZATIONS: KindId = KindId(0);
const PROJECTS: KindId = KindId(1);

/// Everything that exists.
type Model = BTreeMap<(KindId, Key), Arc<Facts>>;

/// An index, and the objects that it is about.
#[derive(Clone)]
struct Fixture {
    index: Index,
    objects: Objects,
}

#[derive(Clone, Default)]
struct Objects(Model);

impl Stored for Objects {
    fn facts(&self, kind: KindId, key: &str) -> Option<(&Key, &Arc<Facts>)> {
        let ((_, key), facts) = self.0.get_key_value(&(kind, key.into()))?;
        Some((key, facts))
    }

    fn inside(&self, kind: KindId, namespace: &str) -> impl Iterator<Item = (&Key, &Arc<Facts>)> {
        let (start, end) = namespace_range(namespace);
        self.0
            .range((kind, start)..(kind, end))
            .map(|((_, key), facts)| (key, facts))
    }
}

impl Fixture {
    fn new() -> Self {
        Self {
            index: Index::new(vec![Some(PROJECTS), None].into()),
            objects: Objects::default(),
        }
    }

    /// As the cache does it.
    fn apply(&mut self, kind: KindId, key: &str, facts: Option<Facts>) -> Vec<Touched> {
        let place = (kind, Key::from(key));
        let before = self.objects.0.get(&place).cloned();
        let facts = facts.map(|mut facts| {
            self.index.share(&place.1, &mut facts, before.as_deref());
            Arc::new(facts)
        });
        match &facts {
            Some(facts) => self.objects.0.insert(place.clone(), facts.clone()),
            None => self.objects.0.remove(&place),
        };
        self.index
            .apply(&self.objects, kind, &place.1, before.as_ref(), facts.as_ref())
    }

    fn audience(&self, kind: KindId, key: &str) -> Option<Audience> {
        let place = (kind, Key::from(key));
        let facts = self.objects.0.get(&place)?.clone();
        let through = self.index.through(kind, &place.1);
        Some(Audience { facts, through })
    }

    /// Every subject is held once, whoever names it.
    fn assert_shared(&self) {
        let mut texts: BTreeMap<&str, *const u8> = BTreeMap::new();
        let named = self
            .objects
            .0
            .values()
            .flat_map(|facts| facts.owners.iter().chain(&facts.members));
        let through = self.index.through.values().flat_map(|through| through.0.iter());
        for subject in named
            .chain(through.map(|(subject, _)| subject))
            .chain(self.index.subjects.keys())
        {
            let text = subject.as_str();
            let known = texts.entry(text).or_insert(text.as_ptr());
            assert_eq!(*known, text.as_ptr(), "{text} is held twice");
        }
    }
}

fn user(name: &str) -> SubjectKey {
    SubjectKey::user(name)
}

fn people(names: impl IntoIterator<Item = String>) -> Box<[SubjectKey]> {
    let set: BTreeSet<SubjectKey> = names.into_iter().map(|name| user(&name)).collect();
    set.into_iter().collect()
}

fn facts(owners: &[&str], members: &[&str], namespace: Option<&str>) -> Option<Facts> {
    let sorted = |names: &[&str]| people(names.iter().map(|name| (*name).to_owned()));
    Some(Facts {
        owners: sorted(owners),
        members: sorted(members),
        own_members: None,
        namespace: namespace.map(Into::into),
    })
}

#[test]
fn a_project_member_sees_the_organization_and_a_change_touches_both() {
    let mut fixture = Fixture::new();
    fixture.apply(ORGANIZATIONS, "acme", facts(&["alice"], &[], Some("acme")));
    let touched = fixture.apply(PROJECTS, "acme/web", facts(&["alice"], &["bob"], None));
    assert_eq!(touched.len(), 2, "the Project and the Organization seen through it");
    assert_eq!(
        fixture.index.list(ORGANIZATIONS, &[user("bob")], None),
        vec![Key::from("acme")]
    );
    let audience = fixture.audience(ORGANIZATIONS, "acme").expect("acme");
    assert_eq!(audience.role(&[user("bob")]), Some(Role::Via("acme/web".into())));
    assert_eq!(audience.role(&[user("alice")]), Some(Role::Owner));

    let touched = fixture.apply(PROJECTS, "acme/web", facts(&["alice"], &[], None));
    let organization = &touched[1];
    assert!(organization.before.as_ref().expect("before").contains(&[user("bob")]));
    assert!(!organization.after.as_ref().expect("after").contains(&[user("bob")]));
    assert!(fixture.index.list(ORGANIZATIONS, &[user("bob")], None).is_empty());
}

#[test]
fn a_project_in_a_similarly_named_namespace_opens_nothing() {
    let mut fixture = Fixture::new();
    fixture.apply(ORGANIZATIONS, "acme", facts(&["alice"], &[], Some("acme")));
    fixture.apply(PROJECTS, "acme-b/web", facts(&["bob"], &[], None));
    fixture.apply(PROJECTS, "acme0/web", facts(&["bob"], &[], None));
    assert!(fixture.index.list(ORGANIZATIONS, &[user("bob")], None).is_empty());
}

#[test]
fn one_edit_of_a_large_object_touches_one_posting() {
    let mut fixture = Fixture::new();
    let crowd = |count: usize| {
        let members = people((0..count).map(|number| format!("m{number:04}")));
        let facts = facts(&["alice"], &[], None).expect("facts");
        Some(Facts { members, ..facts })
    };
    fixture.apply(ORGANIZATIONS, "acme", crowd(1_000));
    let before = fixture.index.clone();
    fixture.apply(ORGANIZATIONS, "acme", crowd(1_001));
    let (new, old) = (&fixture.index.subjects, &before.subjects);
    let mended: Vec<&str> = new
        .iter()
        .filter(|(subject, seen)| !old.get(*subject).is_some_and(|old| old.is_same(seen)))
        .map(|(subject, _)| subject.as_str())
        .collect();
    assert_eq!(mended, ["u:m1000"]);
    fixture.assert_shared();
}

#[test]
fn a_subject_that_sees_nothing_is_forgotten_and_may_come_back() {
    let mut fixture = Fixture::new();
    fixture.apply(ORGANIZATIONS, "a", facts(&["alice", "bob"], &[], None));
    fixture.apply(ORGANIZATIONS, "a", facts(&["bob"], &[], None));
    assert_eq!(fixture.index.size().subjects, 1);
    fixture.apply(ORGANIZATIONS, "b", facts(&["alice", "bob"], &["alice"], None));
    fixture.apply(ORGANIZATIONS, "a", facts(&["alice"], &[], None));
    assert_eq!(
        fixture.index.list(ORGANIZATIONS, &[user("alice")], None),
        [Key::from("a"), Key::from("b")]
    );
    assert_eq!(fixture.index.size().postings, 3);
    fixture.assert_shared();
}

/// One random change: an Organization or a Project appears, changes or goes.
#[derive(Clone, Debug)]
struct Step {
    kind: KindId,
    key: String,
    facts: Option<Facts>,
}

/// A few people often meet; many make postings and audiences large.
fn steps(people_in_all: u8, at_once: usize, length: usize) -> impl Strategy<Value = Vec<Step>> {
    let named = move || {
        let numbers = prop::collection::vec(0..people_in_all, 0..at_once);
        numbers.prop_map(|numbers| people(numbers.iter().map(|number| format!("p{number}"))))
    };
    // Namespaces are called as Organizations are, so that claims meet names, their own and others'.
    let namespace = || (0u8..4).prop_map(|number| format!("o{number}"));
    let facts = move || {
        let claim = prop::option::weighted(0.7, namespace());
        let said = (named(), named(), prop::option::weighted(0.3, named()), claim);
        said.prop_map(|(owners, members, own_members, claim)| Facts {
            owners,
            members,
            own_members,
            namespace: claim.map(Into::into),
        })
    };
    let organization = (namespace(), prop::option::weighted(0.8, facts()));
    let project = (namespace(), 0u8..30, prop::option::weighted(0.8, facts()));
    let step = prop_oneof![
        organization.prop_map(|(key, facts)| Step {
            kind: ORGANIZATIONS,
            key,
            facts
        }),
        project.prop_map(|(namespace, name, facts)| Step {
            kind: PROJECTS,
            key: format!("{namespace}/q{name}"),
            facts: facts.map(|facts| Facts {
                namespace: None,
                ..facts
            }),
        }),
    ];
    prop::collection::vec(step, 1..length)
}

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

/// The Project through which the rule lets a subject see an Organization.
fn via(model: &Model, facts: &Facts, subject: &SubjectKey) -> Option<Key> {
    let namespace = facts.namespace.as_deref()?;
    let mut projects = model
        .iter()
        .filter(|((kind, key), facts)| *kind == PROJECTS && split(key).0 == Some(namespace) && facts.names(subject));
    projects.next().map(|((_, key), _)| key.clone())
}

fn equals_brute_force(steps: Vec<Step>, people_in_all: u8) -> Result<(), TestCaseError> {
    let mut fixture = Fixture::new();
    for step in steps {
        let before = fixture.objects.0.clone();
        let touched = fixture.apply(step.kind, &step.key, step.facts);
        let model = &fixture.objects.0;
        let objects: BTreeSet<(KindId, Key)> = before.keys().chain(model.keys()).cloned().collect();
        for number in 0..people_in_all {
            let subject = user(&format!("p{number}"));
            let subjects = [subject.clone()];
            for (kind, key) in &objects {
                let did = sees(&before, *kind, key, &subject);
                let does = sees(model, *kind, key, &subject);
                let audience = fixture.audience(*kind, key);
                prop_assert_eq!(
                    audience.as_ref().is_some_and(|audience| audience.contains(&subjects)),
                    does
                );
                if let Some(audience) = &audience {
                    let facts = &audience.facts;
                    let role = match () {
                        () if facts.owners.contains(&subject) => Some(Role::Owner),
                        () if facts.members.contains(&subject) => Some(Role::Member),
                        () if *kind == ORGANIZATIONS => via(model, facts, &subject).map(Role::Via),
                        () => None,
                    };
                    prop_assert_eq!(audience.role(&subjects), role);
                }
                // Whoever gained or lost sight of an object is told by `touched`, with both states.
                if did != does {
                    let told = touched.iter().find(|one| one.kind == *kind && one.key == *key);
                    let told = told.expect("a change of sight is always touched");
                    let saw =
                        |audience: &Option<Audience>| audience.as_ref().is_some_and(|one| one.contains(&subjects));
                    prop_assert_eq!((saw(&told.before), saw(&told.after)), (did, does));
                }
            }
            for kind in [ORGANIZATIONS, PROJECTS] {
                for namespace in [None, Some("o1")] {
                    let expected: Vec<Key> = model
                        .keys()
                        .filter(|(other, key)| *other == kind && sees(model, kind, key, &subject))
                        .filter(|(_, key)| namespace.is_none() || split(key).0 == namespace)
                        .map(|(_, key)| key.clone())
                        .collect();
                    prop_assert_eq!(fixture.index.list(kind, &subjects, namespace), expected);
                }
            }
        }
        for number in 0..4 {
            let namespace = format!("o{number}");
            let claimants = model
                .iter()
                .filter(|((kind, _), facts)| *kind == ORGANIZATIONS && facts.namespace.as_deref() == Some(&namespace));
            let claimants: Vec<Key> = claimants.map(|((_, key), _)| key.clone()).collect();
            prop_assert_eq!(
                fixture.index.claimants(&fixture.objects, ORGANIZATIONS, &namespace),
                claimants
            );
        }
        fixture.assert_shared();
    }
    // Nothing is left behind when everything goes.
    for (kind, key) in fixture.objects.0.clone().into_keys() {
        fixture.apply(kind, &key, None);
    }
    prop_assert_eq!(fixture.index.size(), Size::default());
    Ok(())
}

proptest! {
    #[test]
    fn index_equals_brute_force(steps in steps(6, 4, 60)) {
        equals_brute_force(steps, 6)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn a_large_index_equals_brute_force(steps in steps(24, 24, 80)) {
        equals_brute_force(steps, 24)?;
    }
}

proptest! {
    /// Also across the boundary between slices and trees.
    #[test]
    fn a_set_equals_a_tree_set(steps in prop::collection::vec((0u8..40, prop::bool::weighted(0.6)), 0..200)) {
        let (mut set, mut model) = (Set::default(), BTreeSet::new());
        for (one, add) in steps {
            if add {
                prop_assert_eq!(set.insert(one), model.insert(one));
            } else {
                prop_assert_eq!(set.remove(&one), model.remove(&one));
            }
            prop_assert_eq!(set.len(), model.len());
            prop_assert!(set.iter().eq(&model));
            prop_assert!(set.starting_at(one).eq(model.range(one..)));
        }
        prop_assert_eq!(&Set::from(model.iter().copied().collect::<Vec<_>>()), &set);
    }
}
