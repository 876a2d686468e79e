//! Start and stop of the real binary: what it says when it cannot start, how it waits, how it ends; and `bulward dev`.

use std::path::Path;
use std::process::{Command, Stdio};

use futures::StreamExt;
use http::Request;
use http_body_util::BodyExt;

use super::{FILTERED, SOON, create, get, names, organization};
use crate::harness::lines::Lines;
use crate::harness::process::{Log, Process};
use crate::harness::{Bulward, ControlPlane, Etcd, Kubectl, eventually, guardian, ports, programs};

#[tokio::test]
async fn sigterm_ends_a_running_watch_cleanly() {
    let plane = ControlPlane::shared().await;
    let server = Bulward::start(plane, &[]).await;
    let alice = plane
        .client_past_aggregator(&server.url(), &plane.ca().client("alice", &[]))
        .await;
    let request = Request::get(format!("{FILTERED}/organizations?watch=true&allowWatchBookmarks=true"));
    let response = alice.send(request.body(Vec::new().into()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body().into_data_stream();
    let first = body.next().await.unwrap().unwrap();
    assert!(first.starts_with(br#"{"type":"BOOKMARK""#), "{first:?}");
    let rest = tokio::spawn(async move {
        while let Some(frame) = body.next().await {
            frame.unwrap_or_else(|error| panic!("the watch breaks off: {error}"));
        }
    });
    let status = server.stop(SOON).await;
    assert_eq!(status.code(), Some(0), "{}", server.logged());
    rest.await.unwrap();
}

/// Whether a log of this run has this text.
fn logged_anywhere(text: &str) -> bool {
    let logs = std::fs::read_dir(programs::target().join("it-logs")).unwrap();
    let recent = |path: &Path| {
        path.metadata()
            .and_then(|data| data.modified())
            .is_ok_and(|at| at >= *STARTED)
    };
    let mut logs = logs
        .filter_map(|log| Some(log.ok()?.path()))
        .filter(|path| recent(path));
    logs.any(|path| std::fs::read_to_string(path).is_ok_and(|log| log.contains(text)))
}

/// Logs that were written before are those of an earlier run.
static STARTED: std::sync::LazyLock<std::time::SystemTime> = std::sync::LazyLock::new(std::time::SystemTime::now);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_that_is_away_is_waited_for() {
    let _ = *STARTED;
    let plane = ControlPlane::shared().await;
    let etcd = Etcd::start_durable("late").await.unwrap();
    etcd.kill();
    let flag = format!("--etcd-servers={}", etcd.endpoint());
    let flags = [flag.as_str()];
    // Its port names the etcd, so that no other log says this.
    let complaint = format!("etcd at {} cannot be reached, trying again", etcd.endpoint());
    let (server, ()) = tokio::join!(Bulward::start(plane, &flags), async {
        let said = async || {
            if logged_anywhere(&complaint) {
                Ok(())
            } else {
                Err("not yet")
            }
        };
        eventually("it says that etcd is away", SOON, said).await;
        etcd.restart().await.unwrap();
    });
    let alice = plane
        .client_past_aggregator(&server.url(), &plane.ca().client("alice", &[]))
        .await;
    let listed = async || {
        let answer = get(&alice, &format!("{FILTERED}/organizations")).await;
        if answer.code == 200 {
            Ok(())
        } else {
            Err(format!("{answer:?}"))
        }
    };
    eventually("it serves", SOON, listed).await;
}

#[test]
fn what_keeps_it_from_starting_is_one_line() {
    let folder = guardian::temporary("refusals");
    let missing = folder.path().join("nowhere").display().to_string();
    let text = folder.path().join("text");
    std::fs::write(&text, "no certificate").unwrap();
    let text = text.display().to_string();
    let kubeconfig = format!("--kubeconfig={missing}");
    let (cert, key) = (
        format!("--tls-cert-file={text}"),
        format!("--tls-private-key-file={text}"),
    );
    let etcd = "--etcd-servers=http://127.0.0.1:1";
    for (arguments, wanted) in [
        (
            vec![kubeconfig.as_str(), "--storage=embedded", "--data-dir", &missing],
            "nowhere",
        ),
        (
            vec![
                cert.as_str(),
                key.as_str(),
                "--storage=embedded",
                "--data-dir",
                &missing,
                &kubeconfig,
            ],
            "PEM certificate",
        ),
        (vec![etcd, "--etcd-prefix="], "--etcd-prefix"),
        (vec![etcd, "--etcd-prefix=/registry"], "--etcd-prefix"),
        (vec![etcd, "--etcd-prefix=/registry/mine"], "--etcd-prefix"),
        (vec![etcd, "--etcd-prefix=/"], "--etcd-prefix"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
        let port = format!("--secure-port={}", ports::free());
        command
            .args(["apiserver", &port, "--bind-address=127.0.0.1"])
            .args(&arguments);
        let output = command.env_clear().current_dir(folder.path()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        let last = error.lines().last().unwrap_or_default();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(
            last.starts_with("bulward: ") && last.contains(wanted),
            "{arguments:?}: {error}"
        );
    }
}

/// A running `bulward dev`, and what it printed.
fn dev(folder: &Path) -> (Process, Lines) {
    let log = Log::create("dev");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
    command.args(["dev", "--secure-port=0", "--data-dir"]).arg(folder);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log.appender());
    let process = Process::spawn_as_set("dev", &mut command, &log);
    let lines = Lines::of("dev", process.take_stdout());
    (process, lines)
}

/// The README's first command: no cluster, plain kubectl, and a restart keeps all.
#[tokio::test]
async fn dev_works_with_plain_kubectl() {
    let folder = guardian::temporary("dev");
    let kubectl = programs::find("kubectl").await.unwrap();
    let user = |name: &str| Kubectl::new(&kubectl, &folder.path().join(format!("{name}.kubeconfig")));
    for start in 0..2 {
        let (process, mut lines) = dev(folder.path());
        lines
            .wait_for("the last line of its greeting", SOON, |line| {
                line.contains("Ctrl-C").then_some(())
            })
            .await;
        let (alice, bob, admin) = (user("alice"), user("bob"), user("admin"));
        let own = if start == 0 {
            vec!["acme", "shared"]
        } else {
            vec!["acme", "mine", "shared"]
        };
        assert_eq!(names(&alice, &["organizations"]).await, own);
        assert_eq!(names(&bob, &["organizations"]).await, ["globex", "shared"]);
        let refused = alice.run(["get", "organizations.storage.bulward.io"]).await.refused();
        assert!(refused.contains("Forbidden"), "{refused}");
        let all = names(&admin, &["organizations.storage.bulward.io"]).await;
        assert_eq!(all.len(), 3 + start, "the sample is made once: {all:?}");
        if start == 0 {
            let body = organization("mine", &["alice"]).to_string();
            alice.clone().stdin(&body).run(["create", "-f", "-"]).await.ok();
        }
        process.signal("TERM");
        assert_eq!(process.wait(SOON).await.unwrap().code(), Some(0));
    }
}

#[tokio::test]
async fn metrics_are_for_those_who_may() {
    let (plane, server) = Bulward::shared().await;
    create(plane, "alice", &organization("counted", &["alice"])).await;
    let pair = |user: &str, groups: &[&str]| plane.ca().client(user, groups);
    let alice = plane.client_past_aggregator(&server.url(), &pair("alice", &[])).await;
    assert_eq!(get(&alice, "/metrics").await.code, 403);
    let admin = plane
        .client_past_aggregator(&server.url(), &pair("admin", &["system:masters"]))
        .await;
    let metrics = get(&admin, "/metrics").await;
    assert_eq!(metrics.code, 200);
    for wanted in [
        "apiserver_request_total{code=\"201\",component=\"apiserver\"",
        "apiserver_storage_objects{resource=\"organizations.storage.bulward.io\"}",
        "process_resident_memory_bytes",
        "bulward_watchcache_revision",
        "bulward_visibility_subjects",
    ] {
        assert!(metrics.text.contains(wanted), "{wanted} is not in:\n{}", metrics.text);
    }
    assert!(!metrics.text.contains("counted"), "no names of objects");
}
