//! What is counted.

use std::hint::black_box;
use std::sync::Arc;

use bulward::storage::Storage;
use bulward::storage::memory::Memory;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::server::{Client, Server, filled};

/// How often each is done in the measured part, after having been done as often before.
pub(crate) const TIMES: usize = 200;
/// Objects on the server.
const OBJECTS: usize = 10_000;
/// Watchers that see the change.
const WATCHERS: usize = 10;
const PATH: &str = "/apis/apiserver.bulward.io/v1alpha1/organizations";

/// A path through the server.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn(),
}

/// All of them.
pub(crate) const WORKS: [Work; 5] = [
    Work {
        name: "get",
        what: "GET of an object",
        run: get,
    },
    Work {
        name: "audited",
        what: "the same GET, recorded in a file (level Metadata)",
        run: audited,
    },
    Work {
        name: "list",
        what: "LIST of 10 objects, of 10,000",
        run: list,
    },
    Work {
        name: "deliver",
        what: "a change, delivered to 10 watchers",
        run: deliver,
    },
    Work {
        name: "create",
        what: "create, on a storage in memory",
        run: create,
    },
];

/// What callgrind counts: it is told this function's name.
#[inline(never)]
fn measured_part(runtime: &Runtime, work: impl Future<Output = ()>) {
    runtime.block_on(work);
    black_box(());
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Everybody's object `number`, of which `ten` sees the first ones.
fn stored(number: usize, owners: &[&str]) -> (String, Vec<u8>) {
    let name = format!("counted-{number:06}");
    let owners: Vec<_> = owners
        .iter()
        .map(|name| json!({"kind": "User", "name": name}))
        .collect();
    let object = json!({
        "metadata": {
            "name": name,
            "uid": format!("{number:08x}-0000-4000-8000-{number:012x}"),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "generation": 1,
            "labels": {"app.kubernetes.io/part-of": "peers"},
            "annotations": {"example.com/padding": "x".repeat(300)},
        },
        "spec": {
            "metadata": {"displayName": name, "description": "An object of the benchmark."},
            "owners": owners,
        },
    });
    (format!("organizations/{name}"), object.to_string().into_bytes())
}

fn request(method: &str, path: &str, user: &str, body: &str) -> String {
    let length = match body.len() {
        0 => String::new(),
        length => format!("content-type: application/json\r\ncontent-length: {length}\r\n"),
    };
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nx-remote-user: {user}\r\nx-remote-group: team-{user}\r\n\
         x-remote-group: system:authenticated\r\naccept: application/json\r\nuser-agent: instructions\r\n{length}\r\n{body}"
    )
}

/// Everybody's objects.
async fn objects() -> Arc<Memory> {
    let objects = (0..OBJECTS).map(|number| stored(number, &["owner", if number < 10 { "ten" } else { "few" }]));
    filled(objects).await
}

/// A server with all objects, and a connection.
async fn with_objects() -> (Server, Client) {
    let server = Server::start(objects().await).await;
    let client = server.connect();
    (server, client)
}

async fn repeat(client: &mut Client, request: &str) {
    for _ in 0..TIMES {
        client.ask(request, "200").await;
    }
}

fn get() {
    let runtime = runtime();
    let (_server, mut client) = runtime.block_on(with_objects());
    let request = request("GET", &format!("{PATH}/counted-000003"), "ten", "");
    runtime.block_on(repeat(&mut client, &request));
    measured_part(&runtime, repeat(&mut client, &request));
}

fn audited() {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_server, mut client) = runtime.block_on(async {
        let server = Server::audited(objects().await, &folder.path().join("audit.log")).await;
        let client = server.connect();
        (server, client)
    });
    let request = request("GET", &format!("{PATH}/counted-000003"), "ten", "");
    runtime.block_on(repeat(&mut client, &request));
    measured_part(&runtime, repeat(&mut client, &request));
}

fn list() {
    let runtime = runtime();
    let (_server, mut client) = runtime.block_on(with_objects());
    let request = request("GET", PATH, "ten", "");
    runtime.block_on(repeat(&mut client, &request));
    measured_part(&runtime, repeat(&mut client, &request));
}

fn deliver() {
    let runtime = runtime();
    let names: Vec<String> = (0..WATCHERS).map(|number| format!("watcher-{number}")).collect();
    let owners: Vec<&str> = names.iter().map(String::as_str).collect();
    let (key, value) = stored(0, &owners);
    let (server, mut clients) = runtime.block_on(async {
        let others = (1..OBJECTS).map(|number| stored(number, &["owner", "few"]));
        let all = std::iter::once((key.clone(), value.clone())).chain(others);
        let server = Server::start(filled(all).await).await;
        let mut clients = Vec::new();
        for name in &names {
            let mut client = server.connect();
            client
                .send(&request("GET", &format!("{PATH}?watch=true"), name, ""))
                .await;
            client.until("\"ADDED\"").await;
            clients.push(client);
        }
        (server, clients)
    });
    let text = String::from_utf8(value).expect("JSON");
    let mut change = async |from: usize| {
        for number in from..from + TIMES {
            let name = format!("changed-{number:06}");
            let value = text.replace(
                "\"displayName\":\"counted-000000\"",
                &format!("\"displayName\":\"{name}\""),
            );
            let entry = server.storage.get(&key).await.expect("memory").expect("the object");
            let swapped = server.storage.compare_and_swap(&key, entry.revision, value.into());
            swapped.await.expect("nobody else writes");
            for client in &mut clients {
                client.event().await;
            }
        }
    };
    runtime.block_on(change(0));
    measured_part(&runtime, change(TIMES));
}

fn create() {
    let runtime = runtime();
    let (_server, mut client) = runtime.block_on(with_objects());
    let requests = |kind: &str| -> Vec<String> {
        let body = |number: usize| {
            json!({
                "apiVersion": "apiserver.bulward.io/v1alpha1",
                "kind": "Organization",
                "metadata": {
                    "name": format!("{kind}-{number:06}"),
                    "labels": {"app.kubernetes.io/part-of": "peers"},
                    "annotations": {"example.com/padding": "x".repeat(300)},
                },
                "spec": {
                    "metadata": {"displayName": "counted", "description": "An object of the benchmark."},
                    "owners": [{"kind": "User", "name": "ten"}, {"kind": "User", "name": "few"}],
                },
            })
        };
        let all = (0..TIMES).map(|number| request("POST", PATH, "ten", &body(number).to_string()));
        all.collect()
    };
    let mut all = async |requests: &[String]| {
        for request in requests {
            client.ask(request, "201").await;
        }
    };
    let (before, counted) = (requests("earlier"), requests("created"));
    runtime.block_on(all(&before));
    measured_part(&runtime, all(&counted));
}
