use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::grant::rules_of;
use super::super::maker::MakerKind;
use super::super::status::{self, Outcome};
use super::*;
use crate::controllers::Key;
use crate::groups::tenancy::STORAGE;
use crate::groups::tenancy::makers::Level;
use crate::wire::subject::Subject;

fn user(name: &str) -> Subject {
    Subject {
        api_group: "rbac.authorization.k8s.io".to_owned(),
        kind: "User".to_owned(),
        name: name.to_owned(),
        namespace: String::new(),
    }
}

fn organization() -> Target {
    Target {
        level: Level::Organization,
        key: Key::cluster("acme"),
        uid: "acme-uid".to_owned(),
        namespace: "acme".to_owned(),
        home: "acme".to_owned(),
        in_organization: true,
        labels: BTreeMap::new(),
        organization_owners: vec![user("alice")],
        owners: vec![user("alice")],
        members: vec![user("bob")],
    }
}

fn project() -> Target {
    Target {
        level: Level::Project,
        key: Key::new("acme", "web"),
        uid: "web-uid".to_owned(),
        namespace: "acme-web".to_owned(),
        labels: BTreeMap::from([("tier".to_owned(), "front".to_owned())]),
        owners: vec![user("paul")],
        members: vec![user("mia"), user("alice")],
        ..organization()
    }
}

fn maker(kind: MakerKind, namespace: &str, name: &str, spec: Value) -> Maker {
    let mut object = json!({
        "metadata": {"name": name, "uid": format!("{name}-uid"), "generation": 1, "finalizers": [kind.finalizer()]},
        "spec": spec,
    });
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = json!(namespace);
    }
    Maker::new(kind, Arc::new(serde_json::from_value(object).expect("an object")))
}

/// A template of the administrator's for all namespaces.
fn of_all(name: &str, bind_to: &[&str], rules: &[Rule]) -> Maker {
    let spec = json!({"scopes": ["Organization", "Project"], "bindTo": bind_to, "rules": rules});
    maker(MakerKind::OrganizationRoleTemplate, "", name, spec)
}

fn pods(verbs: &[&str]) -> Rule {
    Rule::on("", &["pods"], verbs)
}

/// A namespace in which steps are taken as the cluster would.
struct Cluster {
    facts: Facts,
    taken: Vec<&'static str>,
    uids: usize,
}

impl Cluster {
    fn new(target: Target, makers: Vec<Maker>) -> Self {
        let facts = Facts {
            target,
            makers,
            roles: Vec::new(),
            bindings: Vec::new(),
            originals: Vec::new(),
            groups: Arc::new(Groups::new(["apps".to_owned()], STORAGE)),
            made: Arc::default(),
        };
        Self {
            facts,
            taken: Vec::new(),
            uids: 0,
        }
    }

    /// Looks and acts until there is nothing left to do; answers what was done.
    fn settle(&mut self) -> Vec<&'static str> {
        self.taken.clear();
        for _ in 0..10 {
            let steps = self.facts.steps();
            if steps.is_empty() {
                return self.taken.clone();
            }
            for step in steps {
                self.taken.push(step.name());
                self.take(step);
            }
        }
        panic!("it never settles: {:?}", self.taken);
    }

    fn take(&mut self, step: Step) {
        let named = |name: &Option<String>| name.clone().unwrap_or_default();
        match step {
            Step::WriteOriginal { name, spec, exists } => {
                let before = self.facts.originals.len();
                self.facts.originals.retain(|(of, _)| *of != name);
                assert_eq!(before != self.facts.originals.len(), exists);
                self.facts.originals.push((name, spec));
            }
            Step::DeleteOriginal(name) => self.facts.originals.retain(|(of, _)| *of != name),
            Step::WriteRules(role, rules) => {
                let mut new = (*role).clone();
                new.rules = Some(rules.iter().map(Into::into).collect());
                self.put_role(new);
            }
            Step::CreateRole(role) | Step::UpdateRole(_, role) => self.put_role(role),
            Step::CreateBinding(binding) => {
                let name = named(&binding.metadata.name);
                assert!(self.binding(&name).is_none(), "{name} exists");
                self.put_binding(binding);
            }
            Step::UpdateBinding(old, binding) => {
                assert_eq!(old.role_ref, binding.role_ref, "a roleRef cannot be changed");
                self.put_binding(binding);
            }
            Step::ReplaceBinding(old, binding) => {
                self.facts.bindings.retain(|it| it.metadata.name != old.metadata.name);
                self.put_binding(binding);
            }
            Step::DeleteBinding(old) => self.facts.bindings.retain(|it| it.metadata.name != old.metadata.name),
            Step::DeleteRole(old) => self.facts.roles.retain(|it| it.metadata.name != old.metadata.name),
        }
    }

    fn seen(&mut self, metadata: &mut ObjectMeta) {
        self.uids += 1;
        metadata.uid.get_or_insert_with(|| format!("object-{}", self.uids));
        self.facts.made.saw_object(metadata);
    }

    fn put_role(&mut self, mut role: Role) {
        let old = self
            .facts
            .roles
            .iter()
            .find(|it| it.metadata.name == role.metadata.name);
        role.metadata.uid = old.and_then(|old| old.metadata.uid.clone());
        self.seen(&mut role.metadata);
        self.facts.roles.retain(|it| it.metadata.name != role.metadata.name);
        self.facts.roles.push(Arc::new(role));
    }

    fn put_binding(&mut self, mut binding: RoleBinding) {
        let old = self
            .facts
            .bindings
            .iter()
            .find(|it| it.metadata.name == binding.metadata.name);
        binding.metadata.uid = old.and_then(|old| old.metadata.uid.clone());
        self.seen(&mut binding.metadata);
        self.facts
            .bindings
            .retain(|it| it.metadata.name != binding.metadata.name);
        self.facts.bindings.push(Arc::new(binding));
    }

    /// A user writes a Role of their own.
    fn write(&mut self, name: &str, rules: &[Rule]) {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        };
        self.put_role(Role {
            metadata,
            rules: Some(rules.iter().map(Into::into).collect()),
        });
    }

    fn rules(&self, name: &str) -> Option<Vec<Rule>> {
        let role = self
            .facts
            .roles
            .iter()
            .find(|role| role.metadata.name.as_deref() == Some(name))?;
        Some(rules_of(role))
    }

    fn binding(&self, name: &str) -> Option<Arc<RoleBinding>> {
        let mut all = self.facts.bindings.iter();
        all.find(|binding| binding.metadata.name.as_deref() == Some(name))
            .cloned()
    }

    fn bound(&self, name: &str) -> Option<Vec<String>> {
        let binding = self.binding(name)?;
        Some(
            binding
                .subjects
                .iter()
                .flatten()
                .map(|subject| subject.name.clone())
                .collect(),
        )
    }

    fn state(&self, maker: &Maker) -> State {
        self.facts.state(maker, &self.facts.grant(maker, &self.facts.maximum()))
    }

    /// The condition Ready of a maker whose only target this is.
    fn ready(&self, maker: &Maker) -> (String, String, String) {
        let grant = self.facts.grant(maker, &self.facts.maximum());
        let outcome = Outcome::new(maker, &self.facts.target, grant, self.state(maker));
        let status = status::status(maker, &[outcome], false, "now").expect("it is final");
        let ready = &status.conditions[0];
        (ready.status.clone(), ready.reason.clone(), ready.message.clone())
    }
}

/// tenancy.md R8.
#[test]
fn templates_bind_whom_they_say() {
    let everyone = of_all("everyone", &["Everyone"], &[pods(&["get"])]);
    let owners = of_all("owners", &["Owners"], &[pods(&["get"])]);
    let nobody = of_all("nobody", &[], &[pods(&["get"])]);
    let of_project = |name: &str, bind_to: &[&str]| {
        let spec = json!({"projectSelector": {}, "bindTo": bind_to, "rules": [pods(&["get"])]});
        maker(MakerKind::ProjectRoleTemplate, "acme", name, spec)
    };
    let makers = vec![
        everyone,
        owners,
        nobody,
        of_project("p-everyone", &["Everyone"]),
        of_project("p-owners", &["Owners"]),
        of_project("p-nobody", &[]),
    ];
    let mut of_organization = Cluster::new(organization(), makers.clone());
    of_organization.settle();
    let names = |cluster: &Cluster, name: &str| cluster.bound(name).map(|names| names.join(" "));
    let expected = [
        ("everyone", Some("alice bob")),
        ("owners", Some("alice")),
        ("nobody", None),
        ("p-everyone", None),
    ];
    for (name, bound) in expected {
        assert_eq!(names(&of_organization, name).as_deref(), bound, "{name}");
    }
    assert!(
        of_organization.rules("nobody").is_some(),
        "it is made for others to bind"
    );
    assert_eq!(of_organization.rules("p-owners"), None);
    let mut of_project = Cluster::new(project(), makers);
    of_project.settle();
    let expected = [
        ("everyone", Some("alice mia paul")),
        ("owners", Some("alice")),
        ("nobody", None),
        ("p-everyone", Some("alice mia paul")),
        ("p-owners", Some("paul")),
        ("p-nobody", Some("")),
    ];
    for (name, bound) in expected {
        assert_eq!(names(&of_project, name).as_deref(), bound, "{name}");
    }
    let is_for_everyone = |name: &str| {
        let binding = of_project.binding(name).expect("a binding");
        crate::groups::tenancy::controllers::labels::is_for_everyone(&binding, "web-uid")
    };
    assert!(is_for_everyone("everyone") && is_for_everyone("p-everyone"));
    assert!(!is_for_everyone("owners") && !is_for_everyone("p-owners"));
    assert_eq!(of_project.settle(), [""; 0]);
}

#[test]
fn selectors_say_where() {
    let selected = |kind: MakerKind, selector: Option<Value>, target: &Target| {
        let mut spec = json!({"scopes": ["Project"], "rules": []});
        if let Some(selector) = selector {
            spec["projectSelector"] = selector;
        }
        let namespace = if kind.namespaced() { "acme" } else { "" };
        maker(kind, namespace, "x", spec).applies(target)
    };
    let front = || json!({"matchLabels": {"tier": "front"}});
    let back = || json!({"matchLabels": {"tier": "back"}});
    for kind in [MakerKind::ProjectRoleTemplate, MakerKind::ProjectRole] {
        assert!(!selected(kind, None, &project()), "{kind:?}");
        assert!(selected(kind, Some(json!({})), &project()), "{kind:?}");
        assert!(selected(kind, Some(front()), &project()), "{kind:?}");
        assert!(!selected(kind, Some(back()), &project()), "{kind:?}");
        let elsewhere = Target {
            home: "other".to_owned(),
            ..project()
        };
        assert!(!selected(kind, Some(json!({})), &elsewhere), "{kind:?}");
        assert!(!selected(kind, Some(json!({})), &organization()), "{kind:?}");
    }
    let template = MakerKind::OrganizationRoleTemplate;
    assert!(selected(template, None, &project()) && selected(template, Some(front()), &project()));
    assert!(!selected(template, Some(back()), &project()) && !selected(template, None, &organization()));
    let alone = Target {
        in_organization: false,
        ..project()
    };
    assert!(
        !selected(template, None, &alone),
        "R10: it has no templates of an Organization"
    );
    assert!(selected(MakerKind::ProjectRoleTemplate, Some(json!({})), &alone));
    assert!(selected(MakerKind::OrganizationRole, None, &organization()));
    assert!(!selected(MakerKind::OrganizationRole, None, &project()));
}

#[test]
fn roles_are_cut_to_the_maximum_and_recover() {
    let wide = of_all("wide", &[], &[pods(&["get", "list"])]);
    let narrow = of_all("wide", &[], &[pods(&["get"])]);
    let spec = json!({"subjects": [user("bob")], "rules": [pods(&["get", "list", "delete"])]});
    let role = maker(MakerKind::OrganizationRole, "acme", "viewer", spec);
    let mut cluster = Cluster::new(organization(), vec![wide.clone(), role.clone()]);
    cluster.write("own", &[pods(&["*"])]);
    cluster.write("small", &[pods(&["get"])]);
    cluster.settle();
    let get_list = [pods(&["get", "list"])];
    assert_eq!(cluster.rules("organizationrole:viewer").as_deref(), Some(&get_list[..]));
    assert_eq!(cluster.bound("organizationrole:viewer"), Some(vec!["bob".to_owned()]));
    assert_eq!(cluster.rules("own").as_deref(), Some(&get_list[..]));
    let (status, reason, message) = cluster.ready(&role);
    assert_eq!((status.as_str(), reason.as_str()), ("True", "SetupComplete"));
    let cut = "cut off: delete of pods (beyond what the Organization may do at most)";
    assert!(message.ends_with(cut), "{message}");

    cluster.facts.makers[0] = narrow;
    assert!(!cluster.settle().is_empty());
    for name in ["organizationrole:viewer", "own", "small"] {
        assert_eq!(cluster.rules(name), Some(vec![pods(&["get"])]), "{name}");
    }
    cluster.facts.makers[0] = wide;
    cluster.settle();
    assert_eq!(cluster.rules("own").as_deref(), Some(&get_list[..]));
    cluster.facts.makers[0] = of_all("wide", &[], &[pods(&["*"])]);
    cluster.settle();
    assert_eq!(cluster.rules("own"), Some(vec![pods(&["*"])]), "the original is back");
    assert!(cluster.facts.originals.is_empty(), "and nothing needs to be kept");
    assert_eq!(
        cluster.rules("small"),
        Some(vec![pods(&["get"])]),
        "what fits was never touched"
    );

    cluster.facts.makers.remove(0);
    cluster.settle();
    assert_eq!(cluster.rules("own"), Some(Vec::new()), "no template, no permission");
    cluster
        .facts
        .roles
        .retain(|role| role.metadata.name.as_deref() != Some("own"));
    cluster.settle();
    let kept: Vec<&str> = cluster.facts.originals.iter().map(|(name, _)| name.as_str()).collect();
    // The template's own Role is nobody's now, and grants as little.
    assert_eq!(kept, ["small", "wide"], "nothing is kept of what is gone");
}

#[test]
fn what_was_made_is_made_again() {
    let template = of_all("t", &["Owners"], &[pods(&["get"])]);
    let mut cluster = Cluster::new(organization(), vec![template]);
    assert_eq!(cluster.settle(), ["create_role", "create_binding"]);
    cluster.facts.bindings.clear();
    assert_eq!(cluster.settle(), ["create_binding"]);
    let edit = |cluster: &mut Cluster, edit: &dyn Fn(&mut RoleBinding)| {
        let mut binding = (*cluster.binding("t").expect("a binding")).clone();
        edit(&mut binding);
        cluster.facts.bindings = vec![Arc::new(binding)];
    };
    edit(&mut cluster, &|binding| binding.subjects = None);
    assert_eq!(cluster.settle(), ["update_binding"]);
    // Without its labels it is still the one that was made.
    edit(&mut cluster, &|binding| {
        binding.metadata.labels = None;
        binding.subjects = None;
    });
    assert_eq!(cluster.settle(), ["update_binding"]);
    edit(&mut cluster, &|binding| binding.role_ref.name = "other".to_owned());
    assert_eq!(cluster.settle(), ["replace_binding"]);
    assert_eq!(cluster.bound("t"), Some(vec!["alice".to_owned()]));
    let mut role = (*cluster.facts.roles[0]).clone();
    role.rules = Some(vec![(&pods(&["*"])).into()]);
    role.metadata.labels = None;
    cluster.facts.roles = vec![Arc::new(role)];
    assert_eq!(cluster.settle(), ["update_role"]);
}

#[test]
fn what_others_made_is_not_touched() {
    let template = of_all("t", &["Owners"], &[pods(&["get"])]);
    let mut cluster = Cluster::new(organization(), vec![template.clone()]);
    cluster.write("t", &[pods(&["get"])]);
    assert_eq!(cluster.settle(), [""; 0]);
    let (status, reason, message) = cluster.ready(&template);
    assert_eq!((status.as_str(), reason.as_str()), ("False", "NameConflict"));
    assert_eq!(
        message,
        "Role \"t\" in namespace \"acme\" exists and is not made by this object"
    );
    cluster.facts.roles.clear();
    assert_eq!(cluster.settle(), ["create_role", "create_binding"]);
    assert_eq!(cluster.ready(&template).1, "SetupComplete");

    let mut binding = (*cluster.binding("t").expect("a binding")).clone();
    binding.metadata = ObjectMeta {
        name: Some("t".to_owned()),
        uid: Some("a stranger".to_owned()),
        ..ObjectMeta::default()
    };
    cluster.facts.bindings = vec![Arc::new(binding)];
    assert_eq!(cluster.settle(), [""; 0]);
    assert_eq!(cluster.state(&template), State::Conflict("RoleBinding"));
    // Whoever comes second to a name has a conflict, too.
    let spec = json!({"projectSelector": {}, "rules": [pods(&["get"])]});
    let second = maker(MakerKind::ProjectRoleTemplate, "acme", "t2", spec);
    let second = Maker {
        key: Key::new("acme", "t"),
        ..second
    };
    let mut cluster = Cluster::new(project(), vec![template.clone(), second.clone()]);
    cluster.settle();
    assert_eq!(cluster.state(&template), State::InPlace);
    assert_eq!(cluster.state(&second), State::Conflict("Role"));
}

#[test]
fn nothing_is_left_of_what_does_not_apply_any_more() {
    let template = of_all("t", &["Owners"], &[pods(&["get"])]);
    let mut cluster = Cluster::new(organization(), vec![template.clone()]);
    cluster.settle();
    let unbound = of_all("t", &[], &[pods(&["get"])]);
    cluster.facts.makers = vec![unbound];
    assert_eq!(cluster.settle(), ["delete_binding"]);
    let spec = json!({"scopes": ["Project"], "rules": []});
    cluster.facts.makers = vec![maker(MakerKind::OrganizationRoleTemplate, "", "t", spec)];
    assert_eq!(cluster.settle(), ["delete_role"]);
    // What a maker made of which nothing is known is not swept; but it grants no more than is permitted.
    cluster.facts.makers = vec![template];
    cluster.settle();
    cluster.facts.makers.clear();
    assert_eq!(cluster.settle(), ["write_original", "write_rules"]);
    assert_eq!(cluster.rules("t"), Some(Vec::new()));
    assert_eq!(cluster.bound("t"), Some(vec!["alice".to_owned()]));
}

#[test]
fn a_copy_of_our_labels_hides_nothing() {
    let template = of_all("t", &["Owners"], &[pods(&["get"])]);
    let mut cluster = Cluster::new(organization(), vec![template]);
    cluster.settle();
    let mut copy = (*cluster.facts.roles[0]).clone();
    copy.metadata.name = Some("copy".to_owned());
    copy.metadata.uid = None;
    copy.rules = Some(vec![(&Rule::on("", &["secrets"], &["*"])).into()]);
    cluster.put_role(copy);
    cluster.settle();
    assert_eq!(cluster.rules("copy"), Some(Vec::new()));
}

#[test]
fn what_is_on_its_way_is_not_told_until_it_is_late() {
    let template = of_all("t", &["Owners"], &[pods(&["get"])]);
    let cluster = Cluster::new(organization(), vec![template.clone()]);
    let grant = cluster.facts.grant(&template, &[]);
    let outcome = Outcome::new(&template, &cluster.facts.target, grant, cluster.state(&template));
    assert_eq!(outcome.state, State::Waiting);
    assert_eq!(
        status::status(&template, std::slice::from_ref(&outcome), false, "now"),
        None
    );
    let late = status::status(&template, &[outcome], true, "now").expect("it is told");
    assert_eq!(
        (late.phase.as_str(), late.conditions[0].reason.as_str()),
        ("NotReady", "Progressing")
    );
    assert!(late.targets.is_empty());
}
