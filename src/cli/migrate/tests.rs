//! Plans, without a cluster: the mapping, what is refused, and what holds for every plan.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::account::{Account, ORIGIN, ROLE_LABEL};
use super::plan::{Migration, Plan, Step, handed_to, plan};
use super::rules::Rules;
use super::world::World;
use crate::groups::tenancy::controllers::labels::ADOPT;
use crate::wire::meta;

const RBAC: &str = "rbac.authorization.k8s.io";

fn rules() -> Rules {
    Rules::new(vec!["reserved-*".to_owned()]).unwrap()
}

fn account(name: &str, roles: &[&str]) -> Value {
    json!({
        "apiVersion": "catalog.kubecarrier.io/v1alpha1",
        "kind": "Account",
        "metadata": {"name": name, "uid": format!("uid-of-{name}")},
        "spec": {
            "metadata": {"displayName": "The A Team", "shortDescription": "Soldiers of fortune", "description": "In 1972 ..."},
            "roles": roles,
            "subjects": [{"kind": "User", "name": "hannibal"}],
        },
        "status": {"namespace": {"name": name}},
    })
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": format!("uid-of-namespace-{name}")}})
}

fn world(objects: impl IntoIterator<Item = Value>) -> World {
    let mut world = World::default();
    objects.into_iter().for_each(|object| world.add(object));
    world
}

/// The one Account's part of the plan.
fn only(objects: impl IntoIterator<Item = Value>, adopt: bool) -> Migration {
    let mut plan = plan(&world(objects), adopt, &rules());
    assert_eq!(plan.accounts.len(), 1, "{plan:?}");
    plan.accounts.remove(0)
}

/// Its steps, `action Kind namespace/name`.
fn steps(migration: &Migration) -> Vec<String> {
    let told = migration.steps.iter().map(|step| {
        let (kind, namespace, name) = step.object();
        format!("{} {kind} {namespace}/{name}", step.action())
    });
    told.collect()
}

fn problem(objects: impl IntoIterator<Item = Value>, adopt: bool) -> String {
    let migration = only(objects, adopt);
    assert_eq!(migration.steps, [], "{migration:?}");
    migration.problems.join("; ")
}

fn created(migration: &Migration, kind: &str) -> Value {
    let mut objects = migration.steps.iter().filter_map(|step| match step {
        Step::Create(object) if object["kind"] == kind => Some(object.clone()),
        _ => None,
    });
    objects.next().unwrap_or_else(|| panic!("no {kind} in {migration:?}"))
}

#[test]
fn an_account_becomes_an_organization_and_its_roles_projects() {
    let migration = only([account("a-team", &["Tenant", "Provider"]), namespace("a-team")], false);
    assert_eq!(
        steps(&migration),
        [
            "create Organization /a-team-org",
            "create Project a-team-org/provider",
            "create Project a-team-org/tenant"
        ]
    );
    assert_eq!(migration.problems, [""; 0]);
    let owners = json!([{"kind": "User", "apiGroup": RBAC, "name": "hannibal"}]);
    let organization = created(&migration, "Organization");
    assert_eq!(organization["apiVersion"], "storage.bulward.io/v1alpha1");
    assert_eq!(organization["metadata"]["annotations"][ORIGIN], "a-team/uid-of-a-team");
    let metadata = json!({"displayName": "The A Team", "description": "Soldiers of fortune"});
    assert_eq!(organization["spec"], json!({"metadata": metadata, "owners": owners}));
    let project = created(&migration, "Project");
    assert_eq!(project["metadata"]["labels"], json!({ROLE_LABEL: "provider"}));
    assert_eq!(project["spec"], json!({ "owners": owners }));
}

#[test]
fn a_missing_text_falls_back() {
    let texts = |metadata: Value| {
        let mut account = account("a-team", &["Tenant"]);
        account["spec"]["metadata"] = metadata;
        let metadata = created(&only([account], false), "Organization")["spec"]["metadata"].take();
        ["displayName", "description"].map(|field| metadata[field].as_str().unwrap().to_owned())
    };
    assert_eq!(
        texts(json!({"displayName": "d", "shortDescription": "s", "description": "l"})),
        ["d", "s"]
    );
    assert_eq!(texts(json!({"displayName": "d", "description": "l"})), ["d", "l"]);
    assert_eq!(texts(json!({"displayName": "d"})), ["d", "d"]);
    assert_eq!(texts(json!({})), ["a-team", "a-team"]);
    assert_eq!(texts(json!({"shortDescription": "s"})), ["a-team", "s"]);
}

/// tenancy.md, acceptance case 15, and whatever else KubeCarrier's webhook refuses.
#[test]
fn what_the_webhook_refuses_is_refused() {
    assert_eq!(
        problem([account("a", &["Provider", "Provider"])], false),
        "role Provider is duplicated"
    );
    assert_eq!(problem([account("a", &[])], false), "no roles assigned");
    assert!(problem([account("a", &["Owner"])], false).contains("role Owner is neither"));
    let text = "the short description or the display name of an Account with Provider role cannot be empty";
    for missing in ["shortDescription", "displayName"] {
        let mut account = account("a", &["Tenant", "Provider"]);
        account["spec"]["metadata"].as_object_mut().unwrap().remove(missing);
        assert_eq!(problem([account], false), text, "{missing}");
    }
    let mut odd = account("a", &["Tenant"]);
    odd["spec"]["roles"] = json!("Tenant");
    assert!(problem([odd], false).starts_with("its spec cannot be read: "));
}

#[test]
fn what_the_server_would_refuse_is_refused() {
    let long = "l".repeat(52);
    let text = problem([account(&long, &["Provider"])], false);
    assert!(
        text.contains("longer than 63 characters") && text.contains("Project provider"),
        "{text}"
    );
    let text = problem([account("kube-carrier", &["Tenant"])], false);
    assert!(text.contains(r#"reserved by "kube-*""#), "{text}");
    let text = problem([account("reserved-x", &["Tenant"])], false);
    assert!(text.contains(r#"reserved by "reserved-*""#), "{text}");
    let text = problem([account("a.b", &["Tenant"])], false);
    assert!(text.contains("must not contain dots"), "{text}");
    for subjects in [
        json!([]),
        json!([{"kind": "Robot", "name": "r"}]),
        json!([{"kind": "ServiceAccount", "name": "s"}]),
    ] {
        let mut account = account("a", &["Tenant"]);
        account["spec"]["subjects"] = subjects;
        let text = problem([account], false);
        assert!(text.contains("spec.owners"), "{text}");
    }
}

#[test]
fn a_subject_that_is_there_twice_is_an_owner_once() {
    let mut account = account("a", &["Tenant"]);
    let user = json!({"kind": "User", "name": "u"});
    account["spec"]["subjects"] =
        json!([user, {"kind": "User", "name": "u", "apiGroup": RBAC}, {"kind": "Group", "name": "u"}]);
    let organization = created(&only([account], false), "Organization");
    let expected =
        json!([{"kind": "User", "apiGroup": RBAC, "name": "u"}, {"kind": "Group", "apiGroup": RBAC, "name": "u"}]);
    assert_eq!(organization["spec"]["owners"], expected);
}

#[test]
fn a_namespace_is_handed_over_after_its_organization_is_there() {
    let objects = [account("a-team", &["Tenant"]), namespace("a-team")];
    let migration = only(objects.clone(), true);
    let planned = [
        "create Organization /a-team",
        "hand-over Namespace /a-team",
        "create Project a-team/tenant",
    ];
    assert_eq!(steps(&migration), planned);
    // Interrupted after the first step.
    let organization = created(&migration, "Organization");
    let again = only(objects.into_iter().chain([organization]), true);
    assert_eq!(steps(&again)[0], "keep Organization /a-team");
    assert_eq!(steps(&again)[1..], planned[1..]);
}

#[test]
fn a_namespace_that_is_not_the_accounts_is_not_handed_over() {
    let mut other = account("a", &["Tenant"]);
    other["status"] = json!({});
    assert!(problem([other.clone(), namespace("a")], true).contains("no Namespace to hand over yet"));
    assert!(problem([other.clone()], true).contains("no Namespace to hand over yet"));
    assert!(problem([account("a", &["Tenant"])], true).contains("its Namespace a is not there"));
    let text = problem([account("a", &["Tenant"]), namespace("a-org")], false);
    assert!(text.contains("Namespace a-org is there already"), "{text}");
    let text = problem([account("a", &["Tenant"]), namespace("a-org-tenant")], false);
    assert!(text.contains("Namespace a-org-tenant is there already"), "{text}");
    let mut owned = namespace("a");
    owned["metadata"]["labels"] = json!({"bulward.io/organization": "a", "bulward.io/owner-uid": "another"});
    assert!(problem([account("a", &["Tenant"]), owned], true).contains("belongs to another"));
    let mut going = namespace("a");
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert!(problem([account("a", &["Tenant"]), going], true).contains("is being deleted"));
}

#[test]
fn what_others_have_taken_is_a_problem() {
    let taken = |kind: &str, namespace: Option<&str>, name: &str| {
        let metadata =
            json!({"name": name, "namespace": namespace, "uid": "x", "annotations": {ORIGIN: "a/of-another-time"}});
        json!({"apiVersion": "storage.bulward.io/v1alpha1", "kind": kind, "metadata": metadata})
    };
    let text = problem([account("a", &["Tenant"]), taken("Organization", None, "a-org")], false);
    assert!(
        text.contains("Organization a-org is there already, and was not made from this Account"),
        "{text}"
    );
    let text = problem(
        [account("a", &["Tenant"]), taken("Project", Some("a-org"), "tenant")],
        false,
    );
    assert!(text.contains("Project tenant is there already"), "{text}");
    // Projects claim names of namespaces, too.
    let text = problem([account("a", &["Tenant"]), taken("Project", Some("a"), "org")], false);
    assert!(
        text.contains("the namespace a-org is that of Project org in namespace a"),
        "{text}"
    );
    let text = problem(
        [account("a", &["Tenant"]), taken("Organization", None, "a-org-tenant")],
        false,
    );
    assert!(
        text.contains("the namespace a-org-tenant is that of Organization a-org-tenant"),
        "{text}"
    );
    let mut going = account("a", &["Tenant"]);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert!(problem([going], false).contains("the Account is being deleted"));
}

#[test]
fn accounts_that_need_the_same_namespace_are_both_refused() {
    let refused = |objects: Vec<Value>, adopt| {
        let plan = plan(&world(objects), adopt, &rules());
        let accounts = plan.accounts.iter();
        accounts.map(|account| account.problems.join("; ")).collect::<Vec<_>>()
    };
    let mut second = account("b", &["Tenant"]);
    second["status"]["namespace"]["name"] = json!("a");
    let objects = vec![
        account("a", &["Tenant"]),
        second,
        namespace("a"),
        account("c", &["Tenant"]),
        namespace("c"),
    ];
    let text = "Accounts a and b would both need the namespace a";
    let other = "Accounts a and b would both need the namespace a-tenant";
    let both = format!("{text}; {other}");
    assert_eq!(refused(objects.clone(), true), [both.as_str(), both.as_str(), ""]);
    assert_eq!(refused(objects, false), ["", "", ""]);
    // What one of them has already is not in question.
    let objects = ["a", "a-tenant"].map(|name| [account(name, &["Tenant"]), namespace(name)]);
    let text = "Namespace a-tenant is there already, and would not be Project tenant's";
    assert_eq!(refused(objects.into_iter().flatten().collect(), true), [text, ""]);
}

#[test]
fn an_account_that_was_migrated_stays_where_it_is() {
    let objects = [account("a", &["Tenant"]), namespace("a")];
    let organization = created(&only(objects.clone(), false), "Organization");
    let again = only(objects.into_iter().chain([organization]), true);
    assert_eq!(
        steps(&again),
        ["keep Organization /a-org", "create Project a-org/tenant"]
    );
    assert_eq!(
        again.notes,
        ["Namespace a stays: the Organization was made as a-org before"]
    );
}

#[test]
fn files_may_be_lists_and_need_no_namespaces() {
    let mut typed = account("a", &["Tenant"]);
    typed
        .as_object_mut()
        .unwrap()
        .retain(|key, _| key == "metadata" || key == "spec");
    let list = json!({"apiVersion": "catalog.kubecarrier.io/v1alpha1", "kind": "AccountList", "items": [typed]});
    let mut world = world([list]);
    world.partial = true;
    let plan = plan(&world, true, &rules());
    assert_eq!(
        steps(&plan.accounts[0])[..2],
        ["create Organization /a", "hand-over Namespace /a"]
    );
}

#[test]
fn a_plan_is_told_in_full() {
    let mut pictured = account("b", &["Tenant"]);
    pictured["spec"]["metadata"]["logo"] = json!({"mediaType": "image/png", "data": "AA=="});
    let objects = [account("a", &["Provider", "Provider"]), pictured];
    let plan = plan(&world(objects), false, &rules());
    let expected = "\
ACCOUNT   ACTION   KIND           NAMESPACE   NAME
a         refuse   Account        -           a
b         create   Organization   -           b-org
b         create   Project        b-org       tenant
account a is refused: role Provider is duplicated
account b: note: logo and icon stay behind: an Organization has neither
2 to create, 0 to hand over, 0 there already, 1 accounts refused
";
    assert_eq!(plan.table(), expected);
    let json = plan.json();
    assert_eq!(
        json["summary"],
        json!({"create": 2, "handOver": 0, "keep": 0, "refused": 1})
    );
    assert_eq!(
        json["accounts"][1]["steps"][1]["object"]["metadata"]["namespace"],
        "b-org"
    );
    assert_eq!(json["accounts"][0]["problems"], json!(["role Provider is duplicated"]));
}

// === what holds for every plan ===

/// Few names, so that they meet; some are reserved or too long, some are what others' namespaces would be called.
fn name() -> impl Strategy<Value = String> {
    let long = "l".repeat(57);
    let names = [
        "a",
        "b",
        "a-org",
        "a-provider",
        "a-tenant",
        "a-org-provider",
        "b-org",
        "kube-x",
        "reserved-x",
    ];
    select(names.map(str::to_owned).into_iter().chain([long]).collect::<Vec<_>>())
}

fn any_account() -> impl Strategy<Value = Value> {
    let roles = prop_oneof![
        8 => subsequence(vec!["Provider", "Tenant"], 1..=2),
        1 => Just(vec![]),
        1 => Just(vec!["Tenant", "Tenant"]),
    ];
    let own = prop_oneof![4 => Just(true), 1 => Just(false)];
    (name(), roles, own, name(), any::<bool>()).prop_map(|(name, roles, own, other, described)| {
        let mut object = account(&name, &roles);
        if !described {
            object["spec"]["metadata"] = json!({});
        }
        if !own {
            object["status"]["namespace"]["name"] = json!(other);
        }
        object
    })
}

/// Namespaces, and Organizations and Projects of others.
fn any_world() -> impl Strategy<Value = World> {
    let namespaces = vec((name(), 0..4_u8), 0..6).prop_map(|all| {
        let made = all.into_iter().map(|(name, how)| {
            let mut object = namespace(&name);
            let metadata = &mut object["metadata"];
            match how {
                0 => metadata["annotations"] = json!({ADOPT: handed_to(&name)}),
                1 => metadata["labels"] = json!({"bulward.io/organization": name, "bulward.io/owner-uid": "x"}),
                _ => {}
            }
            object
        });
        made.collect::<Vec<_>>()
    });
    let others = vec((name(), prop_oneof![Just(None), name().prop_map(Some)]), 0..3).prop_map(|all| {
        let made = all.into_iter().map(|(name, namespace)| {
            let kind = if namespace.is_some() { "Project" } else { "Organization" };
            let metadata = json!({"name": name, "namespace": namespace, "uid": format!("uid-of-other-{name}")});
            json!({"apiVersion": "storage.bulward.io/v1alpha1", "kind": kind, "metadata": metadata})
        });
        made.collect::<Vec<_>>()
    });
    (vec(any_account(), 0..6), namespaces, others)
        .prop_map(|(accounts, namespaces, others)| world(accounts.into_iter().chain(namespaces).chain(others)))
}

/// The world after a step, as the API would have it.
fn after(world: &mut World, step: &Step) {
    match step {
        Step::Keep(_) => {}
        Step::Create(object) => {
            let mut object = object.clone();
            object["metadata"]["uid"] = json!(format!(
                "uid-of-new-{}-{}",
                meta::namespace(&object),
                meta::name(&object)
            ));
            world.add(object);
        }
        Step::HandOver { name, .. } => {
            let namespace = world.namespaces.get_mut(name).expect("what is handed over is there");
            namespace["metadata"]["annotations"][ADOPT] = json!(handed_to(name));
        }
    }
}

fn apply(world: &mut World, plan: &Plan, steps: usize) {
    let all = plan.accounts.iter().flat_map(|account| &account.steps);
    all.take(steps).for_each(|step| after(world, step));
}

/// What the controllers do about what was applied.
fn settle(world: &mut World) {
    let mut owners = BTreeMap::new();
    for (name, organization) in &mut world.organizations {
        let adopted = world
            .namespaces
            .get(name)
            .is_none_or(|namespace| meta::annotation(namespace, ADOPT) == Some(&handed_to(name)));
        if adopted {
            organization["status"] = json!({"namespace": {"name": name}});
            owners.insert(name.clone(), (name.clone(), meta::uid(organization).to_owned()));
        }
    }
    for ((namespace, name), project) in &mut world.projects {
        let own = format!("{namespace}-{name}");
        if !world.namespaces.contains_key(&own) {
            project["status"] = json!({"namespace": {"name": own}});
            owners.insert(own, (namespace.clone(), meta::uid(project).to_owned()));
        }
    }
    for (name, (organization, uid)) in owners {
        let namespace = world.namespaces.entry(name.clone()).or_insert_with(|| namespace(&name));
        namespace["metadata"]["labels"] = json!({"bulward.io/organization": organization, "bulward.io/owner-uid": uid});
    }
}

/// What is in a world, to be compared.
fn objects(world: &World) -> [Value; 3] {
    let projects = world.projects.iter();
    let projects: Vec<_> = projects
        .map(|((namespace, name), project)| json!([namespace, name, project]))
        .collect();
    [json!(world.organizations), json!(projects), json!(world.namespaces)]
}

fn refused(plan: &Plan) -> BTreeSet<String> {
    let refused = plan.accounts.iter().filter(|account| !account.problems.is_empty());
    refused.map(|account| account.account.clone()).collect()
}

fn is_done(plan: &Plan) -> bool {
    let mut steps = plan.accounts.iter().flat_map(|account| &account.steps);
    steps.all(|step| matches!(step, Step::Keep(_)))
}

proptest! {
    /// Also after the controllers have acted, there is nothing left to do, and what was refused is still refused.
    #[test]
    fn a_plan_that_was_applied_leaves_nothing_to_do(before in any_world(), adopt: bool, controllers: bool) {
        let rules = rules();
        let first = plan(&before, adopt, &rules);
        let mut world = before;
        apply(&mut world, &first, usize::MAX);
        if controllers {
            settle(&mut world);
        }
        let second = plan(&world, adopt, &rules);
        prop_assert!(is_done(&second), "{first:#?}\n{second:#?}");
        prop_assert_eq!(refused(&first), refused(&second));
    }

    /// Wherever it is interrupted, the next run arrives where one run would have.
    #[test]
    fn an_interrupted_run_is_resumed(before in any_world(), adopt: bool, done in 0..12_usize) {
        let rules = rules();
        let whole = plan(&before, adopt, &rules);
        let (mut at_once, mut world) = (before.clone(), before);
        apply(&mut at_once, &whole, usize::MAX);
        apply(&mut world, &whole, done);
        let rest = plan(&world, adopt, &rules);
        apply(&mut world, &rest, usize::MAX);
        prop_assert_eq!(objects(&world), objects(&at_once));
    }

    /// Nothing goes, and of what was there nothing changes but the annotation that hands a Namespace over.
    #[test]
    fn nothing_is_deleted_or_changed(before in any_world(), adopt: bool) {
        let planned = plan(&before, adopt, &rules());
        let mut world = before.clone();
        apply(&mut world, &planned, usize::MAX);
        for (name, organization) in &before.organizations {
            prop_assert_eq!(world.organizations.get(name), Some(organization));
        }
        for (key, project) in &before.projects {
            prop_assert_eq!(world.projects.get(key), Some(project));
        }
        prop_assert_eq!(world.namespaces.len(), before.namespaces.len());
        for (name, namespace) in &before.namespaces {
            let now = &world.namespaces[name];
            let mut expected = namespace.clone();
            if now != namespace {
                prop_assert!(adopt);
                expected["metadata"]["annotations"][ADOPT] = json!(handed_to(name));
            }
            prop_assert_eq!(now, &expected);
        }
    }

    /// A namespace never gets two claimants, one that somebody else's object stands in is never taken, and nothing of a refused
    /// Account is planned.
    #[test]
    fn nobody_is_in_anothers_way(before in any_world(), adopt: bool) {
        let planned = plan(&before, adopt, &rules());
        let mut claimed: BTreeSet<String> = before.claims().into_keys().collect();
        let handed: BTreeSet<&str> = planned.accounts.iter().flat_map(|account| &account.steps).filter_map(|step| match step {
            Step::HandOver { name, .. } => Some(name.as_str()),
            _ => None,
        }).collect();
        for migration in &planned.accounts {
            prop_assert!(migration.problems.is_empty() || migration.steps.is_empty());
            for step in &migration.steps {
                let Step::Create(object) = step else { continue };
                let name = match meta::namespace(object) {
                    "" => meta::name(object).to_owned(),
                    namespace => format!("{namespace}-{}", meta::name(object)),
                };
                if let Some(there) = before.namespaces.get(&name) {
                    let by_hand = meta::annotation(there, ADOPT) == Some(&handed_to(&name));
                    prop_assert!(by_hand || handed.contains(name.as_str()), "{name} is somebody's: {planned:#?}");
                }
                prop_assert!(claimed.insert(name.clone()), "{name} has two claimants: {planned:#?}");
            }
        }
    }
}

#[test]
fn an_account_is_read_from_either_form_of_its_status() {
    let mut object = account("a", &["Tenant"]);
    assert_eq!(Account::read(&object).namespace.as_deref(), Some("a"));
    object["status"] = json!({"namespace": "old"});
    assert_eq!(Account::read(&object).namespace.as_deref(), Some("old"));
    object["status"] = json!({"namespace": {"name": ""}});
    assert_eq!(Account::read(&object).namespace, None);
}
