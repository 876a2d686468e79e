use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use http::HeaderValue;
use k8s_openapi::api::authentication::v1::UserInfo as ReviewedUser;
use tokio::sync::Semaphore;

use super::*;

/// Knows `good` and `error`, and misbehaves as told.
#[derive(Default)]
struct Fake {
    calls: AtomicUsize,
    failures: AtomicUsize,
    hang: bool,
    lasting: bool,
    gate: Option<Semaphore>,
}

#[async_trait]
impl TokenReviewer for Fake {
    async fn review(&self, token: &BearerToken) -> Result<TokenReviewStatus, CallError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.hang {
            std::future::pending::<()>().await;
        }
        if let Some(gate) = &self.gate {
            gate.acquire().await.expect("never closed").forget();
        }
        if self.failures.load(Ordering::SeqCst) > 0 {
            self.failures.fetch_sub(1, Ordering::SeqCst);
            return Err(match self.lasting {
                true => CallError::status(403, "may not"),
                false => CallError::status(500, "away"),
            });
        }
        Ok(match token.expose() {
            "good" => TokenReviewStatus {
                authenticated: Some(true),
                user: Some(ReviewedUser {
                    username: Some("system:serviceaccount:ns:robot".to_owned()),
                    uid: Some("u".to_owned()),
                    groups: Some(vec!["z".to_owned(), "a".to_owned()]),
                    extra: Some(BTreeMap::from([("k".to_owned(), vec!["v".to_owned()])])),
                }),
                ..TokenReviewStatus::default()
            },
            "nameless" => TokenReviewStatus {
                authenticated: Some(true),
                ..TokenReviewStatus::default()
            },
            "error" => TokenReviewStatus {
                authenticated: Some(true),
                error: Some("token lookup failed".to_owned()),
                ..TokenReviewStatus::default()
            },
            _ => TokenReviewStatus::default(),
        })
    }
}

fn options() -> TokenOptions {
    TokenOptions {
        ttl: Duration::from_secs(3600),
        backoff: Backoff {
            first: Duration::from_millis(1),
            attempts: 5,
            timeout: Duration::from_secs(60),
        },
    }
}

fn authenticator(fake: Fake, options: TokenOptions) -> (Arc<Fake>, Arc<TokenAuthenticator>) {
    let fake = Arc::new(fake);
    (fake.clone(), Arc::new(TokenAuthenticator::new(fake, options)))
}

fn bearer(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    headers.insert(header::AUTHORIZATION, value);
    headers
}

/// Where they come from.
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn calls(fake: &Fake) -> usize {
    fake.calls.load(Ordering::SeqCst)
}

#[test]
fn header_is_read_as_go_reads_it() {
    let token = |text: &str| Bearer::Token(BearerToken::new(text));
    for (value, expected) in [
        ("Bearer tok", token("tok")),
        ("bEARER tok", token("tok")),
        ("  Bearer tok  ", token("tok")),
        ("Bearer tok and more", token("tok")),
        ("Bearer  tok", Bearer::Spaced),
        ("Bearer", Bearer::Absent),
        ("Bearer ", Bearer::Absent),
        ("Bearer\ttok", Bearer::Absent),
        ("Basic dXNlcjpwYXNz", Bearer::Absent),
        ("", Bearer::Absent),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        assert_eq!(Bearer::parse(&headers), expected, "{value:?}");
    }
    let mut headers = HeaderMap::new();
    assert_eq!(Bearer::parse(&headers), Bearer::Absent);
    headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(b"Bearer \xff").unwrap());
    assert_eq!(Bearer::parse(&headers), Bearer::Malformed);
}

#[test]
fn tokens_do_not_show() {
    let parsed = Bearer::parse(&bearer("s3cret"));
    assert!(!format!("{parsed:?}").contains("s3cret"));
    let mut headers = bearer("s3cret");
    let credentials = crate::authn::Credentials {
        headers: &mut headers,
        certificates: &[],
        address: HERE,
        notes: &crate::wire::notes::Notes::default(),
    };
    assert!(!format!("{credentials:?}").contains("s3cret"));
}

#[tokio::test]
async fn success_is_cached() {
    let (fake, tokens) = authenticator(Fake::default(), options());
    for _ in 0..3 {
        let user = tokens.authenticate(&BearerToken::new("good"), HERE).await.unwrap();
        assert_eq!(user.name, "system:serviceaccount:ns:robot");
        assert_eq!(user.uid, "u");
        assert_eq!(user.groups, ["z", "a"]);
        assert_eq!(user.extra["k"], ["v"]);
    }
    assert_eq!(calls(&fake), 1);
}

#[tokio::test]
async fn refusal_is_cached_by_token() {
    let (fake, tokens) = authenticator(Fake::default(), options());
    for (token, why) in [
        ("bad", "not authenticated"),
        ("error", "token lookup failed"),
        ("nameless", "the review names no user"),
    ] {
        let before = calls(&fake);
        for _ in 0..3 {
            let error = tokens
                .authenticate(&BearerToken::new(token), HERE)
                .await
                .unwrap_err()
                .to_string();
            assert_eq!(error, format!("bearer token: {why}"));
        }
        assert_eq!(calls(&fake), before + 1, "{token}");
    }
}

#[tokio::test]
async fn answers_grow_old() {
    let short = TokenOptions {
        ttl: Duration::from_millis(20),
        ..options()
    };
    for token in ["good", "bad"] {
        let (fake, tokens) = authenticator(Fake::default(), short.clone());
        tokio::time::timeout(Duration::from_secs(60), async {
            while calls(&fake) < 2 {
                let _ = tokens.authenticate(&BearerToken::new(token), HERE).await;
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("asked again once the answer is old");
    }
    let none = TokenOptions {
        ttl: Duration::ZERO,
        ..options()
    };
    let (fake, tokens) = authenticator(Fake::default(), none);
    for _ in 0..3 {
        assert!(tokens.authenticate(&BearerToken::new("good"), HERE).await.is_ok());
    }
    assert_eq!(calls(&fake), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_at_once_ask_once() {
    let gated = Fake {
        gate: Some(Semaphore::new(0)),
        ..Fake::default()
    };
    let (fake, tokens) = authenticator(gated, options());
    let started = Arc::new(AtomicUsize::new(0));
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let (tokens, started) = (tokens.clone(), started.clone());
            tokio::spawn(async move {
                started.fetch_add(1, Ordering::SeqCst);
                tokens.authenticate(&BearerToken::new("good"), HERE).await
            })
        })
        .collect();
    while started.load(Ordering::SeqCst) < 100 {
        tokio::task::yield_now().await;
    }
    fake.gate.as_ref().unwrap().add_permits(100);
    for one in asking {
        assert!(one.await.unwrap().is_ok());
    }
    assert_eq!(calls(&fake), 1);
}

#[tokio::test]
async fn waiters_survive_the_one_who_asked() {
    let gated = Fake {
        gate: Some(Semaphore::new(0)),
        ..Fake::default()
    };
    let (fake, tokens) = authenticator(gated, options());
    let first = tokio::spawn({
        let tokens = tokens.clone();
        async move { tokens.authenticate(&BearerToken::new("good"), HERE).await }
    });
    while calls(&fake) == 0 {
        tokio::task::yield_now().await;
    }
    let second = tokio::spawn({
        let tokens = tokens.clone();
        async move { tokens.authenticate(&BearerToken::new("good"), HERE).await }
    });
    first.abort();
    let _ = first.await;
    while calls(&fake) < 2 {
        tokio::task::yield_now().await;
    }
    fake.gate.as_ref().unwrap().add_permits(100);
    assert!(second.await.unwrap().is_ok());
}

#[tokio::test]
async fn outages_are_retried_and_not_cached() {
    let (fake, tokens) = authenticator(Fake::default(), options());
    fake.failures.store(4, Ordering::SeqCst);
    assert!(tokens.authenticate(&BearerToken::new("good"), HERE).await.is_ok());
    assert_eq!(calls(&fake), 5, "the fifth attempt succeeds");

    let (fake, tokens) = authenticator(Fake::default(), options());
    fake.failures.store(5, Ordering::SeqCst);
    let error = tokens.authenticate(&BearerToken::new("good"), HERE).await.unwrap_err();
    assert_eq!(error.to_string(), "token review: away");
    assert_eq!(calls(&fake), 5, "there are five attempts");
    assert!(
        tokens.authenticate(&BearerToken::new("good"), HERE).await.is_ok(),
        "an outage is no verdict"
    );
}

#[tokio::test]
async fn lasting_errors_are_not_retried() {
    let lasting = Fake {
        lasting: true,
        ..Fake::default()
    };
    let (fake, tokens) = authenticator(lasting, options());
    fake.failures.store(1, Ordering::SeqCst);
    assert!(tokens.authenticate(&BearerToken::new("good"), HERE).await.is_err());
    assert_eq!(calls(&fake), 1);
}

#[tokio::test]
async fn silence_ends() {
    let hanging = Fake {
        hang: true,
        ..Fake::default()
    };
    let mut impatient = options();
    impatient.backoff.timeout = Duration::from_millis(10);
    let (_, tokens) = authenticator(hanging, impatient);
    let error = tokens.authenticate(&BearerToken::new("good"), HERE).await.unwrap_err();
    assert_eq!(error.to_string(), "token review: no answer within 10ms");
}

/// Whoever makes up tokens has half of the reviews at once, a queue, and refusals after that. Known tokens need no review, and
/// tokens from elsewhere find seats of their own.
#[tokio::test]
async fn made_up_tokens_are_looked_up_a_few_at_once() {
    const FLOOD: usize = 1_000;
    let gated = Fake {
        gate: Some(Semaphore::new(1)),
        ..Fake::default()
    };
    let fake = Arc::new(gated);
    let pool = Pool::of(REVIEWS);
    let tokens = TokenAuthenticator::new(fake.clone(), options()).bounded(pool.clone());
    let tokens = Arc::new(tokens);
    let good = BearerToken::new("good");
    assert!(tokens.authenticate(&good, HERE).await.is_ok());
    assert_eq!(calls(&fake), 1);

    let flood: Vec<_> = (0..FLOOD)
        .map(|number| {
            let tokens = tokens.clone();
            tokio::spawn(async move {
                tokens
                    .authenticate(&BearerToken::new(format!("made-up-{number}")), HERE)
                    .await
            })
        })
        .collect();
    let refused = FLOOD - REVIEWS / 2 - 200;
    while flood.iter().filter(|one| one.is_finished()).count() < refused {
        tokio::task::yield_now().await;
    }
    assert_eq!(pool.counts(), (REVIEWS / 2, 200, 1));
    assert_eq!(calls(&fake), 1 + REVIEWS / 2);

    // The gate is shut: nothing of this waits for a review.
    assert!(tokens.authenticate(&good, HERE).await.is_ok());
    let elsewhere: IpAddr = "2001:db8::1".parse().unwrap();
    let other = tokio::spawn({
        let tokens = tokens.clone();
        async move { tokens.authenticate(&BearerToken::new("another"), elsewhere).await }
    });
    while calls(&fake) < 2 + REVIEWS / 2 {
        tokio::task::yield_now().await;
    }

    fake.gate.as_ref().unwrap().add_permits(FLOOD);
    assert!(matches!(other.await.unwrap(), Err(Rejection::Token(_))));
    let mut outcomes = (0, 0);
    for one in flood {
        match one.await.unwrap() {
            Err(Rejection::Busy) => outcomes.0 += 1,
            Err(Rejection::Token(_)) => outcomes.1 += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(outcomes, (refused, FLOOD - refused));
    assert_eq!(calls(&fake), 2 + FLOOD - refused);
    assert_eq!(pool.counts(), (0, 0, 0));
}

/// As many bad tokens as there is room for do not drive out a good one.
#[tokio::test]
async fn bad_tokens_do_not_make_good_ones_unknown() {
    let (fake, tokens) = authenticator(Fake::default(), options());
    assert!(tokens.authenticate(&BearerToken::new("good"), HERE).await.is_ok());
    let many = usize::try_from(CAPACITY).unwrap() + 1_000;
    for number in 0..many {
        assert!(
            tokens
                .authenticate(&BearerToken::new(format!("{number}")), HERE)
                .await
                .is_err()
        );
    }
    assert_eq!(calls(&fake), 1 + many);
    assert!(tokens.authenticate(&BearerToken::new("good"), HERE).await.is_ok());
    assert_eq!(calls(&fake), 1 + many);
}

#[test]
fn an_address_is_its_network() {
    let network = |text: &str| network(text.parse().unwrap()).to_string();
    assert_eq!(network("192.0.2.7"), "192.0.2.7");
    assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
    assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
}
