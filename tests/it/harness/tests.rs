//! The harness itself, end to end: what it starts works, and ends when it should.

use std::time::Duration;

use super::informer::Watched;
use super::{ControlPlane, Etcd, Informer, SampleApiserver, eventually};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_control_plane_knows_its_users() {
    let plane = ControlPlane::shared().await;
    for kubectl in plane.all_kubectls("alice") {
        let who = kubectl.run(["auth", "whoami", "-o", "json"]).await.ok();
        let who: serde_json::Value = serde_json::from_str(&who).expect("kubectl prints JSON");
        assert_eq!(who["status"]["userInfo"]["username"], "alice");
        assert_eq!(
            who["status"]["userInfo"]["groups"],
            serde_json::json!(["team-alice", "system:authenticated"])
        );
    }
    let refused = plane.kubectl("bob").run(["get", "namespaces"]).await.refused();
    assert!(
        refused.contains(r#"User "bob" cannot list resource "namespaces""#),
        "{refused}"
    );
    assert_eq!(plane.kubectl("admin").run(["get", "--raw", "/readyz"]).await.ok(), "ok");
    let version = plane
        .client("admin")
        .await
        .apiserver_version()
        .await
        .expect("kube-rs reaches the control plane");
    assert_eq!(version.minor, "36", "at {}", plane.server());
}

#[tokio::test]
async fn users_are_added_by_certificate_impersonation_and_token() {
    let plane = ControlPlane::shared().await;
    plane.add_user("dave", &["team-dave"]);
    plane.add_impersonated("erin", &["devs", "ops"]);
    let token = plane
        .kubectl("admin")
        .run(["create", "token", "default", "-n", "default"])
        .await
        .ok();
    plane.add_token("system:serviceaccount:default:default", token.trim());
    for (user, group) in [
        ("dave", "team-dave"),
        ("erin", "ops"),
        ("system:serviceaccount:default:default", "system:serviceaccounts"),
    ] {
        let who = plane.kubectl(user).run(["auth", "whoami"]).await.ok();
        assert!(who.contains(user) && who.contains(group), "{who}");
    }
    let path = plane.kubeconfig("dave").with_file_name("expired.kubeconfig");
    let pair = plane.ca().expired_client("dave", &[]);
    super::pki::kubeconfig(&path, plane.server(), &plane.ca().pem(), &pair, None);
    let refused = plane.kubectl("expired").run(["auth", "whoami"]).await.refused();
    assert!(
        refused.contains("logged in") || refused.contains("Unauthorized"),
        "{refused}"
    );
}

#[tokio::test]
async fn sample_apiserver() {
    let plane = ControlPlane::shared().await;
    let server = SampleApiserver::shared().await;
    let admin = plane.kubectl("admin");
    for kubectl in plane.all_kubectls("admin") {
        kubectl.run(["get", "flunders", "-A"]).await.ok();
    }
    let mut watch = admin.spawn(["get", "flunders", "-n", "default", "--watch-only", "-o", "name"]);
    let mut informers = Vec::new();
    for watch_list in [true, false] {
        let watched = Watched {
            resource: "wardle.example.com/v1alpha1/flunders",
            namespace: "default",
            watch_list,
        };
        let kubeconfig = plane.kubeconfig("admin");
        let mut informer = Informer::start(&format!("sample-{watch_list}"), &kubeconfig, watched).await;
        assert!(informer.synced(SOON).await.iter().all(|event| event.initial));
        informers.push(informer);
    }
    // kubectl says nothing when its watch stands: so it is shown changes until it has seen one.
    let flunder = |name: &str| {
        format!("apiVersion: wardle.example.com/v1alpha1\nkind: Flunder\nmetadata: {{name: {name}}}\nspec: {{}}\n")
    };
    admin
        .clone()
        .stdin(&flunder("marker"))
        .run(["create", "-f", "-"])
        .await
        .ok();
    let mut count = 0;
    let touch = async || {
        count += 1;
        let label = format!("count={count}");
        admin
            .run(["label", "flunder", "marker", "-n", "default", "--overwrite", &label])
            .await
            .ok();
        let end = tokio::time::Instant::now() + Duration::from_secs(1);
        watch.stdout.next(end).await.map(|_| ())
    };
    eventually("the watch stands", SOON, touch).await;
    admin
        .clone()
        .stdin(&flunder("first"))
        .run(["create", "-f", "-"])
        .await
        .ok();
    let seen = |line: &str| (line == "flunder.wardle.example.com/first").then_some(());
    watch.stdout.wait_for("flunder first", SOON, seen).await;
    admin.run(["delete", "flunder", "first", "-n", "default"]).await.ok();
    for informer in &mut informers {
        let added = informer
            .wait_for("ADD", SOON, |e| e.kind == "ADD" && e.name == "first")
            .await;
        let gone = informer
            .wait_for("DELETE", SOON, |e| e.kind == "DELETE" && e.name == "first")
            .await;
        assert!(gone.revision() > added.revision());
        assert_eq!(
            (added.uid, added.namespace, gone.stale),
            (gone.uid, "default".to_owned(), false)
        );
    }
    admin.run(["delete", "flunder", "marker", "-n", "default"]).await.ok();
    watch.process.signal("TERM");
    watch.process.wait(SOON).await.expect("kubectl ends at SIGTERM");
    assert_eq!(server.process().ended(), None, "{} still serves", server.url());
}

#[tokio::test]
async fn etcd_keeps_what_it_acknowledged_before_it_was_killed() {
    let etcd = Etcd::start_durable("kept").await.expect("etcd starts");
    let mut client = etcd_client::Client::connect([etcd.endpoint()], None)
        .await
        .expect("connect");
    let revision = client
        .put("k", "v", None)
        .await
        .expect("put")
        .header()
        .expect("a header")
        .revision();
    etcd.kill();
    etcd.restart().await.expect("etcd starts again");
    let mut client = etcd_client::Client::connect([etcd.endpoint()], None)
        .await
        .expect("connect");
    let got = client.get("k", None).await.expect("get");
    let kept: Vec<_> = got.kvs().iter().map(|kv| (kv.value(), kv.mod_revision())).collect();
    assert_eq!(kept, [(&b"v"[..], revision)]);
}

#[tokio::test]
async fn only_the_front_proxy_may_say_who_asks() {
    let plane = ControlPlane::shared().await;
    let server = SampleApiserver::shared().await;
    let ask = async |pair: &super::pki::Pair| {
        let client = plane.client_past_aggregator(&server.url(), pair).await;
        let request =
            http::Request::get("/apis/wardle.example.com/v1alpha1/flunders").header("X-Remote-User", "mallory");
        client
            .request_text(request.body(Vec::new()).expect("a request"))
            .await
            .expect_err("mallory may not list")
    };
    // Behind the proxy's certificate the header is believed, and mallory is refused by RBAC.
    let refused = ask(plane.front_proxy_client()).await.to_string();
    assert!(
        refused.contains(r#"User "mallory" cannot list resource "flunders""#),
        "{refused}"
    );
    // A user's own certificate names the user; the header is not read.
    let refused = ask(&plane.ca().client("carol", &[])).await.to_string();
    assert!(
        refused.contains(r#"User "carol" cannot list resource "flunders""#),
        "{refused}"
    );
}

#[tokio::test]
async fn a_private_control_plane_survives_the_death_of_its_etcd() {
    let plane = ControlPlane::start("private").await;
    let admin = plane.kubectl("admin");
    admin.run(["create", "namespace", "kept"]).await.ok();
    plane.etcd().kill();
    admin
        .run(["get", "namespace", "kept", "--request-timeout=2s"])
        .await
        .refused();
    plane.etcd().restart().await.expect("etcd starts again");
    let get = async || {
        let got = admin.run(["get", "namespace", "kept", "-o", "name"]).await;
        if got.status.success() { Ok(got.stdout) } else { Err(got) }
    };
    assert_eq!(
        eventually("the control plane recovers", SOON, get).await,
        "namespace/kept\n"
    );
}
