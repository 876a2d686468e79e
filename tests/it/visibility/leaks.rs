//! V7 beside the answers: what metrics, logs and the way to a 404 give away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bulward::storage::memory::Memory;
use bulward::storage::{Entry, Error, ListRequest, Op, Page, Revision, Storage, Watch};
use http::Method;
use serde_json::json;

use crate::harness::in_process::{Caller, InProcess, memory};
use crate::harness::tenancy::{World, an_organization, as_stored, organization, organizations, stored, user};
use crate::harness::{Bulward, STARTUP, eventually};

/// Labels are numbers and words of the API: whoever may read metrics learns of nobody and of no object.
#[tokio::test]
async fn metrics_name_no_object_and_no_caller() {
    let world = World::new(memory().await).await;
    world.organization("quetzal", &[user("wilhelmina")]).await;
    let owner = world.server.user("wilhelmina", &["guild-of-weavers"]);
    let stranger = world.user("ebenezer");
    for caller in [&owner, &stranger] {
        caller.get(&organization("quetzal")).await;
        caller.get(&organization("axolotl")).await;
        caller.get(&organizations()).await.expect(200);
        caller
            .get(&format!("{}/axolotl/axolotl/axolotl", organizations()))
            .await;
        caller.get("/axolotl/axolotl?axolotl=axolotl").await;
        caller
            .get(&format!("{}?labelSelector=axolotl", organizations()))
            .await
            .expect(200);
        let odd = Method::from_bytes(b"AXOLOTL").unwrap();
        caller
            .send(odd, &organizations(), &[("user-agent", "axolotl/1")], "")
            .await;
        caller
            .merge(
                &organization("quetzal"),
                &json!({"metadata": {"labels": {"axolotl": "x"}}}),
            )
            .await;
        let watch = caller.watch(&organizations()).await;
        drop(watch);
    }
    let metrics = world.admin.get("/metrics").await;
    assert_eq!(metrics.code, 200);
    let text = metrics.text().to_lowercase();
    assert!(text.contains("organizations"), "requests are counted: {text}");
    for name in ["quetzal", "axolotl", "wilhelmina", "ebenezer", "guild-of-weavers"] {
        let line = text.lines().find(|line| line.contains(name));
        assert_eq!(line, None, "{name}");
    }
}

/// An apply to a name that a stranger's object has is a create under a taken name: no conflict, no manager, no field of it.
#[tokio::test]
async fn an_apply_says_no_more_than_a_create() {
    const APPLY: &str = "application/apply-patch+yaml";
    let world = World::new(memory().await).await;
    let (alice, eve) = (world.user("alice"), world.user("eve"));
    let mut own = an_organization("taken", &[user("alice")]);
    own["metadata"]["labels"] = json!({"secret-label": "secret-value"});
    let path = format!("{}?fieldManager=secret-manager", organization("taken"));
    alice.with_body(Method::PATCH, &path, APPLY, &own).await.expect(201);
    for (owner, code, reason) in [("eve", 409, "AlreadyExists"), ("alice", 400, "BadRequest")] {
        let mut wanted = an_organization("taken", &[user(owner)]);
        let created = eve.post(&organizations(), &wanted).await;
        created.refused(code, reason);
        wanted["metadata"]["labels"] = json!({"secret-label": "another"});
        for query in ["", "&force=true", "&dryRun=All", "&force=true&dryRun=All"] {
            let path = format!("{}?fieldManager=m{query}", organization("taken"));
            let applied = eve.with_body(Method::PATCH, &path, APPLY, &wanted).await;
            assert_eq!(
                (applied.code, applied.text()),
                (created.code, created.text()),
                "{owner} {query}"
            );
        }
    }
    let status = |name: &str| format!("{}/status?fieldManager=m", organization(name));
    let body = |name: &str| json!({"apiVersion": "apiserver.bulward.io/v1alpha1", "kind": "Organization", "metadata": {"name": name}});
    let hidden = eve
        .with_body(Method::PATCH, &status("taken"), APPLY, &body("taken"))
        .await;
    let missing = eve
        .with_body(Method::PATCH, &status("token"), APPLY, &body("token"))
        .await;
    assert_eq!(
        (hidden.code, hidden.text()),
        (missing.code, missing.text().replace("token", "taken"))
    );
    let after = alice.get(&organization("taken")).await.expect(200);
    assert_eq!(after["metadata"]["labels"], own["metadata"]["labels"]);
}

/// Counts what the server asks of it.
#[derive(Default)]
struct Counting {
    inner: Memory,
    asked: AtomicUsize,
}

impl Counting {
    fn count(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Storage for Counting {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        self.count();
        self.inner.get(key).await
    }

    async fn list(&self, request: ListRequest) -> Result<Page, Error> {
        self.count();
        self.inner.list(request).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Revision, Error> {
        self.count();
        self.inner.commit(ops).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        self.inner.watch(prefix, after).await
    }

    async fn current_revision(&self) -> Result<Revision, Error> {
        self.count();
        self.inner.current_revision().await
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.inner.compact(revision).await
    }
}

/// What takes time on the way to a 404 are questions to the storage: there are as many, whether the object is hidden or not
/// there at all.
#[tokio::test]
async fn the_way_to_a_404_is_the_same_for_hidden_and_missing() {
    let storage = Arc::new(Counting::default());
    let server = InProcess::start(storage.clone()).await;
    let hidden = as_stored(an_organization("hidden", &[user("alice")]));
    server
        .admin()
        .post(&stored(&organizations()), &hidden)
        .await
        .expect(201);
    let eve = server.user("eve", &[]);
    eve.get(&organizations()).await.expect(200);
    let questions = async |method: &Method, name: &str, query: &str| {
        let body = match *method {
            Method::PUT => an_organization(name, &[user("eve")]).to_string(),
            Method::PATCH => json!({"metadata": {"labels": {"a": "b"}}}).to_string(),
            _ => String::new(),
        };
        let media = match *method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let before = storage.asked.load(Ordering::SeqCst);
        let path = format!("{}{query}", organization(name));
        let answer = eve.send(method.clone(), &path, &[("content-type", media)], body).await;
        answer.refused(404, "NotFound");
        storage.asked.load(Ordering::SeqCst) - before
    };
    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
        for query in ["", "?resourceVersion=0", "?dryRun=All"] {
            let (hidden, missing) = (
                questions(&method, "hidden", query).await,
                questions(&method, "gone-or-never-there", query).await,
            );
            assert_eq!(hidden, missing, "{method} {query}");
        }
    }
}

/// A request is logged with its path and its code, and with nothing that would let a reader of logs act as the caller.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_hold_no_credentials() {
    const TOKEN: &str = "a-bearer-token-that-nobody-has-issued";
    let (plane, server) = Bulward::shared().await;
    let caller: Caller = server.caller(plane, "alice", &[]).await;
    let path = organization("logged-by-its-name");
    let headers = [
        ("authorization", &*format!("Bearer {TOKEN}")),
        ("cookie", "session=another-secret-of-alice"),
        ("x-remote-user", "somebody-that-alice-is-not"),
    ];
    let answer = caller.send(Method::GET, &path, &headers, "").await;
    assert!(matches!(answer.code, 401 | 404), "{}", answer.text());
    let logged = async || {
        let log = server.logged();
        if log.contains("logged-by-its-name") {
            Ok(log)
        } else {
            Err("not logged yet")
        }
    };
    let log = eventually("the request is logged", STARTUP, logged).await;
    for secret in [TOKEN, "another-secret-of-alice", "somebody-that-alice-is-not"] {
        assert!(!log.contains(secret), "{secret}");
    }
}
