use serde_json::json;

use super::*;
use crate::authz::{Attributes, Decision, ResourceAttributes};
use crate::wire::user::UserInfo;

fn policy() -> Policy {
    let mut policy = Policy::default();
    let everything = json!({"rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, {"verbs": ["get"], "nonResourceURLs": ["/metrics", "/open*"]}]});
    policy.put(Part::ClusterRole, "all", Some(&everything));
    let named = json!({"rules": [
        {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]},
        {"verbs": ["update"], "apiGroups": ["g"], "resources": ["*/status", "things/scale"]},
    ]});
    policy.put(Part::Role, "ns/some", Some(&named));
    let bind = |kind: &str, role: &str, subject: serde_json::Value| json!({"roleRef": {"kind": kind, "name": role}, "subjects": [subject]});
    let root = bind("ClusterRole", "all", json!({"kind": "User", "name": "root"}));
    policy.put(Part::ClusterRoleBinding, "root", Some(&root));
    let robot = bind("Role", "some", json!({"kind": "ServiceAccount", "name": "robot"}));
    policy.put(Part::RoleBinding, "ns/robot", Some(&robot));
    let devs = bind("ClusterRole", "all", json!({"kind": "Group", "name": "devs"}));
    policy.put(Part::RoleBinding, "ns/devs", Some(&devs));
    let gone = bind("Role", "gone", json!({"kind": "User", "name": "eve"}));
    policy.put(Part::RoleBinding, "ns/eve", Some(&gone));
    policy
}

fn user(name: &str, groups: &[&str]) -> UserInfo {
    UserInfo {
        name: name.to_owned(),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        ..UserInfo::default()
    }
}

fn resource(verb: &str, group: &str, resource: &str, namespace: &str, name: &str) -> Attributes {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Attributes::Resource(ResourceAttributes {
        verb: verb.to_owned(),
        group: group.to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..ResourceAttributes::default()
    })
}

#[test]
fn who_may_do_what() {
    let policy = policy();
    let (root, robot, dev) = (
        user("root", &[]),
        user("system:serviceaccount:ns:robot", &[]),
        user("dave", &["devs"]),
    );
    let path = |path: &str| Attributes::Path {
        path: path.to_owned(),
        verb: "get".to_owned(),
    };
    for (who, what, allowed) in [
        (&root, resource("delete", "g", "things/scale", "", ""), true),
        (&root, path("/metrics"), true),
        (&root, path("/openapi/v3"), true),
        (&root, path("/metrics/x"), false),
        (&robot, resource("get", "", "secrets", "ns", "a"), true),
        (&robot, resource("get", "", "secrets", "ns", "b"), false),
        (&robot, resource("list", "", "secrets", "ns", ""), false),
        (&robot, resource("get", "", "secrets", "ns2", "a"), false),
        (&robot, resource("update", "g", "others/status", "ns", "x"), true),
        (&robot, resource("update", "g", "things/scale", "ns", "x"), true),
        (&robot, resource("update", "g", "things", "ns", "x"), false),
        (&dev, resource("create", "", "secrets", "ns", ""), true),
        (&dev, resource("create", "", "secrets", "", ""), false),
        (&dev, path("/metrics"), false),
    ] {
        let decision = policy.decide(who, &what);
        assert_eq!(
            matches!(decision, Decision::Allow { .. }),
            allowed,
            "{} {what:?}",
            who.name
        );
    }
    let reason = |decision| match decision {
        Decision::Allow { reason } | Decision::Deny { reason } => reason,
    };
    assert_eq!(
        reason(policy.decide(&robot, &resource("get", "", "secrets", "ns", "a"))),
        "RBAC: allowed by RoleBinding \"robot/ns\" of Role \"some\" to ServiceAccount \"robot/ns\""
    );
    assert_eq!(
        reason(policy.decide(&user("eve", &[]), &resource("get", "", "secrets", "ns", "a"))),
        "RBAC: role.rbac.authorization.k8s.io \"gone\" not found"
    );
}

#[test]
fn nobody_grants_what_they_do_not_hold() {
    let mut policy = policy();
    let robot = user("system:serviceaccount:ns:robot", &["g1", "g2"]);
    let rules = |value| Rule::list(&value);
    let held = rules(json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]}]));
    assert_eq!(policy.confirm_no_escalation(&robot, "ns", &held), Ok(()));
    let wanted = rules(json!([
        {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["secrets"]},
        {"verbs": ["update"], "apiGroups": ["g"], "resources": ["any/status"]},
    ]));
    assert_eq!(
        policy.confirm_no_escalation(&robot, "ns", &wanted),
        Err("user \"system:serviceaccount:ns:robot\" (groups=[\"g1\" \"g2\"]) is attempting to grant RBAC permissions not \
             currently held:\n{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\" \"list\"]}"
            .to_owned())
    );
    policy.put(Part::RoleBinding, "ns/robot", None);
    assert!(
        policy.confirm_no_escalation(&robot, "ns", &held).is_err(),
        "what is gone grants nothing"
    );
}
