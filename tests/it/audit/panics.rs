//! A request in which the server failed: the stage Panic is its last one.

use std::sync::Arc;

use async_trait::async_trait;
use bulward::storage::{Entry, Error, ListRequest, Op, Page, Revision, Storage, Watch};
use http::Method;

use super::{events, of_request, recording};
use crate::harness::guardian;
use crate::harness::in_process::{InProcess, memory};
use crate::harness::tenancy::{an_organization, organizations, user};

const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- {level: Metadata, users: [quiet], omitStages: [Panic]}
- {level: Metadata}
";

/// A storage that falls over what is called `boom`.
struct Falling(Arc<dyn Storage>);

#[async_trait]
impl Storage for Falling {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        self.0.get(key).await
    }

    async fn list(&self, request: ListRequest) -> Result<Page, Error> {
        self.0.list(request).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Revision, Error> {
        assert!(!ops.iter().any(|op| op.key.contains("boom")), "the storage fell over");
        self.0.commit(ops).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        self.0.watch(prefix, after).await
    }

    async fn current_revision(&self) -> Result<Revision, Error> {
        self.0.current_revision().await
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.0.compact(revision).await
    }
}

#[tokio::test]
async fn a_request_that_fails_the_server_is_recorded_as_such() {
    let folder = guardian::temporary("audit");
    let log = folder.path().join("audit.log");
    let storage = Arc::new(Falling(memory().await.storage));
    let server = InProcess::with(storage, recording(folder.path(), POLICY)).await;
    for (name, last) in [("quiet", None), ("alice", Some("Panic"))] {
        let caller = server.user(name, &[]);
        let body = an_organization("boom", &[user(name)]).to_string();
        let id = format!("panic-{name}");
        let headers = [("audit-id", id.as_str()), ("content-type", "application/json")];
        let answer = caller.send(Method::POST, &organizations(), &headers, body).await;
        assert_eq!(answer.code, 500);
        assert_eq!(answer.header("audit-id"), Some(id.as_str()));
        assert!(
            answer.text().starts_with("This request caused apiserver to panic."),
            "{}",
            answer.text()
        );
        // The server goes on.
        caller.get(&organizations()).await.expect(200);
        let Some(last) = last else { continue };
        let own = of_request(&log, &id, last).await;
        let stages: Vec<&str> = own.iter().map(|event| event["stage"].as_str().unwrap()).collect();
        assert_eq!(stages, ["RequestReceived", "Panic"]);
        let status = &own[1]["responseStatus"];
        assert_eq!(
            (status["code"].as_u64(), status["reason"].as_str()),
            (Some(500), Some("InternalError"))
        );
        let message = status["message"].as_str().unwrap_or_default();
        assert_eq!(message, "APIServer panic'd: the storage fell over");
        assert!(own[0].get("responseStatus").is_none(), "{}", own[0]);
    }
    // The log is written in order: what was not recorded of the first request never will be.
    let quiet = events(&log)
        .into_iter()
        .filter(|event| event["auditID"] == "panic-quiet");
    let stages: Vec<String> = quiet.map(|event| event["stage"].as_str().unwrap().to_owned()).collect();
    assert_eq!(stages, ["RequestReceived"]);
}
