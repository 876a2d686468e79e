use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{super::ResourceAttributes, *};

/// Allows `alice`, and misbehaves as told.
#[derive(Default)]
struct Fake {
    asked: Mutex<Vec<Value>>,
    failures: AtomicUsize,
    lasting: bool,
    both: bool,
    gate: Option<Semaphore>,
}

#[async_trait]
impl SubjectAccessReviewer for Fake {
    async fn review(&self, spec: &SubjectAccessReviewSpec) -> Result<SubjectAccessReviewStatus, CallError> {
        self.asked.lock().push(serde_json::to_value(spec).unwrap());
        if let Some(gate) = &self.gate {
            gate.acquire().await.expect("never closed").forget();
        }
        if self.failures.load(Ordering::SeqCst) > 0 {
            self.failures.fetch_sub(1, Ordering::SeqCst);
            return Err(match self.lasting {
                true => CallError::status(403, "may not ask"),
                false => CallError::status(503, "away"),
            });
        }
        let allowed = spec.user.as_deref() == Some("alice");
        Ok(SubjectAccessReviewStatus {
            allowed,
            denied: Some(self.both),
            reason: Some(if allowed { "RBAC: allowed by x" } else { "no rule" }.to_owned()),
            ..SubjectAccessReviewStatus::default()
        })
    }
}

impl Fake {
    fn calls(&self) -> usize {
        self.asked.lock().len()
    }
}

fn options() -> AccessOptions {
    AccessOptions {
        allow_ttl: Duration::from_secs(3600),
        deny_ttl: Duration::from_secs(3600),
        backoff: Backoff {
            first: Duration::from_millis(1),
            attempts: 5,
            timeout: Duration::from_secs(60),
        },
    }
}

fn authorizer(fake: Fake, options: AccessOptions) -> (Arc<Fake>, Arc<SubjectAccessReviewAuthorizer>) {
    let fake = Arc::new(fake);
    (
        fake.clone(),
        Arc::new(SubjectAccessReviewAuthorizer::new(fake, options)),
    )
}

fn user(name: &str) -> UserInfo {
    UserInfo {
        name: name.to_owned(),
        ..UserInfo::default()
    }
}

fn path(path: &str) -> Attributes {
    Attributes::Path {
        path: path.to_owned(),
        verb: "get".to_owned(),
    }
}

fn allowed() -> Result<Decision, String> {
    let reason = "RBAC: allowed by x".to_owned();
    Ok(Decision::Allow { reason })
}

fn denied() -> Result<Decision, String> {
    let reason = "no rule".to_owned();
    Ok(Decision::Deny { reason })
}

#[tokio::test]
async fn question_says_all() {
    let (fake, authorizer) = authorizer(Fake::default(), options());
    let alice = UserInfo {
        name: "alice".to_owned(),
        uid: "u".to_owned(),
        groups: vec!["b".to_owned(), "a".to_owned()],
        extra: BTreeMap::from([("k".to_owned(), vec!["v".to_owned()])]),
    };
    let attributes = Attributes::Resource(ResourceAttributes {
        verb: "update".to_owned(),
        group: "g".to_owned(),
        version: "v1".to_owned(),
        resource: "things".to_owned(),
        subresource: "status".to_owned(),
        namespace: "ns".to_owned(),
        name: "n".to_owned(),
        ..ResourceAttributes::default()
    });
    assert_eq!(authorizer.authorize(&alice, &attributes).await, allowed());
    let expected = json!({
        "user": "alice", "uid": "u", "groups": ["b", "a"], "extra": {"k": ["v"]},
        "resourceAttributes": {
            "verb": "update", "group": "g", "version": "v1", "resource": "things",
            "subresource": "status", "namespace": "ns", "name": "n",
        },
    });
    assert_eq!(fake.asked.lock()[0], expected);
    assert_eq!(authorizer.authorize(&user("bob"), &path("/x")).await, denied());
    let expected = json!({"user": "bob", "nonResourceAttributes": {"path": "/x", "verb": "get"}});
    assert_eq!(fake.asked.lock()[1], expected);
}

#[tokio::test]
async fn decisions_are_cached_by_question() {
    let (fake, authorizer) = authorizer(Fake::default(), options());
    for _ in 0..3 {
        assert_eq!(authorizer.authorize(&user("alice"), &path("/x")).await, allowed());
        assert_eq!(authorizer.authorize(&user("bob"), &path("/x")).await, denied());
    }
    assert_eq!(fake.calls(), 2);
    let in_group = UserInfo {
        groups: vec!["g".to_owned()],
        ..user("bob")
    };
    assert_eq!(authorizer.authorize(&in_group, &path("/x")).await, denied());
    assert_eq!(fake.calls(), 3, "other groups are another question");
}

/// k8s.io/apiserver plugin/pkg/authorizer/webhook/webhook.go resourceAttributesFrom.
#[tokio::test]
async fn selectors_are_part_of_the_question() {
    let (fake, authorizer) = authorizer(Fake::default(), options());
    let ask = async |fields: &str, labels: &str| {
        let attributes = Attributes::Resource(ResourceAttributes {
            verb: "list".to_owned(),
            field_selector: FieldSelector::parse(fields).unwrap(),
            label_selector: LabelSelector::parse(labels).unwrap(),
            ..ResourceAttributes::default()
        });
        assert_eq!(authorizer.authorize(&user("alice"), &attributes).await, allowed());
        fake.asked.lock().last().unwrap()["resourceAttributes"].clone()
    };
    assert_eq!(
        ask("a=1,b!=2", "x,!y,z in (2,1),w notin (3),v=4,u!=5,t>6").await,
        json!({
            "verb": "list",
            "fieldSelector": {"requirements": [
                {"key": "a", "operator": "In", "values": ["1"]},
                {"key": "b", "operator": "NotIn", "values": ["2"]},
            ]},
            "labelSelector": {"requirements": [
                {"key": "u", "operator": "NotIn", "values": ["5"]},
                {"key": "v", "operator": "In", "values": ["4"]},
                {"key": "w", "operator": "NotIn", "values": ["3"]},
                {"key": "x", "operator": "Exists"},
                {"key": "y", "operator": "DoesNotExist"},
                {"key": "z", "operator": "In", "values": ["1", "2"]},
            ]},
        })
    );
    assert_eq!(
        ask("", "t>6").await,
        json!({"verb": "list"}),
        "a comparison cannot be asked about"
    );
    let calls = fake.calls();
    ask("a=1", "").await;
    ask("a=2", "").await;
    ask("a=1", "").await;
    assert_eq!(fake.calls(), calls + 2, "other selectors are another question");
}

#[tokio::test]
async fn each_verdict_has_its_time() {
    let (fake, authorizer) = authorizer(
        Fake::default(),
        AccessOptions {
            deny_ttl: Duration::ZERO,
            ..options()
        },
    );
    for _ in 0..3 {
        assert_eq!(authorizer.authorize(&user("alice"), &path("/x")).await, allowed());
    }
    assert_eq!(fake.calls(), 1);
    for _ in 0..3 {
        assert_eq!(authorizer.authorize(&user("bob"), &path("/x")).await, denied());
    }
    assert_eq!(fake.calls(), 4, "denials are not kept");
}

#[tokio::test]
async fn huge_questions_are_not_kept() {
    let (fake, authorizer) = authorizer(Fake::default(), options());
    let verb = "get".len();
    for (length, calls) in [(MAX_CACHED - verb - 1, 1), (MAX_CACHED - verb, 3)] {
        let before = fake.calls();
        for _ in 0..3 {
            assert_eq!(
                authorizer.authorize(&user("alice"), &path(&"x".repeat(length))).await,
                allowed()
            );
        }
        assert_eq!(fake.calls() - before, calls, "{length}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_at_once_ask_once() {
    let gated = Fake {
        gate: Some(Semaphore::new(0)),
        ..Fake::default()
    };
    let (fake, authorizer) = authorizer(gated, options());
    let started = Arc::new(AtomicUsize::new(0));
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let (authorizer, started) = (authorizer.clone(), started.clone());
            tokio::spawn(async move {
                started.fetch_add(1, Ordering::SeqCst);
                authorizer.authorize(&user("alice"), &path("/x")).await
            })
        })
        .collect();
    while started.load(Ordering::SeqCst) < 100 {
        tokio::task::yield_now().await;
    }
    fake.gate.as_ref().unwrap().add_permits(100);
    for one in asking {
        assert_eq!(one.await.unwrap(), allowed());
    }
    assert_eq!(fake.calls(), 1);
}

#[tokio::test]
async fn outage_is_an_error_and_not_kept() {
    let (fake, authorizer) = authorizer(Fake::default(), options());
    fake.failures.store(5, Ordering::SeqCst);
    assert_eq!(
        authorizer.authorize(&user("alice"), &path("/x")).await,
        Err("away".to_owned())
    );
    assert_eq!(fake.calls(), 5);
    fake.failures.store(2, Ordering::SeqCst);
    assert_eq!(
        authorizer.authorize(&user("alice"), &path("/x")).await,
        allowed(),
        "after two more failures"
    );
}

#[tokio::test]
async fn lasting_errors_and_contradictions_are_errors() {
    let lasting = Fake {
        lasting: true,
        ..Fake::default()
    };
    let (fake, first) = authorizer(lasting, options());
    fake.failures.store(1, Ordering::SeqCst);
    assert_eq!(
        first.authorize(&user("alice"), &path("/x")).await,
        Err("may not ask".to_owned())
    );
    assert_eq!(fake.calls(), 1);

    let contradicting = Fake {
        both: true,
        ..Fake::default()
    };
    let (_, second) = authorizer(contradicting, options());
    let error = second.authorize(&user("alice"), &path("/x")).await.unwrap_err();
    assert!(error.contains("both allow and deny"), "{error}");
    assert_eq!(second.authorize(&user("bob"), &path("/x")).await, denied());
}
