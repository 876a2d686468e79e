//! A small cluster in which the steps are taken at once: whatever happens in whatever order, it comes to rest where it should.

use proptest::prelude::*;
use serde_json::json;

use super::super::labels::OWNER_UID;
use super::super::world::{Lenient, Owned};
use super::*;
use kube::api::ObjectMeta;

const NOW: &str = "2026-01-01T00:00:00Z";

fn tenant(uid: &str, finalizers: &[&str]) -> Tenant {
    let finalizers = finalizers.iter().map(|it| (*it).to_owned()).collect();
    Tenant {
        types: None,
        metadata: ObjectMeta {
            name: Some("acme".to_owned()),
            uid: Some(uid.to_owned()),
            generation: Some(1),
            finalizers: Some(finalizers),
            ..ObjectMeta::default()
        },
        spec: Lenient(Owned::default()),
        status: None,
    }
}

/// An Organization `acme` and what may be around it.
#[derive(Clone, Debug)]
struct Cluster {
    acme: Option<Tenant>,
    namespace: Option<Namespace>,
    /// Whether each of its Projects is going.
    projects: Vec<bool>,
    uids: u32,
    /// Namespaces that were deleted, by whom they belonged to.
    deleted: Vec<Option<String>>,
}

#[derive(Clone, Debug)]
enum Event {
    Create,
    Delete,
    NamespaceByHand(bool),
    NamespaceGoes,
    NamespaceGone,
    Adopt,
    Unlabel,
    Project,
    ProjectGone,
    Look,
}

impl Cluster {
    fn facts(&self) -> Option<Facts> {
        let mut projects = Vec::new();
        for (number, going) in self.projects.iter().enumerate() {
            let mut project = tenant(&format!("project-{number}"), &[]);
            project.metadata.namespace = Some("acme".to_owned());
            project.metadata.name = Some(number.to_string());
            project.metadata.deletion_timestamp = going.then(time);
            projects.push(Arc::new(project));
        }
        Some(Facts {
            kind: Kind::Organization,
            key: Key::cluster("acme"),
            tenant: Arc::new(self.acme.clone()?),
            namespace: self.namespace.clone().map(Arc::new),
            held: false,
            bound: Bound::default(),
            projects,
            blocked: None,
            organization: Some("acme".to_owned()),
        })
    }

    /// Looks once, takes the step, and checks that it may be taken.
    fn look(&mut self) -> bool {
        let Some(facts) = self.facts() else { return false };
        let step = facts.next(NOW);
        let acme = self.acme.as_mut().expect("there are facts");
        let deleting = acme.metadata.deletion_timestamp.is_some();
        let uid = acme.metadata.uid.clone().unwrap_or_default();
        match step {
            Step::Nothing => return false,
            Step::AddFinalizer => {
                assert!(!deleting);
                let finalizers = acme.metadata.finalizers.get_or_insert_default();
                finalizers.push(ORGANIZATION_FINALIZER.to_owned());
            }
            Step::CreateNamespace(labels) => {
                assert!(!deleting && self.namespace.is_none());
                assert!(facts.has_finalizer(), "what is made can always be found again");
                self.namespace = Some(namespace::new("acme", labels));
            }
            Step::LabelNamespace(labels) => {
                assert!(!deleting);
                let found = self.namespace.as_mut().expect("it is there");
                let owner = namespace::owner_uid(found).map(str::to_owned);
                let ordered = found
                    .metadata
                    .annotations
                    .as_ref()
                    .is_some_and(|all| all.contains_key(ADOPT));
                assert!(owner.as_deref() == Some(&uid) || ordered, "{owner:?}");
                let annotations = found.metadata.annotations.get_or_insert_default();
                annotations.insert(OWNER_UID.to_owned(), labels[OWNER_UID].clone());
                found.metadata.labels.get_or_insert_default().extend(labels);
            }
            Step::DeleteProjects(projects) => {
                assert!(deleting && !projects.is_empty());
                self.projects.iter_mut().for_each(|going| *going = true);
            }
            Step::DeleteNamespace => {
                assert!(deleting && self.projects.is_empty());
                let found = self.namespace.as_mut().expect("it is there");
                assert_eq!(namespace::owner_uid(found), Some(uid.as_str()));
                self.deleted.push(namespace::owner_uid(found).map(str::to_owned));
                found.metadata.deletion_timestamp = Some(time());
            }
            Step::RemoveFinalizer => {
                assert!(deleting);
                let owner = self.namespace.as_ref().and_then(namespace::owner_uid);
                assert_ne!(owner, Some(uid.as_str()), "its Namespace would be nobody's");
                self.acme = None;
            }
            Step::WriteStatus { status, .. } => {
                let owner = self.namespace.as_ref().and_then(namespace::owner_uid);
                let ours = owner == Some(uid.as_str());
                let claimed = &status.namespace.name;
                let before = facts
                    .tenant
                    .status
                    .as_deref()
                    .is_some_and(|old| old.namespace.name == *claimed);
                assert!(
                    claimed.is_empty() || ours || (before && self.namespace.is_none()),
                    "{status:?}"
                );
                acme.status = Some(Lenient(*status));
            }
        }
        true
    }

    fn happens(&mut self, event: &Event) {
        match event {
            Event::Create if self.acme.is_none() => {
                self.uids += 1;
                self.acme = Some(tenant(&format!("uid-{}", self.uids), &[]));
            }
            Event::Delete => {
                if let Some(acme) = &mut self.acme {
                    acme.metadata.deletion_timestamp = Some(time());
                    if acme.metadata.finalizers.as_ref().is_none_or(Vec::is_empty) {
                        self.acme = None;
                    }
                }
            }
            Event::NamespaceByHand(labelled) if self.namespace.is_none() => {
                let labels = if *labelled {
                    json!({ OWNER_UID: "somebody" })
                } else {
                    json!({})
                };
                let made = json!({"metadata": {"name": "acme", "labels": labels}});
                self.namespace = Some(serde_json::from_value(made).unwrap());
            }
            Event::NamespaceGoes => {
                if let Some(found) = &mut self.namespace {
                    found.metadata.deletion_timestamp = Some(time());
                }
            }
            // As the namespace controller does: what is in it goes first.
            Event::NamespaceGone if self.namespace.as_ref().is_some_and(namespace::is_terminating) => {
                self.projects.clear();
                self.namespace = None;
            }
            Event::Adopt => {
                if let Some(found) = &mut self.namespace {
                    let annotations = found.metadata.annotations.get_or_insert_default();
                    annotations.insert(ADOPT.to_owned(), "organization/acme".to_owned());
                }
            }
            Event::Unlabel => {
                if let Some(found) = &mut self.namespace {
                    found.metadata.labels = None;
                }
            }
            Event::Project if self.namespace.as_ref().is_some_and(|it| !namespace::is_terminating(it)) => {
                self.projects.push(false);
            }
            Event::ProjectGone if self.projects.last() == Some(&true) => {
                self.projects.pop();
            }
            Event::Look => {
                self.look();
            }
            _ => {}
        }
    }

    /// Nothing happens any more but what was begun: deletions come to their end.
    fn come_to_rest(&mut self) {
        for _ in 0..1_000 {
            let acted = self.look();
            let before = (self.projects.len(), self.namespace.is_some());
            self.projects.retain(|going| !going);
            self.happens(&Event::NamespaceGone);
            if !acted && before == (self.projects.len(), self.namespace.is_some()) {
                return;
            }
        }
        panic!("it never comes to rest: {self:?}");
    }
}

fn time() -> k8s_openapi::apimachinery::pkg::apis::meta::v1::Time {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(NOW.parse().expect("a time"))
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Create),
        1 => Just(Event::Delete),
        1 => any::<bool>().prop_map(Event::NamespaceByHand),
        1 => Just(Event::NamespaceGoes),
        1 => Just(Event::NamespaceGone),
        1 => Just(Event::Adopt),
        1 => Just(Event::Unlabel),
        2 => Just(Event::Project),
        1 => Just(Event::ProjectGone),
        8 => Just(Event::Look),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_it_comes_to_rest_where_it_should(events in proptest::collection::vec(event(), 0..60)) {
        let mut cluster = Cluster {
            acme: None,
            namespace: None,
            projects: Vec::new(),
            uids: 0,
            deleted: Vec::new(),
        };
        for event in &events {
            cluster.happens(event);
        }
        cluster.come_to_rest();
        let owner = cluster.namespace.as_ref().and_then(namespace::owner_uid).map(str::to_owned);
        prop_assert!(cluster.deleted.iter().all(Option::is_some), "somebody else's was deleted");
        if let Some(acme) = &cluster.acme {
            let status = acme.status.as_deref().cloned().unwrap_or_default();
            prop_assert!(acme.metadata.deletion_timestamp.is_none(), "a deletion ends: {cluster:?}");
            let ours = owner == acme.metadata.uid;
            let condition = &status.conditions[0];
            let wanted = if ours { "SetupComplete" } else { "NamespaceConflict" };
            prop_assert_eq!(&condition.reason, wanted);
            prop_assert_eq!(status.namespace.name, if ours { "acme" } else { "" });
            prop_assert_eq!(status.observed_generation, 1);
        } else {
            let live = owner.as_deref().is_some_and(|owner| owner.starts_with("uid-"));
            prop_assert!(!live, "a Namespace outlived its Organization: {owner:?}");
        }
    }
}
