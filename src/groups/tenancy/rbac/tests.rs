//! The algebra against RBAC's own matching, asked about every point of a small universe.

use proptest::prelude::*;

use super::*;
use crate::groups::tenancy::STORAGE;

const VERBS: [&str; 3] = ["get", "list", "delete"];
const GROUPS: [&str; 4] = ["", "apps", "example.com", STORAGE];
const RESOURCES: [&str; 6] = [
    "pods",
    "pods/log",
    "deployments",
    "deployments/scale",
    "things/scale",
    "things/log",
];
/// The empty name is that of a list.
const NAMES: [&str; 3] = ["", "a", "b"];

/// A request: verb, group, resource with its subresource, name.
type Request = [&'static str; 4];

fn universe() -> impl Iterator<Item = Request> {
    let named = |request: [&'static str; 3]| NAMES.map(|name| [request[0], request[1], request[2], name]);
    let resources = VERBS.into_iter().flat_map(|verb| {
        GROUPS
            .into_iter()
            .flat_map(move |group| RESOURCES.map(|resource| [verb, group, resource]))
    });
    resources.flat_map(named)
}

/// As the authorizer does it (k8s.io/kubernetes pkg/apis/rbac/v1/evaluation_helpers.go and plugin/pkg/auth/authorizer/rbac).
fn allows(rules: &[Rule], [verb, group, resource, name]: Request) -> bool {
    let has = |list: &[String], wanted: &str| list.iter().any(|one| one == wanted);
    let matches = |rules: &[String], wanted: &str| has(rules, "*") || has(rules, wanted);
    rules.iter().any(|rule| {
        let sub = resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
        matches(&rule.verbs, verb)
            && matches(&rule.api_groups, group)
            && (matches(&rule.resources, resource) || sub.is_some_and(|sub| has(&rule.resources, &sub)))
            && (rule.resource_names.is_empty() || has(&rule.resource_names, name))
    })
}

fn some_of(choices: &'static [&'static str], at_least: usize) -> impl Strategy<Value = Vec<String>> {
    let few = proptest::sample::subsequence(choices, at_least..=choices.len().min(3));
    few.prop_shuffle()
        .prop_map(|list| list.into_iter().map(str::to_owned).collect())
}

fn rule() -> impl Strategy<Value = Rule> {
    let names = prop_oneof![3 => Just(Vec::new()), 1 => some_of(&NAMES, 1)];
    let parts = (
        some_of(&["*", "get", "list", "delete"], 1),
        some_of(&["*", "", "apps", "example.com", STORAGE], 1),
        some_of(
            &[
                "*",
                "*/scale",
                "*/log",
                "pods",
                "pods/log",
                "deployments",
                "deployments/scale",
                "things/scale",
            ],
            1,
        ),
        names,
    );
    parts.prop_map(|(verbs, api_groups, resources, resource_names)| Rule {
        api_groups,
        resource_names,
        resources,
        verbs,
        ..Rule::default()
    })
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    proptest::collection::vec(rule(), 0..5)
}

fn served() -> super::Groups {
    super::Groups::new(GROUPS.map(str::to_owned), STORAGE)
}

proptest! {
    #[test]
    fn common_is_what_both_allow(left in rules(), right in rules()) {
        let common = intersect(&left, &right);
        for request in universe() {
            let both = allows(&left, request) && allows(&right, request);
            prop_assert_eq!(allows(&common, request), both, "{:?} of {:?}", request, common);
        }
        prop_assert!(covers(&left, &common) && covers(&right, &common), "by RBAC's measure, too: {:?}", common);
    }

    #[test]
    fn what_fits_is_requested_and_permitted_and_never_ours(requested in rules(), maximum in rules()) {
        let fit = fit(&requested, &maximum, &served());
        for request in universe() {
            let wanted = allows(&requested, request) && allows(&maximum, request) && request[1] != STORAGE;
            prop_assert_eq!(allows(&fit.rules, request), wanted, "{:?} of {:?}", request, fit.rules);
        }
        let cut = cut(&requested, &maximum, &fit.rules, &served());
        prop_assert_eq!(cut.is_empty(), fit.whole);
        let cut: Vec<Rule> = cut.into_iter().map(|cut| cut.rule).collect();
        for request in universe() {
            let lost = allows(&requested, request) && !allows(&fit.rules, request);
            prop_assert!(!lost || allows(&cut, request), "{:?} was cut silently: {:?}", request, cut);
            prop_assert!(allows(&requested, request) || !allows(&cut, request), "{:?} was not requested", request);
        }
    }

    #[test]
    fn what_fits_fits_again_as_a_whole(requested in rules(), maximum in rules()) {
        let once = fit(&requested, &maximum, &served());
        prop_assert_eq!(fit(&once.rules, &maximum, &served()), Fit { rules: once.rules.clone(), whole: true });
    }

    #[test]
    fn tidy_rules_say_the_same(rules in rules()) {
        let tidy = super::tidy::tidy(rules.clone());
        prop_assert!(tidy.len() <= rules.len());
        for request in universe() {
            prop_assert_eq!(allows(&tidy, request), allows(&rules, request), "{:?} of {:?}", request, tidy);
        }
    }

    #[test]
    fn covered_rules_allow_no_more(owner in rules(), servant in rules()) {
        let more = universe().find(|request| allows(&servant, *request) && !allows(&owner, *request));
        prop_assert!(!covers(&owner, &servant) || more.is_none(), "{:?}", more);
        prop_assert_eq!(covers(&owner, &servant), uncovered(&owner, &servant).is_empty());
        let each = |one: &Rule| owner.iter().any(|rule| crate::wire::rbac::covers_rule(rule, one));
        prop_assert!(!servant.iter().all(each) || covers(&owner, &servant), "a rule covers more than its parts");
    }
}

#[test]
fn rules_are_told_in_few_words() {
    let requested = [
        Rule::on("", &["pods", "secrets"], &["*"]),
        Rule::on("apps", &["*"], &["get", "create"]),
    ];
    let maximum = [
        Rule::on("", &["pods"], &["get", "list"]),
        Rule::on("", &["secrets"], &["get", "list"]),
        Rule::on("*", &["*/scale"], &["get"]),
    ];
    let expected = [
        Rule::on("", &["pods", "secrets"], &["get", "list"]),
        Rule::on("apps", &["*/scale"], &["get"]),
    ];
    assert_eq!(intersect(&requested, &maximum), expected);
}

#[test]
fn a_wildcard_over_groups_is_written_as_the_groups_there_are() {
    let all = [Rule::on("*", &["*"], &["*"])];
    let fit = fit(&all, &all, &served());
    let groups = ["", "apps", "example.com"].map(str::to_owned).to_vec();
    let written = Rule {
        api_groups: groups,
        ..all[0].clone()
    };
    assert_eq!(fit.rules, [written]);
    let cut = cut(&all, &all, &fit.rules, &served());
    let reason = "storage.bulward.io is never granted: the API groups that the cluster serves are granted by name";
    assert_eq!(cut.iter().map(|cut| cut.reason.as_str()).collect::<Vec<_>>(), [reason]);
}

#[test]
fn reasons_say_why() {
    let told = |requested: &[Rule], maximum: &[Rule]| {
        let fit = fit(requested, maximum, &served());
        let cuts = cut(requested, maximum, &fit.rules, &served());
        cuts.into_iter().map(|cut| (cut.rule, cut.reason)).collect::<Vec<_>>()
    };
    let pods = Rule::on("", &["pods"], &["get"]);
    let ours = Rule::on(STORAGE, &["organizations"], &["get"]);
    let path = Rule {
        non_resource_urls: vec!["/healthz".to_owned()],
        verbs: vec!["get".to_owned()],
        ..Rule::default()
    };
    let secrets = Rule::on("", &["secrets"], &["get"]);
    let any = Rule::on("", &["pods"], &["*"]);
    let wanted = [pods.clone(), ours.clone(), path.clone(), secrets.clone(), any.clone()];
    let maximum = [pods, Rule::on(STORAGE, &["*"], &["*"])];
    let expected = [
        (ours, "storage.bulward.io is never granted"),
        (path, "what is not a resource lies in no namespace"),
        (secrets, "beyond what the Organization may do at most"),
        (
            any,
            "in part beyond what the Organization may do at most: the rest is granted",
        ),
    ];
    assert_eq!(
        told(&wanted, &maximum),
        expected.map(|(rule, reason)| (rule, reason.to_owned()))
    );
    let reason = &told(&maximum[..1], &[])[0].1;
    assert_eq!(reason, "nothing is permitted here: no OrganizationRoleTemplate applies");
}

#[test]
fn a_flood_of_permissions_is_not_counted_one_by_one() {
    let many: Vec<String> = (0..3_000).map(|number| format!("x{number}")).collect();
    let flood = [Rule {
        api_groups: many.clone(),
        resources: many.clone(),
        resource_names: many.clone(),
        verbs: many,
        ..Rule::default()
    }];
    let maximum = [Rule::on("x1", &["x1"], &["x1"])];
    let fit = fit(&flood, &maximum, &served());
    assert!(!fit.whole);
    assert_eq!(fit.rules[0].verbs, ["x1"]);
    assert_eq!(cut(&flood, &maximum, &fit.rules, &served())[0].rule, flood[0]);
    let errors = validate("spec.rules", &serde_json::to_value(&flood).expect("JSON"));
    assert_eq!(errors.len(), 1, "{errors:?}");
}
