//! Headers of somebody without a certificate: who has the one good token is alice, everybody else is nobody.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bulward::authn::delegating::DelegatingAuthenticator;
use bulward::authn::subprotocol;
use bulward::authn::token::{Bearer, BearerToken, TokenAuthenticator, TokenOptions, TokenReviewer};
use bulward::authn::trust::{TrustBundle, TrustFlags};
use bulward::authn::{Authenticator, Credentials};
use bulward::cluster::webhook::CallError;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use k8s_openapi::api::authentication::v1::{TokenReviewStatus, UserInfo};
use tokio::runtime::Runtime;

use super::headers;

const TOKEN: &str = "the-good-one";

struct Reviewer;

#[async_trait]
impl TokenReviewer for Reviewer {
    async fn review(&self, token: &BearerToken) -> Result<TokenReviewStatus, CallError> {
        assert!(!token.expose().is_empty() && !token.expose().contains(' '));
        assert!(!format!("{token:?}").contains(token.expose()) || token.expose().len() < 16);
        let known = token.expose() == TOKEN;
        let user = UserInfo {
            username: Some("alice".to_owned()),
            ..UserInfo::default()
        };
        Ok(TokenReviewStatus {
            authenticated: Some(known),
            user: known.then_some(user),
            ..TokenReviewStatus::default()
        })
    }
}

static WORLD: LazyLock<(Runtime, DelegatingAuthenticator)> = LazyLock::new(|| {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    let tokens = TokenAuthenticator::new(Arc::new(Reviewer), TokenOptions::default());
    let trust = TrustBundle::from_files(TrustFlags::default()).expect("nobody is trusted");
    (runtime, DelegatingAuthenticator::new(trust, Some(tokens)))
});

pub(super) fn target(data: &[u8]) -> bool {
    let (runtime, authenticator) = &*WORLD;
    let mut headers = headers::read(data);
    let sent = headers.clone();
    // Go's own words: strings.Split(strings.TrimSpace(header), " "), two parts at least, the second is the token.
    let given = sent.get(AUTHORIZATION).map(|value| value.as_bytes().trim_ascii());
    let mut words = given.unwrap_or_default().split(|byte| *byte == b' ');
    let scheme = words.next().unwrap_or_default().eq_ignore_ascii_case(b"bearer");
    let token = words.next().filter(|_| scheme);
    match (Bearer::parse(&sent), token) {
        (Bearer::Absent, None) => {}
        (Bearer::Spaced, Some(token)) => assert!(token.is_empty()),
        (Bearer::Token(parsed), Some(token)) => assert_eq!(parsed.expose().as_bytes(), token),
        (Bearer::Malformed, Some(token)) => assert!(std::str::from_utf8(token).is_err()),
        (parsed, token) => panic!("{parsed:?} of {token:?}"),
    }
    let mut credentials = Credentials {
        headers: &mut headers,
        certificates: &[],
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        notes: &bulward::wire::notes::Notes::default(),
    };
    let told = runtime.block_on(authenticator.authenticate(&mut credentials));
    let token = token.filter(|token| !token.is_empty());
    let offered = subprotocol::token(&sent);
    let by_socket = matches!(&offered, Ok(Some(token)) if token.expose() == TOKEN);
    let tried = token.is_some() || !matches!(offered, Ok(None));
    match told {
        Ok(user) if token == Some(TOKEN.as_bytes()) || by_socket => {
            assert_eq!(
                (user.name.as_str(), user.groups.as_slice()),
                ("alice", &["system:authenticated".to_owned()][..])
            );
        }
        Ok(user) => {
            assert!(!tried, "credentials that are not valid");
            assert_eq!(user, bulward::wire::user::UserInfo::anonymous());
        }
        Err(status) => {
            assert!(tried && token != Some(TOKEN.as_bytes()) && !by_socket, "{status:?}");
            assert_eq!((status.code, status.message.as_str()), (401, "Unauthorized"));
        }
    }
    let mut protocols = sent.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    let removed = protocols.any(|value| offers_a_token(value.as_bytes()));
    let mut left = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    assert!(!left.any(|value| offers_a_token(value.as_bytes())), "{headers:?}");
    if removed {
        headers.remove(SEC_WEBSOCKET_PROTOCOL);
    }
    let secret = |name: &str| {
        name == "authorization" || headers::introduces(name) || removed && name == "sec-websocket-protocol"
    };
    assert!(headers.keys().all(|name| !secret(name.as_str())), "{headers:?}");
    let others = sent.iter().filter(|(name, _)| !secret(name.as_str()));
    assert_eq!(headers.len(), others.count(), "nothing else is taken");
    tried
}

/// Whether one of a list's protocols is a token.
fn offers_a_token(list: &[u8]) -> bool {
    let mut protocols = list.split(|byte| *byte == b',');
    protocols.any(|protocol| {
        protocol
            .trim_ascii()
            .starts_with(b"base64url.bearer.authorization.k8s.io.")
    })
}
