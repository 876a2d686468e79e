//! What the tenancy controllers cost, on a real control plane: kube-apiserver, our server behind it, kube-controller-manager, and
//! `bulward controller-manager` as a process.
//!
//! `cargo bench --bench tenancy`, smaller with `-- --grants 50 --bindings 100 --organizations 20`.

#[expect(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "shared with the tests; a benchmark needs a part of it"
)]
#[path = "../../tests/it"]
mod it {
    pub(crate) mod harness;
}

use std::time::Duration;

use futures::{StreamExt, stream};
use it::harness;
use serde_json::{Value, json};
use tokio::time::Instant;

use harness::in_process::{Caller, Watching};
use harness::tenancy::{a_project, an_organization, as_stored, organization, organizations, projects, stored, user};
use harness::{Bulward, ControlPlane, Controllers, eventually};

/// Requests at once of whoever makes many objects.
const AT_ONCE: usize = 16;
/// After such a pause the controllers owe a change no patience (`src/controllers/pace.rs`).
const ALONE: Duration = Duration::from_secs(3);
const SOON: Duration = Duration::from_secs(3_600);

struct Stage {
    plane: ControlPlane,
    _server: Bulward,
    controllers: Controllers,
    admin: Caller,
}

/// How much of each; `cargo bench` adds `--bench`.
struct Settings {
    grants: usize,
    bindings: usize,
    organizations: usize,
}

#[tokio::main]
async fn main() {
    let settings = Settings::from_arguments();
    let plane = ControlPlane::start("tenancy-bench").await;
    let server = Bulward::start(&plane, &["--v=0"]).await;
    server.register(&plane).await;
    let controllers = Controllers::start(&plane, &["--v=0", "--leader-elect=false"]).await;
    let stage = Stage {
        admin: Caller::through(plane.client("admin").await),
        plane,
        _server: server,
        controllers,
    };
    grants(&stage, "lone", settings.grants / 4, ALONE).await;
    grants(
        &stage,
        "one after the other",
        settings.grants,
        Duration::from_millis(300),
    )
    .await;
    burst(&stage, settings.bindings).await;
    made(&stage, settings.organizations).await;
}

/// One grant at a time: from the RoleBinding's request to the event at the member's watch. Grants that follow closely are
/// taken together by the controllers, so that `pause` matters.
async fn grants(stage: &Stage, manner: &str, count: usize, pause: Duration) {
    let organization = format!("granted-{}", pause.as_millis());
    stage.organization(&organization).await;
    stage.ready(&organization).await;
    let bob = Caller::through(stage.plane.client("bob").await);
    let list = bob.get(&organizations()).await.expect(200);
    let from = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let mut watch = bob.watch(&format!("{}?resourceVersion={from}", organizations())).await;
    let mut times = Vec::new();
    for _ in 0..count {
        tokio::time::sleep(pause).await;
        let began = Instant::now();
        stage.bind(&organization, "bob").await;
        until(&mut watch, "ADDED").await;
        times.push(began.elapsed());
        let path = format!("{}/bob", bindings(&organization));
        stage.admin.delete(&path).await.expect(200);
        until(&mut watch, "DELETED").await;
    }
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "RoleBinding to ADDED, {count} {manner}: p50 {:?}, p99 {:?}, longest {:?}",
        at(50),
        at(99),
        at(100)
    );
}

/// Waits for an event of this type; others tell of what else the controllers have written.
async fn until(watch: &mut Watching, kind: &str) {
    while watch.event().await.kind != kind {}
}

/// Many at once: how many writes of the status they become.
async fn burst(stage: &Stage, count: usize) {
    stage.organization("burst").await;
    let made = stage.ready("burst").await;
    let from = made["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let path = format!(
        "{}?resourceVersion={from}&fieldSelector=metadata.name%3Dburst",
        stored(&organizations())
    );
    let mut watch = stage.admin.watch(&path).await;
    let began = Instant::now();
    let names = (0..count).map(|number| format!("user-{number:04}"));
    let binds = stream::iter(names).for_each_concurrent(AT_ONCE, async |name| stage.bind("burst", &name).await);
    let seen = async {
        let mut writes = 0;
        loop {
            writes += 1;
            let object = watch.expect("MODIFIED", "burst").await;
            let members = object["status"]["members"].as_array().into_iter().flatten();
            let bound = members.filter(|member| member["name"].as_str().is_some_and(|name| name.starts_with("user-")));
            if bound.count() == count {
                return (writes, began.elapsed());
            }
        }
    };
    let ((), (writes, all_seen)) = tokio::join!(
        async {
            binds.await;
            println!("{count} RoleBindings made in {:?}", began.elapsed());
        },
        seen
    );
    println!("{writes} writes of the status, the last one after {all_seen:?}");
}

/// Organizations with three Projects each, from the first request until all are ready; and what kube-apiserver was asked for it.
async fn made(stage: &Stage, count: usize) {
    let before = stage.requests().await;
    let began = Instant::now();
    let names = (0..count).map(|number| format!("made-{number:04}"));
    stream::iter(names)
        .for_each_concurrent(AT_ONCE, async |name| {
            stage.organization(&name).await;
            // A Project may be made before its namespace is there: it waits.
            for project in ["a", "b", "c"] {
                let body = as_stored(a_project(project, &[user("alice")]));
                stage.admin.post(&stored(&projects(&name)), &body).await.expect(201);
            }
        })
        .await;
    println!(
        "{count} Organizations with 3 Projects each created in {:?}",
        began.elapsed()
    );
    let all_ready = async || {
        let mut ready = [0, 0];
        for (at, kind) in ["organizations", "projects"].into_iter().enumerate() {
            let path = format!("/apis/storage.bulward.io/v1alpha1/{kind}?fieldSelector=status.phase%3DReady");
            let list = stage.admin.get(&path).await.expect(200);
            let items = list["items"].as_array().into_iter().flatten();
            ready[at] = items.filter(|item| item.to_string().contains("\"made-")).count();
        }
        if ready == [count, 3 * count] {
            Ok(())
        } else {
            Err(format!("{ready:?}"))
        }
    };
    eventually("all are ready", SOON, all_ready).await;
    println!("all ready after {:?}", began.elapsed());
    let asked = stage.requests().await - before;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let each = asked / count as f64;
    println!("requests of the controllers that change something: {each:.2} for each Organization with its 3 Projects");
}

impl Stage {
    async fn organization(&self, name: &str) {
        let body = as_stored(an_organization(name, &[user("alice")]));
        self.admin.post(&stored(&organizations()), &body).await.expect(201);
    }

    async fn ready(&self, name: &str) -> Value {
        let path = stored(&organization(name));
        eventually(name, SOON, async || {
            let object = self.admin.get(&path).await.expect(200);
            match object["status"]["phase"] == "Ready" {
                true => Ok(object),
                false => Err(object.to_string()),
            }
        })
        .await
    }

    async fn bind(&self, namespace: &str, name: &str) {
        let body = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "nothing"},
            "subjects": [user(name)],
        });
        self.admin.post(&bindings(namespace), &body).await.expect(201);
    }

    /// What the controllers have changed, as they count it themselves; one event an Organization or Project is not in it.
    async fn requests(&self) -> f64 {
        let sum = self.controllers.metric("bulward_controller_writes_total").await;
        sum.expect("the controllers run")
    }
}

fn bindings(namespace: &str) -> String {
    format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings")
}

impl Settings {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let number = |name: &str, default: usize| {
            let at = arguments.iter().position(|argument| argument == name);
            at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
        };
        Self {
            grants: number("--grants", 200),
            bindings: number("--bindings", 1_000),
            organizations: number("--organizations", 1_000),
        }
    }
}
