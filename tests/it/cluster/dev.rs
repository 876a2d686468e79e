//! `bulward dev` with plain kubectl: what people do with namespaces and roles on a cluster works without one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{binding, role, user};
use crate::harness::lines::Lines;
use crate::harness::process::{Log, Process};
use crate::harness::{Kubectl, eventually, guardian, programs};

const SOON: Duration = Duration::from_secs(120);

/// A `bulward dev` that has greeted.
struct Dev {
    folder: tempfile::TempDir,
    _process: Process,
    _lines: Lines,
}

impl Dev {
    async fn start(name: &str) -> Self {
        let folder = guardian::temporary(name);
        let log = Log::create(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
        command
            .args(["dev", "--secure-port=0", "--data-dir"])
            .arg(folder.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.appender());
        let process = Process::spawn_as_set(name, &mut command, &log);
        let mut lines = Lines::of(name, process.take_stdout());
        let last = |line: &str| line.contains("Ctrl-C").then_some(());
        lines.wait_for("the last line of its greeting", SOON, last).await;
        Self {
            folder,
            _process: process,
            _lines: lines,
        }
    }

    fn kubectl(&self, program: &Path, user: &str) -> Kubectl {
        Kubectl::new(program, &self.folder.path().join(format!("{user}.kubeconfig")))
    }
}

/// The control plane's own kubectl and the one on `PATH`, with a word for each.
async fn kubectls() -> Vec<(&'static str, PathBuf)> {
    let own = programs::find("kubectl").await.unwrap();
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let other = std::env::split_paths(&folders)
        .map(|folder| folder.join("kubectl"))
        .find(|path| path.is_file());
    [("own", own)]
        .into_iter()
        .chain(other.map(|path| ("other", path)))
        .collect()
}

/// The promise of the README: whoever is bound in an organization's namespace sees the organization, live.
#[tokio::test]
async fn a_rolebinding_shows_the_organization_to_the_new_member() {
    let dev = Dev::start("dev-members").await;
    for (word, program) in kubectls().await {
        let [admin, alice, bob] = ["admin", "alice", "bob"].map(|user| dev.kubectl(&program, user));
        let namespace = json_of(&admin, &["get", "namespace", "acme"]).await;
        assert_eq!(
            namespace["metadata"]["labels"]["bulward.io/organization"], "acme",
            "{namespace}"
        );
        let mut watch = bob.spawn([
            "get",
            "organizations",
            "--watch",
            "--no-headers",
            "--output-watch-events",
        ]);
        // what bob sees from the start, so that the watch is known to run
        let of = |event: &'static str, name: &'static str| {
            move |line: &str| {
                let mut words = line.split_whitespace();
                (words.next() == Some(event) && words.next() == Some(name)).then_some(())
            }
        };
        watch.stdout.wait_for("bob's own", SOON, of("ADDED", "globex")).await;
        assert!(!watch.stdout.seen().iter().any(|line| line.contains("acme")), "not yet");
        let name = format!("bob-{word}");
        let bind = [
            "create",
            "rolebinding",
            &name,
            "--role=project-admin",
            "--user=bob",
            "--namespace=acme",
        ];
        alice.run(bind).await.ok();
        watch.stdout.wait_for("acme to appear", SOON, of("ADDED", "acme")).await;
        let shown = json_of(&bob, &["get", "organization", "acme"]).await;
        let members = shown["status"]["members"].as_array();
        assert!(members.is_some_and(|members| members.contains(&user("bob"))), "{shown}");
        alice
            .run(["delete", "rolebinding", &name, "--namespace=acme"])
            .await
            .ok();
        watch.stdout.wait_for("acme to go", SOON, of("DELETED", "acme")).await;
        let refused = bob.run(["get", "organization", "acme"]).await.refused();
        assert!(refused.contains("NotFound"), "{refused}");
    }
    // An organization goes with its namespace and everything in it.
    let (_, program) = kubectls().await.remove(0);
    let (admin, alice) = (dev.kubectl(&program, "admin"), dev.kubectl(&program, "alice"));
    alice.run(["delete", "organization", "acme"]).await.ok();
    let gone = admin.run(["get", "namespace", "acme"]).await.refused();
    assert!(gone.contains("NotFound"), "{gone}");
}

async fn json_of(kubectl: &Kubectl, args: &[&str]) -> Value {
    let args = [args, &["-o", "json"]].concat();
    serde_json::from_str(&kubectl.run(args).await.ok()).unwrap()
}

#[tokio::test]
async fn kubectl_works_on_namespaces_and_roles() {
    let dev = Dev::start("dev-roles").await;
    for (word, program) in kubectls().await {
        let (admin, bob) = (dev.kubectl(&program, "admin"), dev.kubectl(&program, "bob"));
        let place = format!("sea-{word}");
        let ns = format!("--namespace={place}");
        let run = async |args: &[&str]| admin.run(args).await.ok();
        run(&["create", "namespace", &place]).await;
        run(&["create", "role", "look", "--verb=get,list", "--resource=events", &ns]).await;
        run(&[
            "create",
            "rolebinding",
            "bob",
            "--role=look",
            "--user=bob",
            "--serviceaccount=x:robot",
            &ns,
        ])
        .await;
        let wide = format!("wide-{word}");
        run(&[
            "create",
            "clusterrole",
            &wide,
            "--verb=get",
            "--non-resource-url=/metrics",
        ])
        .await;
        run(&[
            "create",
            "clusterrolebinding",
            &wide,
            &format!("--clusterrole={wide}"),
            "--group=devs",
        ])
        .await;
        let bound = json_of(&admin, &["get", "rolebinding", "bob", &ns]).await;
        assert_eq!(bound["roleRef"]["name"], "look");
        assert_eq!(bound["subjects"][0], user("bob"));

        // who may do what
        eventually("bob's right", SOON, async || {
            let asked = bob.run(["auth", "can-i", "list", "events", &ns]).await;
            if asked.stdout.trim() == "yes" {
                Ok(())
            } else {
                Err(asked)
            }
        })
        .await;
        assert_eq!(
            bob.run(["auth", "can-i", "delete", "events", &ns]).await.stdout.trim(),
            "no"
        );
        let list = bob.run(["auth", "can-i", "--list", &ns]).await.ok();
        assert!(
            list.lines()
                .any(|line| line.starts_with("events") && line.contains("[get list]")),
            "{list}"
        );
        let whoami = json_of(&bob, &["auth", "whoami"]).await;
        assert_eq!(whoami["status"]["userInfo"]["username"], "bob");
        bob.run(["get", "events", &ns]).await.ok();
        let refused = bob.run(["get", "roles", &ns]).await.refused();
        assert!(refused.contains("Forbidden"), "{refused}");

        // changes of every kind
        run(&["label", "rolebinding", "bob", "a=b", &ns]).await;
        run(&["annotate", "namespace", &place, "a=b"]).await;
        let add = r#"{"metadata":{"labels":{"c":"d"}}}"#;
        run(&["patch", "role", "look", "-p", add, &ns]).await;
        run(&["set", "subject", "rolebinding", "bob", "--user=carol", &ns]).await;
        admin
            .clone()
            .env("KUBE_EDITOR", "sed -i s/carol/dave/")
            .run(["edit", "rolebinding", "bob", &ns])
            .await
            .ok();
        let bound = json_of(&admin, &["get", "rolebinding", "bob", &ns]).await;
        assert_eq!(bound["metadata"]["labels"], json!({"a": "b"}));
        let names: Vec<&Value> = bound["subjects"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["name"])
            .collect();
        assert!(
            names.contains(&&json!("dave")) && !names.contains(&&json!("carol")),
            "{names:?}"
        );

        // apply, again with a change, and as the server does it
        let applied = |verbs: Value| {
            role(
                "Role",
                "applied",
                json!([{"verbs": verbs, "apiGroups": [""], "resources": ["events"]}]),
            )
            .to_string()
        };
        for (verbs, said) in [
            (json!(["get"]), "created"),
            (json!(["get"]), "unchanged"),
            (json!(["get", "list"]), "configured"),
        ] {
            let out = admin
                .clone()
                .stdin(&applied(verbs))
                .run(["apply", "-f", "-", &ns])
                .await
                .ok();
            assert!(out.contains(said), "{out}");
        }
        let text = binding("RoleBinding", "served", ("Role", "applied"), json!([user("x")])).to_string();
        let server_side = admin.clone().stdin(&text);
        server_side.run(["apply", "--server-side", "-f", "-", &ns]).await.ok();
        let mut more = role(
            "Role",
            "look",
            json!([{"verbs": ["watch"], "apiGroups": [""], "resources": ["events"]}]),
        );
        more["metadata"]["namespace"] = json!(place);
        admin
            .clone()
            .stdin(&more.to_string())
            .run(["auth", "reconcile", "-f", "-"])
            .await
            .ok();
        let look = json_of(&admin, &["get", "role", "look", &ns]).await;
        assert_eq!(look["rules"].as_array().map(Vec::len), Some(2), "{look}");

        // what people read
        for (args, wanted) in [
            (vec!["get", "ns"], "Active"),
            (vec!["get", "rolebindings", "-o", "wide", &ns], "Role/look"),
            (vec!["describe", "rolebinding", "bob", &ns], "ServiceAccount"),
            (vec!["describe", "ns", &place], "Active"),
            (vec!["explain", "rolebinding.roleRef"], "cannot be changed"),
            (
                vec!["api-resources", "--api-group=rbac.authorization.k8s.io"],
                "clusterrolebindings",
            ),
            (vec!["api-resources", "--api-group="], "namespaces"),
            (vec!["get", "clusterrole", "cluster-admin"], "CREATED AT"),
        ] {
            let out = run(&args).await;
            assert!(out.contains(wanted), "{args:?}: {out}");
        }

        // and all of it goes
        run(&["delete", "clusterrolebinding,clusterrole", &wide]).await;
        run(&["delete", "rolebinding", "served", &ns]).await;
        run(&["delete", "namespace", &place]).await;
        let gone = admin.run(["get", "namespace", &place]).await.refused();
        assert!(gone.contains("NotFound"), "{gone}");
        let rest = run(&["get", "roles,rolebindings", &ns]).await;
        assert_eq!(rest, "", "nothing is left in a namespace that is gone");
    }
}
