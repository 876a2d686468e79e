use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use k8s_openapi::api::admissionregistration::v1::{MatchResources, NamedRuleWithOperations};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::runtime::{reflector, watcher};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Matcher;
use crate::admission::attributes::Attributes;
use crate::admission::equivalents::Equivalents;
use crate::admission::namespaces::{Live, Namespaces};
use crate::rest::admission::Operation;
use crate::rest::resource::{Access, Conventions, Edge, Group, Kind, Registry, Resource};
use crate::wire::names::GroupVersion;
use crate::wire::user::UserInfo;

const GROUPS: [&str; 2] = ["a.io", "b.io"];
const OPERATIONS: [Operation; 3] = [Operation::Create, Operation::Update, Operation::Delete];

fn pick(from: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(proptest::sample::select(from).prop_map(str::to_owned), 0..4)
}

fn rule() -> impl Strategy<Value = NamedRuleWithOperations> {
    let scope = proptest::option::of(proptest::sample::select(vec!["*", "Cluster", "Namespaced"]));
    let parts = (
        pick(&["a.io", "b.io", "c.io", "a.io", "b.io", "*"]),
        pick(&["v1", "v1", "v2", "*"]),
        pick(&["things", "things/status", "*/status", "*", "*/*", "others"]),
        pick(&["CREATE", "UPDATE", "DELETE", "*", "*"]),
        scope,
        pick(&["n", "m"]),
    );
    parts.prop_map(
        |(groups, versions, resources, operations, scope, names)| NamedRuleWithOperations {
            api_groups: Some(groups),
            api_versions: Some(versions),
            resources: Some(resources),
            operations: Some(operations),
            scope: scope.map(str::to_owned),
            resource_names: Some(names),
        },
    )
}

fn selector() -> impl Strategy<Value = Option<LabelSelector>> {
    proptest::option::of(pick(&["x", "y"]).prop_map(|labels| LabelSelector {
        match_labels: Some(labels.into_iter().map(|label| (label, "1".to_owned())).collect()),
        match_expressions: None,
    }))
}

#[derive(Clone, Debug)]
struct Case {
    resources: MatchResources,
    view: usize,
    operation: usize,
    status: bool,
    namespaced: bool,
    name: &'static str,
    labels: [Vec<String>; 3],
}

fn case() -> impl Strategy<Value = Case> {
    let rules = || proptest::collection::vec(rule(), 0..4);
    let policy = proptest::sample::select(vec![None, Some("Exact"), Some("Equivalent"), Some("Equivalent")]);
    let resources = (rules(), rules(), selector(), selector(), policy);
    let labels = [pick(&["x", "y"]), pick(&["x", "y"]), pick(&["x", "y"])];
    let request = (
        0..2_usize,
        0..3_usize,
        any::<bool>(),
        any::<bool>(),
        proptest::sample::select(vec!["n", ""]),
    );
    (resources, request, labels).prop_map(|(resources, request, labels)| {
        let (rules, excluded, namespace_selector, object_selector, match_policy) = resources;
        let (view, operation, status, namespaced, name) = request;
        Case {
            resources: MatchResources {
                resource_rules: Some(rules),
                // Rarely: one that matches everything would leave nothing to test.
                exclude_resource_rules: Some(excluded.into_iter().take(1).collect()),
                namespace_selector,
                object_selector,
                match_policy: match_policy.map(str::to_owned),
            },
            view,
            operation,
            status,
            namespaced,
            name,
            labels,
        }
    })
}

struct Plain;

impl crate::rest::resource::Strategy for Plain {}

/// `things` in both groups: two views of the same objects.
pub(in crate::admission) fn served() -> Equivalents {
    let kind = Arc::new(Kind {
        kind: "Thing".to_owned(),
        singular: "thing".to_owned(),
        plural: "things".to_owned(),
        description: String::new(),
        namespaced: true,
        schema: json!({"type": "object"}),
        strategy: Arc::new(Plain),
        selectable_fields: Vec::new(),
        columns: Vec::new(),
        edge: Edge::Unrestricted,
        conventions: Conventions::CustomResource,
    });
    let resource = |group: &str| {
        Arc::new(Resource {
            group_version: GroupVersion::new(group, "v1"),
            stored: kind.clone(),
            short_names: Vec::new(),
            categories: Vec::new(),
            access: Access::Unfiltered,
            status_subresource: true,
            version: None,
            deprecation: None,
        })
    };
    let group = |name: &str| Group {
        name: name.to_owned(),
        priority: 1,
        resources: vec![resource(name)],
        reviews: Vec::new(),
    };
    Equivalents::new(&Registry {
        groups: GROUPS.map(group).into(),
    })
}

/// A cluster that cannot be asked.
struct Nobody;

#[async_trait]
impl Live for Nobody {
    async fn get(&self, _: &str) -> Result<Option<Namespace>, String> {
        Err("unreachable".to_owned())
    }
}

fn namespaces(labels: &[String]) -> Namespaces {
    let (store, mut writer) = reflector::store();
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some("ns".to_owned());
    namespace.metadata.labels = Some(labels.iter().map(|label| (label.clone(), "1".to_owned())).collect());
    writer.apply_watcher_event(&watcher::Event::Apply(namespace));
    Namespaces::new(store, Arc::new(Nobody))
}

/// Written down from the API's documentation, without any short way: whether a rule is about a group's view.
fn about(rule: &NamedRuleWithOperations, group: &str, case: &Case) -> bool {
    let has = |list: &Option<Vec<String>>, wanted: &str| {
        let list = list.clone().unwrap_or_default();
        list.contains(&"*".to_owned()) || list.contains(&wanted.to_owned())
    };
    let resources = rule.resources.clone().unwrap_or_default();
    let resource = if case.status {
        ["things/status", "*/status", "*/*", "things/*"]
            .iter()
            .any(|r| resources.contains(&(*r).to_owned()))
    } else {
        ["things", "*", "*/*", "things/*"]
            .iter()
            .any(|r| resources.contains(&(*r).to_owned()))
    };
    let names = rule.resource_names.clone().unwrap_or_default();
    has(&rule.api_groups, group)
        && has(&rule.api_versions, "v1")
        && has(&rule.operations, OPERATIONS[case.operation].name())
        && resource
        && match rule.scope.as_deref() {
            Some("Cluster") => !case.namespaced,
            Some("Namespaced") => case.namespaced,
            _ => true,
        }
        && (names.is_empty() || names.contains(&case.name.to_owned()))
}

fn selects(selector: &Option<LabelSelector>, labels: &[String]) -> bool {
    let wanted = selector
        .clone()
        .and_then(|selector| selector.match_labels)
        .unwrap_or_default();
    wanted.keys().all(|label| labels.contains(label))
}

fn empty(selector: &Option<LabelSelector>) -> bool {
    selector
        .clone()
        .and_then(|selector| selector.match_labels)
        .unwrap_or_default()
        .is_empty()
}

fn model(case: &Case) -> Option<&'static str> {
    let own = GROUPS[case.view];
    let other = GROUPS[1 - case.view];
    let which = |rules: &[NamedRuleWithOperations]| {
        let any = |group| rules.iter().any(|rule| about(rule, group, case));
        if any(own) {
            Some(own)
        } else if case.resources.match_policy.as_deref() == Some("Equivalent") && any(other) {
            Some(other)
        } else {
            None
        }
    };
    let [namespace, new, old] = &case.labels;
    if case.namespaced && !selects(&case.resources.namespace_selector, namespace) {
        return None;
    }
    let creates = OPERATIONS[case.operation] == Operation::Create;
    let deletes = OPERATIONS[case.operation] == Operation::Delete;
    let objects = &case.resources.object_selector;
    let selected = (!deletes && selects(objects, new)) || (!creates && selects(objects, old));
    if !empty(objects) && !selected {
        return None;
    }
    if which(case.resources.exclude_resource_rules.as_deref().unwrap()).is_some() {
        return None;
    }
    let rules = case.resources.resource_rules.as_deref().unwrap();
    if rules.is_empty() { Some(own) } else { which(rules) }
}

fn object(labels: &[String]) -> Value {
    let labels: serde_json::Map<String, Value> = labels.iter().map(|label| (label.clone(), json!("1"))).collect();
    json!({"metadata": {"labels": labels}})
}

fn ours(case: &Case) -> Option<String> {
    let resources = served();
    let resource = resources.all().nth(case.view).expect("one of two");
    let [namespace, new, old] = &case.labels;
    let (new, old) = (object(new), object(old));
    let present = |present: bool, object| if present { object } else { &Value::Null };
    let attributes = Attributes {
        resource,
        subresource: if case.status { "status" } else { "" },
        name: case.name.to_owned(),
        namespace: if case.namespaced { "ns" } else { "" },
        operation: OPERATIONS[case.operation],
        user: &Arc::new(UserInfo::anonymous()),
        object: Cow::Borrowed(present(case.operation != 2, &new)),
        old_object: present(case.operation != 0, &old),
        dry_run: false,
        options: Value::Null,
    };
    let matcher = Matcher::new(&case.resources);
    let namespaces = namespaces(namespace);
    let matched = matcher.matches(&attributes, &resources, &namespaces).now_or_never();
    let matched = matched.expect("nobody is asked").expect("all selectors make sense");
    if matched.is_some() {
        let concerned = matcher.concerns(resource, &resources) && matcher.concerns_any(&resources);
        assert!(concerned, "what matches was said to be of no concern");
    }
    matched.map(|resource| resource.group_version.group.clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_matches_is_what_the_rules_say(case in case()) {
        let ours = ours(&case);
        prop_assert_eq!(ours.as_deref(), model(&case));
    }
}

#[test]
fn the_cases_match_often_enough_to_prove_something() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut found = [0_u32; 3];
    for _ in 0..4_000 {
        let case = case().new_tree(&mut runner).unwrap().current();
        let at = match model(&case) {
            None => 0,
            Some(group) if group == GROUPS[case.view] => 1,
            Some(_) => 2,
        };
        found[at] += 1;
    }
    assert!(
        found.iter().all(|count| *count >= 20),
        "none, own, equivalent: {found:?}"
    );
}

#[test]
fn whoever_is_not_asked_is_not_told_of_faults() {
    let resources = served();
    let resource = resources.all().next().expect("one of two");
    let unlabelled = json!({"metadata": {}});
    let asked = |namespace, given: Value| {
        let attributes = Attributes {
            resource,
            subresource: "",
            name: "n".to_owned(),
            namespace,
            operation: Operation::Create,
            user: &Arc::new(UserInfo::anonymous()),
            object: Cow::Borrowed(&unlabelled),
            old_object: &Value::Null,
            dry_run: false,
            options: Value::Null,
        };
        let matcher = Matcher::new(&serde_json::from_value(given).expect("of the API"));
        let namespaces = namespaces(&[]);
        let matched = matcher.matches(&attributes, &resources, &namespaces).now_or_never();
        let matched = matched.expect("nobody waits");
        matched
            .map(|found| found.is_some())
            .map_err(|status| (status.code, status.message))
    };
    let odd = json!({"matchExpressions": [{"key": "a", "operator": "Odd"}]});
    let of = json!({"matchLabels": {"x": "1"}});
    let rules = |resource: &str| json!([{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": [resource]}]);
    // about something else, or about other objects
    let others = json!({"resourceRules": rules("others"), "objectSelector": odd, "namespaceSelector": odd});
    assert_eq!(asked("ns", others), Ok(false));
    let unselected = json!({"resourceRules": rules("things"), "objectSelector": of, "namespaceSelector": odd});
    assert_eq!(asked("ns", unselected), Ok(false));
    let unselected = json!({"resourceRules": rules("things"), "objectSelector": odd, "namespaceSelector": of});
    assert_eq!(asked("ns", unselected), Ok(false));
    let faulty = json!({"resourceRules": rules("things"), "objectSelector": odd});
    assert_eq!(asked("ns", faulty).expect_err("a fault").0, 500);
    // a namespace that nobody knows matters where it is to be selected
    let by_namespace = json!({"resourceRules": rules("things"), "namespaceSelector": of});
    assert_eq!(
        asked("elsewhere", by_namespace).expect_err("unknown"),
        (500, "Internal error occurred: unreachable".to_owned())
    );
    assert_eq!(asked("elsewhere", json!({"resourceRules": rules("things")})), Ok(true));
}
