//! Everybody who follows a resource comes to the truth again, whatever happened: client-go's informers and RetryWatcher,
//! controller-runtime's cache, kube-rs' reflectors, kubectl; in both views, as users who gain and lose objects meanwhile.
//!
//! One trouble follows the other on one control plane, with random writes through two servers in between. After each, every
//! follower must come to what a fresh list of its user says: the same names, uids, resourceVersions and labels.

mod go;
mod kube_rs;
mod kubectl;
mod picture;
mod world;

use std::path::{Path, PathBuf};

use http::Request;
use http_body_util::BodyExt;
use serde_json::json;

use self::go::{LEASE, Program, Told};
use self::kube_rs::Reflectors;
use self::kubectl::Watching;
use self::picture::{Follower, converged};
use self::world::World;
use super::{FILTERED, SOON};
use crate::harness::{Bulward, ControlPlane, Etcd, Proxy, eventually, guardian};

const FILTERED_LISTS: [&str; 2] = [
    "/apis/apiserver.bulward.io/v1alpha1/organizations",
    "/apis/apiserver.bulward.io/v1alpha1/projects",
];
const STORAGE_LISTS: [&str; 2] = [
    "/apis/storage.bulward.io/v1alpha1/organizations",
    "/apis/storage.bulward.io/v1alpha1/projects",
];
const TOLD: [Told; 3] = [
    Told {
        user: "alice",
        watch_list: true,
        group_version: "apiserver.bulward.io/v1alpha1",
        paths: FILTERED_LISTS,
    },
    Told {
        user: "bob",
        watch_list: false,
        group_version: "apiserver.bulward.io/v1alpha1",
        paths: FILTERED_LISTS,
    },
    Told {
        user: "admin",
        watch_list: true,
        group_version: "storage.bulward.io/v1alpha1",
        paths: STORAGE_LISTS,
    },
];

/// Changes that the servers keep: few, so that a test can outrun them.
const HISTORY: usize = 300;
/// The servers of [`World`].
const REGISTERED: usize = 0;
const REPLICA: usize = 1;

/// A control plane with two servers on its etcd, and followers on a line of their own.
struct Stage {
    plane: ControlPlane,
    /// What kube-apiserver forwards to.
    server: Bulward,
    _replica: Bulward,
    /// Between the followers and kube-apiserver.
    line: Proxy,
    /// Between the registered server and etcd.
    etcd_line: Proxy,
    world: World,
}

impl Stage {
    async fn new() -> Stage {
        let plane = ControlPlane::start("convergence").await;
        let etcd_line = Proxy::to(&plane.etcd().endpoint()).await;
        let history = format!("--watch-history-events={HISTORY}");
        let flags = ["--etcd-prefix=/convergence", &history];
        let through_line = format!("--etcd-servers=http://{}", etcd_line.address());
        let server = Bulward::start(&plane, &[flags[0], flags[1], &through_line]).await;
        let replica = Bulward::start(&plane, &flags).await;
        server.register(&plane).await;
        let admin = plane.ca().client("admin", &["system:masters"]);
        let mut clients = Vec::new();
        for server in [&server, &replica] {
            clients.push(plane.client_past_aggregator(&server.url(), &admin).await);
        }
        // Everybody may stand for election.
        plane
            .apply(&[
                json!({
                    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                    "metadata": {"name": "candidate", "namespace": LEASE.0},
                    "rules": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]}],
                }),
                json!({
                    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                    "metadata": {"name": "candidates", "namespace": LEASE.0},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "candidate"},
                    "subjects": super::subjects(&["alice", "bob"]),
                }),
            ])
            .await;
        let mut world = World::new(clients);
        world.populate().await;
        world.random(40, &[REGISTERED, REPLICA]).await;
        Stage {
            line: Proxy::to(plane.server()).await,
            plane,
            server,
            _replica: replica,
            etcd_line,
            world,
        }
    }

    /// Kubeconfigs that lead through the followers' line, written once: programs read them at their own time.
    fn kubeconfigs(&self, folder: &Path) -> [PathBuf; 3] {
        TOLD.map(|told| {
            let text = std::fs::read_to_string(self.plane.kubeconfig(told.user)).unwrap();
            let through_line = text.replace(self.plane.server(), &format!("https://{}", self.line.address()));
            assert_ne!(text, through_line, "the kubeconfig names the server");
            let path = folder.join(format!("{}.kubeconfig", told.user));
            std::fs::write(&path, through_line).unwrap();
            path
        })
    }

    /// What random writes may not have done: bob loses an Organization and a Project and gains others; so does alice.
    async fn membership_turns(&mut self, round: u32, server: usize) {
        let (gained, lost) = if round.is_multiple_of(2) {
            ("alice", "bob")
        } else {
            ("bob", "alice")
        };
        for place in ["organizations", "namespaces/convergence-b/projects"] {
            let names = ["first", "second"];
            for (name, member) in names.into_iter().zip([gained, lost]) {
                if round == 0 {
                    self.world.create(server, place, name, &["carol"]).await;
                }
                self.world.members(server, &format!("{place}/{name}"), &[member]).await;
            }
        }
    }
}

/// Forgets every revision of an etcd but the newest.
async fn compact(etcd: &Etcd) {
    let compacted = eventually("etcd takes the compaction", SOON, async || {
        let mut client = etcd_client::Client::connect([etcd.endpoint()], None).await?;
        let newest = client.get("newest", None).await?;
        let newest = newest.header().map_or(0, etcd_client::ResponseHeader::revision);
        client.compact(newest, None).await?;
        Ok::<_, etcd_client::Error>(newest)
    });
    assert!(compacted.await > 0);
}

/// The first event of a watch from `revision`, straight from the server.
async fn first_event(stage: &Stage, revision: u64) -> String {
    let alice = stage.plane.ca().client("alice", &[]);
    let client = stage.plane.client_past_aggregator(&stage.server.url(), &alice).await;
    let query = format!("watch=true&resourceVersion={revision}&timeoutSeconds=1");
    let request = Request::get(format!("{FILTERED}/organizations?{query}"));
    let response = client.send(request.body(Vec::new().into()).unwrap()).await.unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8_lossy(&text)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// The newest revision, as a list says it.
async fn revision(stage: &Stage) -> u64 {
    let client = stage.plane.client("alice").await;
    let list = super::get(&client, FILTERED_LISTS[0]).await.json();
    list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_comes_to_the_truth_again() {
    let mut stage = Stage::new().await;
    let folder = guardian::temporary("followers");
    let kubeconfigs = stage.kubeconfigs(folder.path());
    let mut programs = Vec::new();
    let mut reflectors = Vec::new();
    let mut followers: Vec<Follower> = Vec::new();
    for (told, kubeconfig) in TOLD.iter().zip(&kubeconfigs) {
        let program = Program::start(&format!("follow-{}", told.user), kubeconfig, told).await;
        followers.extend(program.followers(told));
        programs.push(program);
        let mut own = Reflectors::new(told.user, kubeconfig).await;
        for (kind, path) in ["Organization", "Project"].into_iter().zip(told.paths) {
            own.follow(told.group_version, kind, path);
        }
        followers.append(&mut own.followers);
        reflectors.push(own);
    }
    let mut watching = Vec::new();
    for (resource, path) in ["organizations", "projects"].into_iter().zip(FILTERED_LISTS) {
        let kubectl = Watching::start(&kubeconfigs[1], resource).await;
        followers.push(kubectl.follower(TOLD[1].user, path));
        watching.push(kubectl);
    }

    let before = converged("at the beginning", &stage.plane, &followers).await;
    let both = [REGISTERED, REPLICA];

    // While they are connected, and nothing else is wrong.
    stage.membership_turns(0, REPLICA).await;
    assert!(stage.world.random(40, &both).await > 0);
    let after = converged("after lost membership", &stage.plane, &followers).await;
    for list in before.keys() {
        assert_ne!(before[list], after[list], "{list:?} is as before");
    }

    // While they are cut off: they resume, and are told of what they have lost.
    let resumed = retry_watchers(&programs);
    stage.line.cut();
    stage.membership_turns(1, REGISTERED).await;
    assert!(stage.world.random(40, &both).await > 0);
    compact(stage.plane.etcd()).await;
    stage.line.mend();
    converged("after a compaction while they were cut off", &stage.plane, &followers).await;
    assert_eq!(
        retry_watchers(&programs),
        resumed,
        "RetryWatcher has gone on where it was"
    );

    let writing = async {
        let mut done = 0;
        while done < 40 {
            done += stage.world.random(10, &both).await;
        }
    };
    let restart = async {
        stage.server.kill();
        stage.server.restart().await;
    };
    tokio::join!(writing, restart);
    stage.membership_turns(2, REGISTERED).await;
    converged("after a restart of our server", &stage.plane, &followers).await;

    // The server itself is cut off, and must tell everybody to list again.
    stage.etcd_line.cut();
    stage.membership_turns(3, REPLICA).await;
    assert!(stage.world.random(40, &[REPLICA]).await > 0);
    compact(stage.plane.etcd()).await;
    stage.etcd_line.mend();
    let told = async || {
        let logged = stage.server.logged();
        if logged.contains("history was compacted away") {
            Ok(())
        } else {
            Err("not yet")
        }
    };
    eventually("the server has lost its place in history", SOON, told).await;
    converged(
        "after a compaction while the server was cut off",
        &stage.plane,
        &followers,
    )
    .await;

    let outrun = revision(&stage).await;
    stage.line.cut();
    stage.membership_turns(4, REPLICA).await;
    for _ in 0..=HISTORY {
        stage.world.label(REGISTERED, "organizations/always").await;
    }
    let refused = async || {
        let event = first_event(&stage, outrun).await;
        if event.contains(r#""code":410"#) {
            Ok(())
        } else {
            Err(event)
        }
    };
    eventually("the server has forgotten", SOON, refused).await;
    stage.line.mend();
    converged("after more than the server remembers", &stage.plane, &followers).await;

    let writing = async {
        let mut done = 0;
        while done < 40 {
            done += stage.world.random(10, &both).await;
        }
    };
    let restart = async {
        stage.plane.etcd().kill();
        stage.plane.etcd().restart().await.unwrap();
    };
    tokio::join!(writing, restart);
    stage.membership_turns(5, REPLICA).await;
    converged("after a restart of etcd", &stage.plane, &followers).await;

    one_leads(&stage.plane, programs).await;
}

/// How often each RetryWatcher had to be started anew.
fn retry_watchers(programs: &[Program]) -> Vec<usize> {
    let resources = ["organizations", "projects"];
    let lists = |program: &Program| resources.map(|resource| program.lists_of_retry_watcher(resource));
    programs.iter().flat_map(lists).collect()
}

/// One of the programs holds the Lease; when that one is gone, another takes it over.
async fn one_leads(plane: &ControlPlane, mut programs: Vec<Program>) {
    let first = leader(plane, &programs).await;
    drop(programs.remove(first));
    leader(plane, &programs).await;
}

async fn leader(plane: &ControlPlane, programs: &[Program]) -> usize {
    let admin = plane.kubectl("admin");
    let (namespace, name) = LEASE;
    let holder = [
        "get",
        "lease",
        "-n",
        namespace,
        name,
        "-o",
        "jsonpath={.spec.holderIdentity}",
    ];
    eventually("one leads, and holds the Lease", SOON, async || {
        let holder = admin.run(holder).await.ok();
        let leading: Vec<usize> = (0..programs.len()).filter(|at| programs[*at].leads()).collect();
        match leading[..] {
            [one] if programs[one].name == holder => Ok(one),
            _ => Err(format!("{holder} holds it, {leading:?} lead")),
        }
    })
    .await
}
