use super::*;

const HEAD: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";

fn policy(rest: &str) -> Result<Policy, String> {
    Policy::parse(&format!("{HEAD}{rest}")).map_err(|error| error.to_string())
}

fn request<'a>(user: &'a UserInfo, verb: &'a str, what: &'a str) -> Request<'a> {
    let mut parts = what.splitn(5, ' ');
    let mut next = || parts.next().unwrap_or_default();
    let first = next();
    if first.starts_with('/') {
        return Request {
            user: Some(user),
            verb,
            path: first,
            ..Request::default()
        };
    }
    Request {
        user: Some(user),
        verb,
        is_resource: true,
        group: first,
        resource: next(),
        subresource: next(),
        namespace: next(),
        name: next(),
        ..Request::default()
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let text = "
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- {level: None, users: [robot], verbs: [get]}
- {level: Request, userGroups: [team], resources: [{group: g, resources: [things/status]}], omitStages: [Panic]}
- {level: RequestResponse, resources: [{group: '*', resources: ['*/scale', 'pods/*'], resourceNames: [one, two]}]}
- {level: Metadata, namespaces: [a, '']}
- {level: Request, nonResourceURLs: ['/logs*', /exact]}
- {level: Metadata, resources: [{group: whole}], omitManagedFields: false}
";
    let policy = policy(text).expect("a policy");
    let user = |name: &str, group: &str| UserInfo {
        name: name.to_owned(),
        groups: vec![group.to_owned()],
        ..UserInfo::default()
    };
    let (robot, bob, anna) = (user("robot", "x"), user("bob", "team"), user("anna", "x"));
    for (who, verb, what, level) in [
        (&robot, "get", "g things  b n", Level::None),
        (&robot, "list", "g things  b n", Level::None),
        (&bob, "get", "g things status b n", Level::Request),
        (&bob, "get", "g things  b n", Level::None),
        (&anna, "get", "g things status b n", Level::None),
        (&anna, "get", "any things scale b one", Level::RequestResponse),
        (&anna, "get", "any things scale b three", Level::None),
        (&anna, "get", "any pods  b two", Level::RequestResponse),
        (&anna, "get", "any pods log b two", Level::RequestResponse),
        (&anna, "get", "any things  a n", Level::Metadata),
        (&anna, "get", "any things", Level::Metadata),
        (&anna, "get", "/logs/x", Level::Request),
        (&anna, "get", "/exact", Level::Request),
        (&anna, "get", "/exact/not", Level::None),
        (&anna, "get", "whole anything  b n", Level::Metadata),
    ] {
        let verdict = policy.evaluate(&request(who, verb, what));
        assert_eq!(verdict.level, level, "{} {verb} {what}", who.name);
    }
    let verdict = policy.evaluate(&request(&bob, "get", "g things status b n"));
    assert!(
        verdict.omits(Stage::RequestReceived) && verdict.omits(Stage::Panic) && !verdict.omits(Stage::ResponseComplete)
    );
    assert!(verdict.omit_managed_fields);
    assert!(
        !policy
            .evaluate(&request(&anna, "get", "whole x  b n"))
            .omit_managed_fields
    );
    // nobody in particular matches only what is about everybody
    let nobody = Request {
        user: None,
        ..request(&bob, "get", "any things  a n")
    };
    assert_eq!(policy.evaluate(&nobody).level, Level::Metadata);
}

#[test]
fn what_is_wrong_is_told_by_field() {
    for (text, wanted) in [
        ("rules: []", "rules: Required value"),
        ("rules: [{}]", "rules[0].level: Required value"),
        (
            "rules: [{level: Some}]",
            "rules[0].level: Unsupported value: \"Some\": supported values: \"None\", \"Metadata\"",
        ),
        (
            "omitStages: [Never]\nrules: [{level: None}]",
            "omitStages[0]: Invalid value: \"Never\": allowed stages are",
        ),
        (
            "rules: [{level: None}, {level: None, omitStages: [x]}]",
            "rules[1].omitStages[0]: Invalid value: \"x\"",
        ),
        (
            "rules: [{level: None, nonResourceURLs: [a]}]",
            "rules[0].nonResourceURLs[0]: Invalid value: \"a\": non-resource URL rules must",
        ),
        (
            "rules: [{level: None, nonResourceURLs: ['/a*b']}]",
            "wildcards '*' must be the final character",
        ),
        (
            "rules: [{level: None, nonResourceURLs: [/a], namespaces: [b]}]",
            "cannot apply to both",
        ),
        (
            "rules: [{level: None, resources: [{group: a/v1}]}]",
            "rules[0].resources[0].group: Invalid value: \"a/v1\"",
        ),
        (
            "rules: [{level: None, resources: [{resourceNames: [a]}]}]",
            "rules[0].resources[0].resourceNames: Invalid value",
        ),
        ("rules: [{level: None, verb: [get]}]", "verb"),
        ("rule: []", "rule"),
    ] {
        let why = policy(text).expect_err(text);
        assert!(why.contains(wanted) && !why.contains('\n'), "{text}: {why}");
    }
    let other = Policy::parse("apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: [{level: None}]");
    assert!(other.unwrap_err().to_string().contains("audit.k8s.io/v1beta1"));
}

#[test]
fn our_own_policy_is_one() {
    let policy = Policy::standard();
    let user = UserInfo::anonymous();
    let level = |verb, what| policy.evaluate(&request(&user, verb, what)).level;
    assert_eq!(level("get", "/readyz"), Level::None);
    assert_eq!(level("get", "/apis/apiserver.bulward.io"), Level::None);
    assert_eq!(
        level("get", "apiserver.bulward.io organizations   acme"),
        Level::Metadata
    );
    assert_eq!(
        level("delete", "apiserver.bulward.io organizations   acme"),
        Level::Request
    );
    assert_eq!(level("post", "/elsewhere"), Level::Metadata);
}
