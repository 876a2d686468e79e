use serde_json::json;

use super::*;

fn user(name: &str) -> UserInfo {
    UserInfo {
        name: name.to_owned(),
        ..UserInfo::default()
    }
}

fn resource(name: &str, namespace: &str, subresource: &str) -> Attributes {
    Attributes::Resource(ResourceAttributes {
        verb: "list".to_owned(),
        group: "wardle.example.com".to_owned(),
        version: "v1alpha1".to_owned(),
        resource: "flunders".to_owned(),
        subresource: subresource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..ResourceAttributes::default()
    })
}

fn message(attributes: &Attributes, name: &str, reason: &str) -> String {
    let status = attributes.forbidden(&user(name), reason);
    assert_eq!((status.code, &*status.reason), (403, "Forbidden"));
    status.message
}

#[test]
fn texts_are_those_of_go() {
    for (attributes, reason, expected) in [
        (
            resource("", "ns", ""),
            "",
            r#"flunders.wardle.example.com is forbidden: User "u" cannot list resource "flunders" in API group "wardle.example.com" in the namespace "ns""#,
        ),
        (
            resource("", "", ""),
            "no rule",
            r#"flunders.wardle.example.com is forbidden: User "u" cannot list resource "flunders" in API group "wardle.example.com" at the cluster scope: no rule"#,
        ),
        (
            resource("n", "", "status"),
            "",
            r#"flunders.wardle.example.com "n" is forbidden: User "u" cannot list resource "flunders/status" in API group "wardle.example.com" at the cluster scope"#,
        ),
        (
            resource("n", "ns", "status"),
            "no <rule>",
            r#"flunders.wardle.example.com "n" is forbidden: User "u" cannot list resource "flunders/status" in API group "wardle.example.com" in the namespace "ns": no <rule>"#,
        ),
    ] {
        assert_eq!(message(&attributes, "u", reason), expected);
    }
}

#[test]
fn paths_have_a_text_of_their_own() {
    let attributes = Attributes::Path {
        path: "/x".to_owned(),
        verb: "get".to_owned(),
    };
    let expected = r#"forbidden: User "system:anonymous" cannot get path "/x""#;
    assert_eq!(message(&attributes, "system:anonymous", ""), expected);
    assert_eq!(
        message(&attributes, "system:anonymous", "why"),
        format!("{expected}: why")
    );
    let status = attributes.forbidden(&user("u"), "").to_value();
    assert_eq!(status["details"], json!({}));
}

#[test]
fn details_name_the_resource_without_its_subresource() {
    let status = resource("n", "ns", "status").forbidden(&user("u"), "").to_value();
    let expected = json!({"name": "n", "group": "wardle.example.com", "kind": "flunders"});
    assert_eq!(status["details"], expected);
}

#[test]
fn names_are_quoted_and_harmless() {
    let attributes = Attributes::Path {
        path: "/<b>&\u{1b}".to_owned(),
        verb: "get".to_owned(),
    };
    assert_eq!(
        message(&attributes, "a\"b\\c\n\u{202e}ü\u{1f600}'", ""),
        "forbidden: User \"a\\\"b\\\\c\\n\\u202eü\u{1f600}'\" cannot get path \"/&lt;b&gt;&amp;\\x1b\""
    );
}
