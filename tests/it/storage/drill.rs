//! What an operator does with stored data, by real processes on a real etcd: backup and restore as docs/storage.md tells
//! it, a change of keys beside a running server, and `dev`'s file.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bulward::storage::encrypted::key_name;
use bulward::storage::etcd::{Config, Etcd as Direct};
use bulward::storage::{ListRequest, Storage};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::encrypted::configuration;
use crate::harness::in_process::Caller;
use crate::harness::tenancy::{organization, organizations, project, projects, stored, user};
use crate::harness::{Bulward, ControlPlane, Etcd, eventually};

const SOON: Duration = Duration::from_secs(120);
const PREFIX: &str = "/drill";

/// `bulward storage …`, to its end.
async fn storage(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
    command.arg("storage").args(arguments).stdin(Stdio::null());
    let run = tokio::task::spawn_blocking(move || command.output());
    run.await.expect("a thread").expect("our binary")
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

async fn succeeds(arguments: &[&str]) -> String {
    let output = storage(arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    text(&output)
}

async fn fails(arguments: &[&str], code: i32) -> String {
    let output = storage(arguments).await;
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
    text(&output)
}

/// What every command and server here is told: which etcd, and which keys.
struct Flags(Vec<String>);

impl Flags {
    fn new(etcd: &Etcd, keys: &Path) -> Self {
        Self(vec![
            format!("--etcd-servers={}", etcd.endpoint()),
            format!("--etcd-prefix={PREFIX}"),
            format!("--encryption-provider-config={}", keys.display()),
        ])
    }

    fn with<'a>(&'a self, first: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
        let own = self.0.iter().map(String::as_str);
        [first].into_iter().chain(own).chain(rest.iter().copied()).collect()
    }

    async fn server(&self, plane: &ControlPlane) -> Bulward {
        let flags: Vec<&str> = self.0.iter().map(String::as_str).collect();
        Bulward::start(plane, &flags).await
    }
}

/// What callers of several kinds are shown, without what an import changes: resource versions.
async fn pictures(server: &Bulward, plane: &ControlPlane, namespace: &str) -> Vec<Value> {
    let mut pictures = Vec::new();
    let people: [(&str, &[&str]); 4] = [
        ("alice", &[]),
        ("bob", &[]),
        ("nobody-in-particular", &[]),
        ("root", &["system:masters"]),
    ];
    for (name, groups) in people {
        let caller = server.caller(plane, name, groups).await;
        let mut paths = vec![organizations(), projects(namespace)];
        if !groups.is_empty() {
            paths.extend([stored(&organizations()), stored(&projects(namespace))]);
        }
        for path in paths {
            let mut list = caller.get(&path).await.expect(200);
            strip(&mut list);
            pictures.push(json!({"caller": name, "path": path, "list": list}));
        }
    }
    pictures
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("resourceVersion");
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

fn body(kind: &str, name: &str, owners: &[&str]) -> Value {
    let owners: Vec<Value> = owners.iter().map(|name| user(name)).collect();
    json!({
        "apiVersion": "apiserver.bulward.io/v1alpha1", "kind": kind,
        "metadata": {"name": name}, "spec": {"owners": owners, "metadata": {"displayName": format!("{name} keeps this to itself"), "description": "d"}},
    })
}

/// Organizations of several people, one with a namespace and a Project in it.
async fn fill(server: &Bulward, plane: &ControlPlane, namespace: &str) {
    let alice = server.caller(plane, "alice", &[]).await;
    let bob = server.caller(plane, "bob", &[]).await;
    let root = server.caller(plane, "root", &["system:masters"]).await;
    for n in 0..12 {
        let name = format!("{namespace}-{n}");
        let (caller, owners): (&Caller, &[&str]) = match n % 3 {
            0 => (&alice, &["alice"]),
            1 => (&bob, &["bob"]),
            _ => (&alice, &["alice", "bob"]),
        };
        caller
            .post(&organizations(), &body("Organization", &name, owners))
            .await
            .expect(201);
    }
    plane
        .kubectl("admin")
        .run(["create", "namespace", namespace])
        .await
        .ok();
    let first = format!("{namespace}-0");
    let status = json!({"status": {"namespace": {"name": namespace}, "phase": "Ready"}});
    let path = format!("{}/status", stored(&organization(&first)));
    root.merge(&path, &status).await.expect(200);
    let mut web = body("Project", "web", &["alice"]);
    web["apiVersion"] = json!("storage.bulward.io/v1alpha1");
    root.post(&stored(&projects(namespace)), &web).await.expect(201);

    let members = json!({"status": {"members": [user("alice"), user("bob")]}});
    let path = format!("{}/status", stored(&project(namespace, "web")));
    root.merge(&path, &members).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_exported_is_there_after_a_loss() {
    let plane = ControlPlane::shared().await;
    let folder = TempDir::new().unwrap();
    let keys = folder.path().join("keys.yaml");
    std::fs::write(&keys, configuration(&["one"], false)).unwrap();
    let backup = folder.path().join("backup.jsonl");
    let backup = backup.to_str().unwrap();
    let namespace = "drill-restore";

    // Write.
    let etcd = Etcd::start("drill-lost").await.unwrap();
    let flags = Flags::new(&etcd, &keys);
    let server = flags.server(plane).await;
    fill(&server, plane, namespace).await;
    let before = pictures(&server, plane, namespace).await;
    let alice = server.caller(plane, "alice", &[]).await;
    let last_seen = alice.get(&organizations()).await.revision();
    let page = alice.get(&format!("{}?limit=2", organizations())).await.expect(200);
    let token = page["metadata"]["continue"].as_str().expect("more pages").to_owned();

    // Export, beside the running server, and look whether it is any good.
    let said = succeeds(&flags.with("check", &[])).await;
    assert!(
        said.contains("encrypted with the key \"one\"") && !said.contains("plain text"),
        "{said}"
    );
    let said = succeeds(&flags.with("export", &["--output", backup])).await;
    assert!(said.contains("exported"), "{said}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(backup).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        std::fs::read_to_string(backup)
            .unwrap()
            .contains("keeps this to itself")
    );
    let sealed = folder.path().join("sealed.jsonl");
    let sealed = sealed.to_str().unwrap();
    succeeds(&flags.with("export", &["--as-stored", "--output", sealed])).await;
    assert!(
        !std::fs::read_to_string(sealed)
            .unwrap()
            .contains("keeps this to itself")
    );

    // Lose: the server, and etcd with all its data.
    server.kill();
    drop(server);
    drop(etcd);

    // Import, into a new etcd, first what is refused.
    let etcd = Etcd::start("drill-new").await.unwrap();
    let flags = Flags::new(&etcd, &keys);
    let said = fails(&flags.with("export", &["--output", "/nonexistent/x"]), 1).await;
    assert!(said.contains("nothing is stored"), "{said}");
    let import = ["--revisions-since-export=2000", backup];
    succeeds(&flags.with("import", &import)).await;
    let said = fails(&flags.with("import", &import), 1).await;
    assert!(said.contains("--overwrite"), "{said}");
    succeeds(&flags.with("check", &[])).await;

    // Compare: everybody is shown what they were shown.
    let server = flags.server(plane).await;
    assert_eq!(pictures(&server, plane, namespace).await, before);

    // Clients from before are told to begin again, and go on.
    let alice = server.caller(plane, "alice", &[]).await;
    let now = alice.get(&organizations()).await.revision();
    assert!(
        now > last_seen + 2_000,
        "{now} may have been seen before, {last_seen} was"
    );
    let resumed = format!("{}?resourceVersion={last_seen}", organizations());
    let ended = alice.watch(&resumed).await.rest().await;
    assert!(ended.contains("\"code\":410"), "{ended}");
    let next = format!("{}?limit=2&continue={token}", organizations());
    alice.get(&next).await.refused(410, "Expired");
    let mut watch = alice.watch(&format!("{}?resourceVersion={now}", organizations())).await;
    let name = format!("{namespace}-after");
    alice
        .post(&organizations(), &body("Organization", &name, &["alice"]))
        .await
        .expect(201);
    watch.expect("ADDED", &name).await;
    drop(server);

    // The sealed export does the same, for those who have the keys.
    let etcd = Etcd::start("drill-sealed").await.unwrap();
    let other = folder.path().join("other.yaml");
    std::fs::write(&other, configuration(&["other"], false)).unwrap();
    let said = fails(&Flags::new(&etcd, &other).with("import", &[sealed]), 1).await;
    assert!(
        said.contains("\"one\"") && said.contains("nothing was imported"),
        "{said}"
    );
    let flags = Flags::new(&etcd, &keys);
    succeeds(&flags.with("import", &["--revisions-since-export=0", sealed])).await;
    let server = flags.server(plane).await;
    assert_eq!(pictures(&server, plane, namespace).await, before);
}

/// Every value of the etcd, with the name of the key that it is encrypted with.
async fn encrypted_with(etcd: &Etcd) -> Vec<(String, Option<String>)> {
    let config = Config {
        endpoints: vec![etcd.endpoint()],
        prefix: PREFIX.to_owned(),
        ..Config::default()
    };
    let direct = Direct::connect(config).await.expect("etcd serves");
    let page = direct.list(ListRequest::default()).await.expect("etcd serves");
    let entries = page.entries.into_iter();
    entries.map(|entry| (entry.key, key_name(&entry.value))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_change_beside_a_server_that_is_written_to() {
    let plane = ControlPlane::shared().await;
    let folder = TempDir::new().unwrap();
    let keys = folder.path().join("keys.yaml");
    let set = |names: &[&str]| {
        // As an operator or a mounted Secret does it: never half a file.
        let new = folder.path().join("new.yaml");
        std::fs::write(&new, configuration(names, false)).unwrap();
        std::fs::rename(&new, &keys).unwrap();
    };
    set(&["one"]);
    let etcd = Etcd::start("drill-keys").await.unwrap();
    let flags = Flags::new(&etcd, &keys);
    let server = flags.server(plane).await;
    let namespace = "drill-keys";
    fill(&server, plane, namespace).await;
    let alice = server.caller(plane, "alice", &[]).await;
    let first = organization(&format!("{namespace}-0"));
    let mut watch = alice
        .watch(&format!(
            "{}?resourceVersion={}",
            organizations(),
            alice.get(&organizations()).await.revision()
        ))
        .await;

    // Somebody writes all the time; what was acknowledged is counted.
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (alice, stop, path) = (alice.clone(), stop.clone(), organization(&format!("{namespace}-3")));
        tokio::spawn(async move {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                count += 1;
                let change = json!({"metadata": {"annotations": {"count": count.to_string()}}});
                alice.merge(&path, &change).await.expect(200);
            }
            count
        })
    };
    // The new key is read by everybody first, then it writes.
    set(&["one", "two"]);
    set(&["two", "one"]);
    let written_with_two = async || {
        let change = json!({"metadata": {"annotations": {"touched": "x"}}});
        alice.merge(&first, &change).await.expect(200);
        alice
            .merge(&first, &json!({"metadata": {"annotations": {"touched": null}}}))
            .await
            .expect(200);
        let all = encrypted_with(&etcd).await;
        let own = all
            .iter()
            .find(|(key, _)| *key == format!("organizations/{namespace}-0"))
            .expect("stored");
        if own.1.as_deref() == Some("two") {
            Ok(())
        } else {
            Err(format!("{own:?}"))
        }
    };
    eventually("the server writes with the new key", SOON, written_with_two).await;
    let said = succeeds(&flags.with("reencrypt", &[])).await;
    assert!(said.contains("with the key \"two\""), "{said}");
    stop.store(true, Ordering::Relaxed);
    let count: u32 = writer.await.expect("every write was acknowledged");
    assert!(count > 0);
    let all = encrypted_with(&etcd).await;
    assert!(all.iter().all(|(_, name)| name.as_deref() == Some("two")), "{all:?}");
    assert!(
        succeeds(&flags.with("reencrypt", &[]))
            .await
            .contains("0 values were written again")
    );
    let written = alice.get(&organization(&format!("{namespace}-3"))).await.expect(200);
    assert_eq!(
        written["metadata"]["annotations"]["count"],
        count.to_string(),
        "the last write is there"
    );

    // The watch went on all the time.
    let last = format!("{namespace}-last");
    alice
        .post(&organizations(), &body("Organization", &last, &["alice"]))
        .await
        .expect(201);
    loop {
        let event = watch.event().await;
        match event.kind.as_str() {
            "MODIFIED" => {}
            "ADDED" if event.key() == last => break,
            other => panic!("{other}: {}", event.object),
        }
    }

    // The old key goes; a server that is started now has everything.
    set(&["two"]);
    succeeds(&flags.with("check", &[])).await;
    server.restart().await;
    let shown = alice.get(&organizations()).await.names();
    assert_eq!(shown.len(), 9, "{shown:?}");

    // Without its key a server is not ready and says which value and which key; given it, it goes on.
    server.kill();
    set(&["three"]);
    let said = fails(&flags.with("check", &[]), 1).await;
    assert!(said.contains("organizations/") && said.contains("\"two\""), "{said}");
    let said = fails(&flags.with("export", &[]), 1).await;
    assert!(said.contains("\"two\"") && !said.contains("itself"), "{said}");
    let starting = server.restart();
    let repairing = async {
        let refused = async || {
            let log = server.logged();
            let told = log
                .lines()
                .any(|line| line.contains("key organizations/") || line.contains("key claims/"));
            if told {
                Ok(())
            } else {
                Err("nothing in the log".to_owned())
            }
        };
        eventually("the log names a value and its key", SOON, refused).await;
        set(&["three", "two"]);
    };
    tokio::join!(starting, repairing);
    assert_eq!(alice.get(&organizations()).await.names(), shown);
    let log = server.logged();
    assert!(!log.contains("keeps this to itself"), "values have no place in logs");
    for name in ["one", "two", "three"] {
        let secret = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{name:->32}"));
        assert!(
            !log.contains(&secret) && !log.contains(&format!("{name:->32}")),
            "nor have keys"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_of_one_server_is_looked_after_too() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("keys.yaml"), configuration(&["one"], true)).unwrap();
    let place = |data: &str| vec!["--storage=embedded".to_owned(), format!("--data-dir={}", at(data))];
    let run = |what: &str, data: &str, rest: &[&str]| {
        let own = [
            vec![what.to_owned()],
            place(data),
            rest.iter().map(|one| (*one).to_owned()).collect(),
        ];
        own.concat()
    };
    let succeeds = async |own: Vec<String>| succeeds(&own.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let fails = async |own: Vec<String>| fails(&own.iter().map(String::as_str).collect::<Vec<_>>(), 1).await;
    {
        let options = bulward::storage::embedded::Options::default();
        let data = bulward::storage::embedded::Embedded::open(at("data"), options)
            .await
            .unwrap();
        for n in 0..300 {
            let value = json!({"metadata": {"name": format!("o{n}"), "uid": format!("u{n}")},
                "spec": {"owners": [user("alice")]}});
            data.create(&format!("organizations/o{n}"), value.to_string().into())
                .await
                .unwrap();
        }
        // While somebody has it open there is nothing to be done.
        let said = fails(run("check", "data", &[])).await;
        assert!(said.contains("another process has it open"), "{said}");
    }
    let keys = format!("--encryption-provider-config={}", at("keys.yaml"));
    let said = succeeds(run("check", "data", &[])).await;
    assert!(
        said.contains("300 entries") && said.contains("300 are plain text"),
        "{said}"
    );
    let said = succeeds(run("reencrypt", "data", &[&keys])).await;
    assert!(said.contains("300 values were written again"), "{said}");
    let said = fails(run("export", "data", &["--output", &at("x")])).await;
    assert!(said.contains("--encryption-provider-config"), "{said}");
    succeeds(run("export", "data", &[&keys, "--output", &at("x")])).await;
    succeeds(run("compact", "data", &[&keys])).await;
    succeeds(run("import", "other", &["--revisions-since-export=10", &at("x")])).await;
    let said = succeeds(run("check", "other", &[])).await;
    assert!(
        said.contains("300 entries") && said.contains("300 are plain text"),
        "{said}"
    );
    succeeds(run("export", "other", &["--output", &at("y")])).await;
    let values = |name: &str| -> Vec<(Value, Value)> {
        let text = std::fs::read_to_string(at(name)).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| (line["key"].clone(), line["value"].clone())).collect()
    };
    assert_eq!(values("y"), values("x"));
    // A file that was touched is not imported.
    let text = std::fs::read_to_string(at("x"))
        .unwrap()
        .replacen("\"o7\"", "\"o8\"", 1);
    std::fs::write(at("z"), text).unwrap();
    let said = fails(run("import", "third", &[&at("z")])).await;
    assert!(said.contains("changed since"), "{said}");
}
