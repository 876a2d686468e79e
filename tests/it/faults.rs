//! Several real servers on one etcd of three members, and what happens to them: killed processes, lines that are cut or
//! silent, history that is compacted meanwhile, watchers that lag or all come back at once.
//!
//! After every trouble the same must hold: what was acknowledged is there, a read that claims to be fresh is, and
//! whoever follows a list by a watch has exactly what a fresh list says. [`follower`] judges each watch by the rules of
//! docs/testing.md while it runs; [`writers`] keeps what may and what must be stored; in [`recorded`] the model checker judges
//! all that many callers saw.

mod cut;
mod follower;
mod freshness;
mod growth;
mod killed;
mod members;
mod pressure;
mod random;
mod recorded;
mod rules;
mod stage;
mod writers;

use std::sync::OnceLock;
use std::time::Duration;

use http::Method;
use serde_json::Value;

use crate::harness::eventually;
use crate::harness::in_process::{Answer, Caller, Watching};

/// Generous: it matters only in a failure.
const SOON: Duration = Duration::from_secs(120);

/// How many rounds of random trouble are made: more in the long form.
fn rounds(default: usize) -> usize {
    let given = std::env::var("BULWARD_FAULTS_ROUNDS").ok();
    given.map_or(default, |text| text.parse().expect("BULWARD_FAULTS_ROUNDS is a number"))
}

/// What all that is random here begins with; whoever uses it prints it.
fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let given = std::env::var("BULWARD_FAULTS_SEED").ok();
        given.map_or_else(rand::random, |text| {
            text.parse().expect("BULWARD_FAULTS_SEED is a number")
        })
    })
}

/// Reads until the server does not say that it cannot right now: a busy machine may take longer than its patience.
async fn read(caller: &Caller, path: &str) -> Answer {
    surely(caller, Method::GET, path, "", None).await
}

/// Merges, as often as the server says that it cannot right now: once or twice is the same.
async fn merge(caller: &Caller, path: &str, change: &Value) -> Answer {
    surely(
        caller,
        Method::PATCH,
        path,
        "application/merge-patch+json",
        Some(change),
    )
    .await
}

/// Creates in the same way. 409 says that an attempt which got no answer has done it.
async fn create(caller: &Caller, path: &str, object: &Value) -> Answer {
    let answer = surely(caller, Method::POST, path, "application/json", Some(object)).await;
    assert!(matches!(answer.code, 201 | 409), "{}: {}", answer.code, answer.text());
    answer
}

/// Watches in the same way.
async fn watch(caller: &Caller, path: &str) -> Watching {
    eventually("a watch", SOON, async || {
        caller.try_watch(path, "application/json").await
    })
    .await
}

async fn surely(caller: &Caller, method: Method, path: &str, media: &str, body: Option<&Value>) -> Answer {
    let headers = [("content-type", media)];
    eventually("an answer", SOON, async || {
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = caller.attempt(method.clone(), path, &headers, body).await?;
        match answer.code {
            429 | 503 | 504 => Err(answer.text()),
            _ => Ok(answer),
        }
    })
    .await
}
