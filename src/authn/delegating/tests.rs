use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};
use k8s_openapi::api::authentication::v1::{TokenReviewStatus, UserInfo as ReviewedUser};
use rustls_pki_types::CertificateDer;

use super::*;
use crate::authn::{
    certificates::{Authority, Leaf},
    token::{BearerToken, TokenOptions, TokenReviewer},
    trust::TrustFlags,
};
use crate::cluster::webhook::CallError;
use crate::flowcontrol::Pool;
use crate::wire::notes::Notes;

/// Knows one token.
struct OneToken;

#[async_trait]
impl TokenReviewer for OneToken {
    async fn review(&self, token: &BearerToken) -> Result<TokenReviewStatus, CallError> {
        let known = token.expose() == "good";
        Ok(TokenReviewStatus {
            authenticated: Some(known),
            user: known.then(|| ReviewedUser {
                username: Some("system:serviceaccount:ns:robot".to_owned()),
                groups: Some(vec![
                    "system:serviceaccounts".to_owned(),
                    "system:authenticated".to_owned(),
                ]),
                ..ReviewedUser::default()
            }),
            ..TokenReviewStatus::default()
        })
    }
}

struct Setup {
    proxy_ca: Authority,
    client_ca: Authority,
    trust: Arc<TrustBundle>,
    authenticator: DelegatingAuthenticator,
}

fn map(proxy_ca: &Authority, client_ca: &Authority) -> BTreeMap<String, String> {
    [
        ("client-ca-file", client_ca.pem()),
        ("requestheader-client-ca-file", proxy_ca.pem()),
        ("requestheader-allowed-names", r#"["front-proxy-client"]"#.to_owned()),
        ("requestheader-username-headers", r#"["X-Remote-User"]"#.to_owned()),
        ("requestheader-uid-headers", r#"["X-Remote-Uid"]"#.to_owned()),
        ("requestheader-group-headers", r#"["X-Remote-Group"]"#.to_owned()),
        (
            "requestheader-extra-headers-prefix",
            r#"["X-Remote-Extra-"]"#.to_owned(),
        ),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

fn setup() -> Setup {
    let (proxy_ca, client_ca) = (Authority::new("front-proxy-ca"), Authority::new("ca"));
    let trust = TrustBundle::from_files(TrustFlags::default()).unwrap();
    trust.apply_config_map(&map(&proxy_ca, &client_ca)).unwrap();
    let tokens = TokenAuthenticator::new(Arc::new(OneToken), TokenOptions::default());
    Setup {
        authenticator: DelegatingAuthenticator::new(trust.clone(), Some(tokens)),
        proxy_ca,
        client_ca,
        trust,
    }
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

const SPOOFED: [(&str, &str); 3] = [
    ("X-Remote-User", "root"),
    ("X-Remote-Group", "system:masters"),
    ("X-Remote-Extra-Foo", "bar"),
];

/// The caller; checks that nothing of the credentials is left for handlers to see.
async fn ask(
    authenticator: &DelegatingAuthenticator,
    lines: &[(&str, &str)],
    chain: &[CertificateDer<'static>],
) -> Result<UserInfo, Status> {
    ask_noting(authenticator, lines, chain, &Notes::default()).await
}

async fn ask_noting(
    authenticator: &DelegatingAuthenticator,
    lines: &[(&str, &str)],
    chain: &[CertificateDer<'static>],
    notes: &Notes,
) -> Result<UserInfo, Status> {
    let mut headers = headers(lines);
    let mut credentials = Credentials {
        headers: &mut headers,
        certificates: chain,
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        notes,
    };
    let outcome = authenticator.authenticate(&mut credentials).await;
    assert!(
        headers
            .keys()
            .all(|name| name != "authorization" && !name.as_str().starts_with("x-remote")),
        "{headers:?}"
    );
    let values = headers.values().map(|value| value.to_str().unwrap());
    assert!(!values.into_iter().any(|value| value.contains("bearer")), "{headers:?}");
    outcome
}

fn assert_unauthorized(outcome: Result<UserInfo, Status>, case: &str) {
    let status = outcome.expect_err(case);
    assert_eq!(
        (status.code, &*status.reason, status.message.as_str()),
        (401, "Unauthorized", "Unauthorized"),
        "{case}"
    );
    assert!(status.details.is_none(), "{case}");
    assert!(status.internal.is_some(), "{case}: the log says why");
}

#[tokio::test]
async fn nobody_is_anonymous() {
    let setup = setup();
    for lines in [
        &[][..],
        &[("Authorization", "Basic dXNlcjpwYXNz")],
        &[("Authorization", "Bearer  good")],
        &SPOOFED,
    ] {
        let user = ask(&setup.authenticator, lines, &[]).await.unwrap();
        assert_eq!(user, UserInfo::anonymous(), "{lines:?}");
    }
}

#[tokio::test]
async fn each_credential_names_its_caller() {
    let setup = setup();
    let proxy = setup.proxy_ca.issue(Leaf::named("front-proxy-client"));
    let alice = setup.client_ca.issue(Leaf {
        subject: vec![("O", "devs"), ("CN", "alice")],
        ..Leaf::default()
    });
    let told = [
        ("X-Remote-User", "carol"),
        ("X-Remote-Group", "b"),
        ("X-Remote-Group", "a"),
    ];
    let user = ask(&setup.authenticator, &told, &proxy).await.unwrap();
    assert_eq!(user.name, "carol");
    assert_eq!(user.groups, ["b", "a", "system:authenticated"]);

    let user = ask(&setup.authenticator, &[], &alice).await.unwrap();
    assert_eq!(user.name, "alice");
    assert_eq!(user.groups, ["devs", "system:authenticated"]);

    let user = ask(&setup.authenticator, &[("Authorization", "Bearer good")], &[])
        .await
        .unwrap();
    assert_eq!(user.name, "system:serviceaccount:ns:robot");
    assert_eq!(
        user.groups,
        ["system:serviceaccounts", "system:authenticated"],
        "not twice"
    );
}

#[tokio::test]
async fn first_success_wins() {
    let setup = setup();
    let token = ("Authorization", "Bearer good");
    let proxy = setup.proxy_ca.issue(Leaf::named("front-proxy-client"));
    let alice = setup.client_ca.issue(Leaf::named("alice"));
    let stranger = Authority::new("elsewhere").issue(Leaf::named("alice"));
    let user = ask(&setup.authenticator, &[token, ("X-Remote-User", "carol")], &proxy).await;
    assert_eq!(user.unwrap().name, "carol");
    assert_eq!(ask(&setup.authenticator, &[token], &alice).await.unwrap().name, "alice");
    for chain in [&stranger, &proxy] {
        let user = ask(&setup.authenticator, &[token], chain).await.unwrap();
        assert_eq!(
            user.name, "system:serviceaccount:ns:robot",
            "a bad certificate does not spoil a good token"
        );
    }
}

/// A page's token comes last, and spoils a request that nothing before it vouches for.
#[tokio::test]
async fn a_websocket_may_bring_its_token_as_a_protocol() {
    let setup = setup();
    let alice = setup.client_ca.issue(Leaf::named("alice"));
    let socket = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    let good = "base64url.bearer.authorization.k8s.io.Z29vZA";
    let bad = "base64url.bearer.authorization.k8s.io.YmFk";
    let ask = async |protocols: &str, more: &[(&str, &str)], chain: &[CertificateDer<'static>]| {
        let mut lines = vec![("Sec-WebSocket-Protocol", protocols)];
        lines.extend(more);
        ask(&setup.authenticator, &lines, chain).await
    };
    let robot = ask(&format!("{good}, chat"), &socket, &[]).await.unwrap();
    assert_eq!(robot.name, "system:serviceaccount:ns:robot");
    for offered in [format!("{bad}, chat"), good.to_owned(), format!("{good}, {good}, chat")] {
        assert_unauthorized(ask(&offered, &socket, &[]).await, &offered);
        assert_eq!(ask(&offered, &socket, &alice).await.unwrap().name, "alice", "{offered}");
        let bearer = [socket[0], socket[1], ("Authorization", "Bearer good")];
        let robot = ask(&offered, &bearer, &[]).await.unwrap();
        assert_eq!(robot.name, "system:serviceaccount:ns:robot", "{offered}");
        let plain = ask(&offered, &[], &[]).await.unwrap();
        assert_eq!(plain, UserInfo::anonymous(), "{offered}: no WebSocket");
    }
    let bearer = [socket[0], socket[1], ("Authorization", "Bearer bad")];
    let robot = ask(&format!("{good}, chat"), &bearer, &[]).await.unwrap();
    assert_eq!(robot.name, "system:serviceaccount:ns:robot");
}

/// Not even a good token is one behind two spaces; who sent it is told why.
#[tokio::test]
async fn two_spaces_before_a_token_are_worth_a_warning() {
    let setup = setup();
    let alice = setup.client_ca.issue(Leaf::named("alice"));
    for (header, chain, name, warned) in [
        ("Bearer  good", &[][..], ANONYMOUS, true),
        ("Bearer good", &[], "system:serviceaccount:ns:robot", false),
        ("Bearer", &[], ANONYMOUS, false),
        // Nobody looked at it.
        ("Bearer  good", &alice[..], "alice", false),
    ] {
        let notes = Notes::default();
        let told = ask_noting(&setup.authenticator, &[("Authorization", header)], chain, &notes).await;
        assert_eq!(told.unwrap().name, name, "{header}");
        let expected: &[&str] = if warned { &[SPACED_WARNING] } else { &[] };
        assert_eq!(notes.warnings(), expected, "{header}");
    }
}

#[tokio::test]
async fn anonymous_through_the_proxy_stays_anonymous() {
    let setup = setup();
    let proxy = setup.proxy_ca.issue(Leaf::named("front-proxy-client"));
    let lines = [
        ("X-Remote-User", "system:anonymous"),
        ("X-Remote-Group", "system:unauthenticated"),
    ];
    let user = ask(&setup.authenticator, &lines, &proxy).await.unwrap();
    assert_eq!(user, UserInfo::anonymous());
}

#[tokio::test]
async fn invalid_credentials_are_never_anonymous() {
    let setup = setup();
    let (proxy, client) = (&setup.proxy_ca, &setup.client_ca);
    let expired = Leaf {
        years: (2020, 2021),
        ..Leaf::named("alice")
    };
    for (case, lines, chain) in [
        ("bad token", &[("Authorization", "Bearer bad")][..], vec![]),
        (
            "unknown authority",
            &[],
            Authority::new("ca").issue(Leaf::named("alice")),
        ),
        ("expired", &[], client.issue(expired)),
        ("nameless certificate", &[], client.issue(Leaf::default())),
        (
            "proxy without user",
            &[],
            proxy.issue(Leaf::named("front-proxy-client")),
        ),
        ("wrong proxy name", &SPOOFED, proxy.issue(Leaf::named("mallory"))),
        (
            "proxy of another authority",
            &SPOOFED,
            Authority::new("x").issue(Leaf::named("front-proxy-client")),
        ),
    ] {
        assert_unauthorized(ask(&setup.authenticator, lines, &chain).await, case);
    }
}

#[tokio::test]
async fn headers_beside_a_client_certificate_are_ignored() {
    let setup = setup();
    let alice = setup.client_ca.issue(Leaf::named("alice"));
    let user = ask(&setup.authenticator, &SPOOFED, &alice).await.unwrap();
    assert_eq!(user.name, "alice");
    assert_eq!(user.groups, ["system:authenticated"]);
    assert!(!user.extra.contains_key("foo"));
    let named_like_the_proxy = setup.client_ca.issue(Leaf::named("front-proxy-client"));
    let user = ask(&setup.authenticator, &SPOOFED, &named_like_the_proxy)
        .await
        .unwrap();
    assert_eq!(user.name, "front-proxy-client", "its authority is not the proxy's");
}

#[tokio::test]
async fn rotation_takes_effect_at_once() {
    let setup = setup();
    let told = [("X-Remote-User", "carol")];
    let old = setup.proxy_ca.issue(Leaf::named("front-proxy-client"));
    let new_ca = Authority::new("front-proxy-ca");
    let new = new_ca.issue(Leaf::named("front-proxy-client"));
    assert!(ask(&setup.authenticator, &told, &old).await.is_ok());
    assert!(ask(&setup.authenticator, &told, &new).await.is_err());

    let mut both = map(&setup.proxy_ca, &setup.client_ca);
    both.insert(
        "requestheader-client-ca-file".to_owned(),
        format!("{}{}", setup.proxy_ca.pem(), new_ca.pem()),
    );
    setup.trust.apply_config_map(&both).unwrap();
    assert!(ask(&setup.authenticator, &told, &old).await.is_ok());
    assert!(ask(&setup.authenticator, &told, &new).await.is_ok());

    setup.trust.apply_config_map(&map(&new_ca, &setup.client_ca)).unwrap();
    assert_unauthorized(ask(&setup.authenticator, &told, &old).await, "rotated away");
    assert!(ask(&setup.authenticator, &told, &new).await.is_ok());
}

#[tokio::test]
async fn without_anything_to_judge_by_credentials_are_invalid() {
    let trust = TrustBundle::from_files(TrustFlags::default()).unwrap();
    let authenticator = DelegatingAuthenticator::new(trust, None);
    let chain = Authority::new("ca").issue(Leaf::named("alice"));
    assert_unauthorized(ask(&authenticator, &[], &chain).await, "certificate");
    assert_unauthorized(
        ask(&authenticator, &[("Authorization", "Bearer good")], &[]).await,
        "token",
    );
    let socket = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        (
            "Sec-WebSocket-Protocol",
            "base64url.bearer.authorization.k8s.io.Z29vZA, chat",
        ),
    ];
    assert_unauthorized(ask(&authenticator, &socket, &[]).await, "a WebSocket's token");
    assert_eq!(ask(&authenticator, &[], &[]).await.unwrap(), UserInfo::anonymous());
}

/// A token that could not be looked up is not a bad one.
#[tokio::test(start_paused = true)]
async fn whoever_waits_in_vain_is_told_to_come_again() {
    let trust = TrustBundle::from_files(TrustFlags::default()).unwrap();
    let pool = Pool::of(1);
    let tokens = TokenAuthenticator::new(Arc::new(OneToken), TokenOptions::default()).bounded(pool.clone());
    let authenticator = DelegatingAuthenticator::new(trust, Some(tokens));
    let good = [("Authorization", "Bearer good")];
    let taken = pool.enter("somebody", Duration::ZERO).await;
    let status = ask(&authenticator, &good, &[]).await.unwrap_err();
    assert_eq!(
        (status.code, &*status.reason, status.retry_after()),
        (429, "TooManyRequests", Some(1))
    );
    assert_eq!(status.message, "Too many requests, please try again later.");
    drop(taken);
    assert!(ask(&authenticator, &good, &[]).await.is_ok());
}
