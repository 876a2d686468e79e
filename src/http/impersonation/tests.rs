use std::collections::BTreeSet;

use async_trait::async_trait;
use http::Method;
use parking_lot::Mutex;

use super::*;
use crate::authz::{Attributes, Decision};
use crate::wire::options::Query;

/// Allows what is listed, and notes what it is asked: `verb group/resource/subresource namespace/name`.
#[derive(Default)]
struct Listed {
    allowed: BTreeSet<String>,
    /// Has no decision where it would not allow.
    broken: bool,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Authorizer for Listed {
    async fn authorize(&self, _: &UserInfo, attributes: &Attributes) -> Result<Decision, String> {
        let text = match attributes {
            Attributes::Path { path, verb } => format!("{verb} {path}"),
            Attributes::Resource(asked) => format!(
                "{} {}/{}/{} {}/{}",
                asked.verb, asked.group, asked.resource, asked.subresource, asked.namespace, asked.name
            ),
        };
        let allowed = self.allowed.contains(&text);
        self.asked.lock().push(text);
        match allowed {
            true => Ok(Decision::allow()),
            false if self.broken => Err("no answer from the cluster".to_owned()),
            false => Ok(Decision::deny()),
        }
    }
}

async fn ask(
    allowed: &[&str],
    lines: &[(&str, &str)],
    requestor: &UserInfo,
) -> (Result<Option<Impersonated>, Status>, HeaderMap) {
    let authorizer = Listed {
        allowed: allowed.iter().map(|one| (*one).to_owned()).collect(),
        ..Listed::default()
    };
    ask_of(Arc::new(authorizer), lines, requestor).await
}

async fn ask_of(
    authorizer: Arc<Listed>,
    lines: &[(&str, &str)],
    requestor: &UserInfo,
) -> (Result<Option<Impersonated>, Status>, HeaderMap) {
    let mut headers = HeaderMap::new();
    headers.insert("accept", "application/json".parse().unwrap());
    for (name, value) in lines {
        let name: http::HeaderName = name.parse().unwrap();
        headers.append(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let info = RequestInfo::parse(&Method::GET, "/apis/g/v1/things", &Query::parse(""));
    let impersonation = Impersonation::new(authorizer);
    let result = impersonation
        .impersonate(&mut headers, &info, &Arc::new(requestor.clone()))
        .await;
    (result, headers)
}

fn bob() -> UserInfo {
    UserInfo {
        name: "bob".to_owned(),
        ..UserInfo::default()
    }
}

async fn allowed(allowed: &[&str], lines: &[(&str, &str)]) -> (UserInfo, &'static str) {
    let (result, headers) = ask(allowed, lines, &bob()).await;
    let impersonated = result.expect("allowed").expect("asked for");
    assert_eq!(headers.len(), 1, "the headers that ask are gone: {headers:?}");
    (UserInfo::clone(&impersonated.user), impersonated.constraint)
}

async fn refused(allowed: &[&str], lines: &[(&str, &str)]) -> (u16, String) {
    let (result, _) = ask(allowed, lines, &bob()).await;
    let status = result.expect_err("refused");
    (status.code, status.message)
}

#[tokio::test]
async fn who_asks_for_nobody_stays_who_they_are() {
    let (result, _) = ask(&[], &[], &bob()).await;
    assert_eq!(result, Ok(None));
    let (result, _) = ask(&[], &[("impersonate-user", "")], &bob()).await;
    assert_eq!(result, Ok(None), "as Go has it");
}

#[tokio::test]
async fn every_part_needs_a_right_of_its_own() {
    let lines = [
        ("Impersonate-User", "alice"),
        ("Impersonate-Uid", "a-1"),
        ("Impersonate-Group", "team"),
        ("Impersonate-Extra-Example.Org%2fScopes", "view"),
    ];
    let rights = [
        "impersonate /users/ /alice",
        "impersonate authentication.k8s.io/uids/ /a-1",
        "impersonate /groups/ /team",
        "impersonate authentication.k8s.io/userextras/example.org/scopes /view",
    ];
    let (user, constraint) = allowed(&rights, &lines).await;
    assert_eq!(
        (user.name.as_str(), user.uid.as_str(), constraint),
        ("alice", "a-1", "")
    );
    assert_eq!(user.groups, ["team", "system:authenticated"]);
    assert_eq!(user.extra["example.org/scopes"], ["view"]);
    for missing in 0..rights.len() {
        let others: Vec<&str> = rights
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != missing)
            .map(|(_, one)| *one)
            .collect();
        let (code, message) = refused(&others, &lines).await;
        assert_eq!(code, 403, "{message}");
        assert_eq!(
            message,
            "things.g is forbidden: User \"bob\" cannot impersonate-on:user-info:list resource \"things\" in API group \"g\" at \
             the cluster scope"
        );
    }
}

#[tokio::test]
async fn constrained_rights_are_about_one_kind_of_user() {
    let on = "impersonate-on:user-info:list g/things/ /";
    let rights = [on, "impersonate:user-info authentication.k8s.io/users/ /alice"];
    let (user, constraint) = allowed(&rights, &[("impersonate-user", "alice")]).await;
    assert_eq!((user.name.as_str(), constraint), ("alice", "impersonate:user-info"));
    let masters = [("impersonate-user", "alice"), ("impersonate-group", "system:masters")];
    let (_, message) = refused(&rights, &masters).await;
    assert!(
        message.ends_with("impersonating the system:masters group is not allowed"),
        "{message}"
    );
    let account = [("impersonate-user", "system:serviceaccount:ns:robot")];
    assert_eq!(refused(&rights, &account).await.0, 403);
    let rights = [
        "impersonate-on:serviceaccount:list g/things/ /",
        "impersonate:serviceaccount authentication.k8s.io/serviceaccounts/ ns/robot",
    ];
    // the accounts of constrained impersonation are in the core group's stead in that of authentication
    let (user, constraint) = allowed(&rights, &account).await;
    assert_eq!(constraint, "impersonate:serviceaccount");
    assert_eq!(
        user.groups,
        [
            "system:serviceaccounts",
            "system:serviceaccounts:ns",
            "system:authenticated"
        ]
    );
}

#[tokio::test]
async fn a_pod_may_act_as_its_own_node_alone() {
    let pod = |node: &str| UserInfo {
        name: "system:serviceaccount:kube-system:agent".to_owned(),
        extra: [(
            "authentication.kubernetes.io/node-name".to_owned(),
            vec![node.to_owned()],
        )]
        .into(),
        ..UserInfo::default()
    };
    let rights = [
        "impersonate-on:associated-node:list g/things/ /",
        "impersonate:associated-node authentication.k8s.io/nodes/ /*",
    ];
    let lines = [("impersonate-user", "system:node:n1")];
    let (result, _) = ask(&rights, &lines, &pod("n1")).await;
    let impersonated = result.unwrap().unwrap();
    assert_eq!(impersonated.user.groups, ["system:nodes", "system:authenticated"]);
    assert_eq!(impersonated.constraint, "impersonate:associated-node");
    let (result, _) = ask(&rights, &lines, &pod("n2")).await;
    assert_eq!(result.unwrap_err().code, 403);
}

#[tokio::test]
async fn groups_follow_from_the_kind_of_user() {
    let account = "system:serviceaccount:ns:robot";
    let right = "impersonate /serviceaccounts/ ns/robot";
    let (user, _) = allowed(&[right], &[("impersonate-user", account)]).await;
    assert_eq!(
        user.groups,
        [
            "system:serviceaccounts",
            "system:serviceaccounts:ns",
            "system:authenticated"
        ]
    );
    let group = "impersonate /groups/ /g";
    let (user, _) = allowed(
        &[right, group],
        &[("impersonate-user", account), ("impersonate-group", "g")],
    )
    .await;
    assert_eq!(
        user.groups,
        ["g", "system:authenticated"],
        "whoever names groups has those"
    );
    let nobody = "impersonate /users/ /system:anonymous";
    let (user, _) = allowed(&[nobody], &[("impersonate-user", "system:anonymous")]).await;
    assert_eq!(user.groups, ["system:unauthenticated"]);
}

#[tokio::test]
async fn parts_of_nobody_make_no_sense() {
    let (code, message) = refused(&[], &[("impersonate-group", "g"), ("impersonate-extra-k", "v")]).await;
    assert_eq!(code, 400);
    assert_eq!(
        message,
        "requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"g\"}, \
         Extra:map[string][]string{\"k\":[]string{\"v\"}}} without impersonating a user name"
    );
    let latin = http::HeaderValue::from_bytes(b"\xe4").unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("impersonate-user", latin);
    assert_eq!(headers::take(&mut headers).unwrap_err().code, 400);
}

#[tokio::test]
async fn no_decision_is_no_leave() {
    let lines = [("impersonate-user", "alice"), ("impersonate-group", "crew")];
    for allowed in [&[] as &[&str], &["impersonate /users/ /alice"]] {
        let authorizer = Arc::new(Listed {
            allowed: allowed.iter().map(|one| (*one).to_owned()).collect(),
            broken: true,
            ..Listed::default()
        });
        let (result, _) = ask_of(authorizer.clone(), &lines, &bob()).await;
        let status = result.expect_err("refused");
        assert_eq!(status.code, 403);
        assert!(
            status.message.ends_with(": no answer from the cluster"),
            "{}",
            status.message
        );
        assert!(!authorizer.asked.lock().is_empty());
    }
}

/// Each part is a question to the authorizer.
#[tokio::test]
async fn nobody_asks_for_too_many_parts() {
    let names: Vec<String> = (0..=headers::PARTS).map(|n| format!("g-{n}")).collect();
    let rights: Vec<String> = names
        .iter()
        .map(|name| format!("impersonate /groups/ /{name}"))
        .collect();
    let mut rights: Vec<&str> = rights.iter().map(String::as_str).collect();
    rights.push("impersonate /users/ /alice");
    let lines = |groups: usize| -> Vec<(&str, &str)> {
        let groups = names[..groups].iter().map(|name| ("impersonate-group", name.as_str()));
        [("impersonate-user", "alice")].into_iter().chain(groups).collect()
    };
    let (user, _) = allowed(&rights, &lines(headers::PARTS)).await;
    assert_eq!(user.groups.len(), headers::PARTS + 1);
    let (code, message) = refused(&rights, &lines(headers::PARTS + 1)).await;
    assert_eq!(code, 400);
    let expected = "requested to impersonate a user with 501 groups and extra values, at most 500 are allowed";
    assert_eq!(message, expected);
    let mut mixed = lines(headers::PARTS);
    mixed.push(("impersonate-extra-scopes", "view"));
    assert_eq!(refused(&rights, &mixed).await.0, 400);
}

/// The keys and the words are those of k8s.io/apimachinery pkg/util/validation IsDomainPrefixedPath.
#[tokio::test]
async fn keys_of_extra_are_paths_behind_a_domain() {
    let on = "impersonate-on:user-info:list g/things/ /";
    let user = "impersonate:user-info authentication.k8s.io/users/ /alice";
    for (escaped, key) in [
        ("acme.io%2ffoo", "acme.io/foo"),
        ("acme.io%2fa%2f_b~c%3d", "acme.io/a/_b~c="),
    ] {
        let extra = format!("impersonate:user-info authentication.k8s.io/userextras/{key} /v");
        let header = format!("impersonate-extra-{escaped}");
        let lines = [("impersonate-user", "alice"), (header.as_str(), "v")];
        let (user, _) = allowed(&[on, user, &extra], &lines).await;
        assert_eq!(user.extra[key], ["v"]);
    }
    let subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
                     and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
                     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    let no_path = "must be a domain-prefixed path (such as \"acme.io/foo\")";
    for (escaped, told) in [
        ("foo", format!("extra.key: Invalid value: \"foo\": {no_path}")),
        (
            "acme.io%2f",
            format!("extra.key: Invalid value: \"acme.io/\": {no_path}"),
        ),
        ("a_b%2fc", format!("extra.key: Invalid value: \"a_b\": {subdomain}")),
        (
            "acme.io%2f%20",
            "extra.key: Invalid value: \" \": Invalid path (regex used for validation is \
             '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"
                .to_owned(),
        ),
        (
            "a_b%2f%20",
            format!(
                "[extra.key: Invalid value: \"a_b\": {subdomain}, extra.key: Invalid value: \" \": Invalid path (regex used for \
                 validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')]"
            ),
        ),
    ] {
        let header = format!("impersonate-extra-{escaped}");
        let lines = [("impersonate-user", "alice"), (header.as_str(), "v")];
        let (_, message) = refused(&[on, user], &lines).await;
        let expected = format!("impersonating an invalid key in extra is not allowed: {told}");
        assert!(message.ends_with(&expected), "{message}\n{expected}");
    }
}
