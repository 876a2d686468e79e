use proptest::prelude::*;

use super::*;

const RESOURCES: [&str; 3] = ["organizations", "projects", "*"];
const SUBRESOURCES: [&str; 4] = ["", "/status", "/*", "/scale"];

fn entry() -> impl Strategy<Value = String> {
    (0..RESOURCES.len(), 0..SUBRESOURCES.len()).prop_map(|(a, b)| format!("{}{}", RESOURCES[a], SUBRESOURCES[b]))
}

fn some_of(all: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop::sample::select(all).prop_map(str::to_owned), 0..3)
}

proptest! {
    /// Every combination that a rule names is written out, with its wildcards replaced; then it is a matter of looking.
    #[test]
    fn a_rule_is_the_set_of_what_it_names(
        operations in some_of(&["CREATE", "UPDATE", "DELETE", "*"]),
        groups in some_of(&["a.io", "b.io", "*"]),
        versions in some_of(&["v1", "v2", "*"]),
        resources in prop::collection::vec(entry(), 0..3),
        scope in prop::sample::select(&["", "*", "Cluster", "Namespaced", "odd"][..]),
    ) {
        let expand = |entries: &[String], all: &[&str]| -> Vec<String> {
            let one = |entry: &String| match entry.as_str() {
                "*" => all.iter().map(ToString::to_string).collect(),
                _ => vec![entry.clone()],
            };
            entries.iter().flat_map(one).collect()
        };
        let rule = Rule { operations, groups, versions, resources, scope: scope.to_owned(), names: Vec::new() };
        let operations = expand(&rule.operations, &["CREATE", "UPDATE", "DELETE"]);
        let groups = expand(&rule.groups, &["a.io", "b.io"]);
        let versions = expand(&rule.versions, &["v1", "v2"]);
        let mut named = Vec::new();
        for entry in &rule.resources {
            let (plural, sub) = entry.split_once('/').unwrap_or((entry, ""));
            for plural in expand(&[plural.to_owned()], &["organizations", "projects"]) {
                for sub in expand(&[sub.to_owned()], &["", "status"]) {
                    named.push((plural.clone(), sub));
                }
            }
        }
        for operation in [Operation::Create, Operation::Update, Operation::Delete] {
            for group in ["a.io", "b.io"] {
                for version in ["v1", "v2"] {
                    for (plural, namespaced) in [("organizations", false), ("projects", true)] {
                        for subresource in ["", "status"] {
                            let group_version = GroupVersion::new(group, version);
                            let group_version = &group_version;
                            let request = Request { operation, group_version, resource: plural, subresource, namespaced, name: "n" };
                            let in_scope = match scope {
                                "Cluster" => !namespaced,
                                "Namespaced" => namespaced,
                                "odd" => false,
                                _ => true,
                            };
                            let wanted = in_scope
                                && operations.iter().any(|one| one == operation.name())
                                && groups.iter().any(|one| one == group)
                                && versions.iter().any(|one| one == version)
                                && named.contains(&(plural.to_owned(), subresource.to_owned()));
                            prop_assert_eq!(rule.matches(&request), wanted, "{:?}", request);
                            if wanted {
                                prop_assert!(rule.may_match(group_version, plural));
                            }
                        }
                    }
                }
            }
        }
    }
}
