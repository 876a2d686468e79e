use std::collections::BTreeMap;

use super::super::labels::{EVERYONE, MANAGED_BY, OWNER_UID};
use super::*;

fn rbac(kind: &str, name: &str) -> RbacSubject {
    RbacSubject {
        api_group: (kind != "ServiceAccount").then(|| RBAC_GROUP.to_owned()),
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: (kind == "ServiceAccount").then(|| "ns".to_owned()),
    }
}

fn binding(labels: &[(&str, &str)], subjects: Vec<RbacSubject>) -> Arc<RoleBinding> {
    let mut binding = RoleBinding::default();
    let labels = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    binding.metadata.name = Some("b".to_owned());
    binding.metadata.labels = Some(labels.collect::<BTreeMap<_, _>>());
    binding.subjects = Some(subjects);
    Arc::new(binding)
}

fn names(subjects: &[Subject]) -> Vec<String> {
    let text = |s: &Subject| format!("{}:{}", s.kind, s.name);
    subjects.iter().map(text).collect()
}

#[test]
fn sorted_unique_and_what_nobody_can_be_is_skipped() {
    let mut bare = rbac("User", "no group");
    bare.api_group = None;
    let bindings = [
        binding(
            &[],
            vec![rbac("User", "b"), rbac("Group", "z"), rbac("Robot", "r"), bare],
        ),
        binding(
            &[],
            vec![
                rbac("ServiceAccount", "s"),
                rbac("User", "a"),
                rbac("User", "b"),
                rbac("User", ""),
            ],
        ),
    ];
    let bound = bound(&bindings, "uid");
    assert_eq!(
        names(&bound.members),
        ["Group:z", "ServiceAccount:s", "User:a", "User:b"]
    );
    let wanted = [
        "Robot \"r\" of RoleBinding \"b\"",
        "User \"no group\" of RoleBinding \"b\"",
        "User \"\" of RoleBinding \"b\"",
    ];
    assert_eq!(bound.skipped, wanted);
    assert!(super::bound(&[binding(&[], Vec::new())], "uid").members.is_empty());
}

#[test]
fn everyone_counts_only_with_its_maker_and_the_owners_uid() {
    let of = |labels: &[(&str, &str)]| names(&bound(&[binding(labels, vec![rbac("User", "a")])], "uid").members).len();
    let whole = [
        (EVERYONE, "true"),
        (MANAGED_BY, "organizationroletemplate"),
        (OWNER_UID, "uid"),
    ];
    assert_eq!(of(&whole), 0);
    for missing in 0..3 {
        let some: Vec<_> = (0..3).filter(|at| *at != missing).map(|at| whole[at]).collect();
        assert_eq!(of(&some), 1, "{some:?}");
    }
    assert_eq!(of(&[(EVERYONE, "true"), whole[1], (OWNER_UID, "another")]), 1);
    assert_eq!(of(&[(EVERYONE, "false"), whole[1], whole[2]]), 1);
}
