//! `kubectl apply -f deploy/bulward.yaml`, as the README has it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bulward::certs;
use serde_json::{Value, json};

use super::migrate::{account, accounts, migrate, printed};
use super::rotation::judge::{ALL, Texts, judge};
use super::{SOON, cert_manager, object, organization, rotation};
use crate::harness::kubelet::Kubelet;
use crate::harness::pki::encode;
use crate::harness::{ControlPlane, eventually};

pub(super) const NAMESPACE: &str = "bulward-system";
/// Our APIServices.
pub(super) const SERVICES: [&str; 3] = [
    "v1alpha1.apiserver.bulward.io",
    "v1alpha1.bulward.io",
    "v1alpha1.storage.bulward.io",
];
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/bulward.yaml");

/// What kube-proxy and the cluster's network do: the Service leads to a pod.
async fn route(plane: &ControlPlane, kubelet: &Kubelet) {
    let admin = plane.kubectl("admin");
    let ready = async || {
        let selector = "app.kubernetes.io/name=bulward-apiserver";
        let pods = object(&admin, &["pods", "-n", NAMESPACE, "-l", selector]).await;
        let is_ready = |pod: &&Value| {
            let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
            conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        };
        let found = pods["items"].as_array().unwrap().iter().find(is_ready);
        found
            .map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
            .ok_or_else(|| pods.to_string())
    };
    let pod = eventually("an API server is ready", SOON * 2, ready).await;
    let port = kubelet.port(&pod, 6443);
    let spec = json!({"spec": {
        "type": "ExternalName", "externalName": "localhost", "clusterIP": null, "clusterIPs": null, "selector": null,
    }});
    let merge = |patch: &Value| format!("--patch={patch}");
    let service = ["patch", "service", "bulward-apiserver", "-n", NAMESPACE, "--type=merge"].map(str::to_owned);
    admin.run(service.into_iter().chain([merge(&spec)])).await.ok();
    for name in SERVICES {
        let patch = json!({"spec": {"service": {"port": port}}});
        let arguments = ["patch", "apiservice", name, "--type=merge"].map(str::to_owned);
        admin.run(arguments.into_iter().chain([merge(&patch)])).await.ok();
    }
}

pub(super) async fn secrets(plane: &ControlPlane) -> Value {
    let admin = plane.kubectl("admin");
    let list = object(&admin, &["secrets", "-n", NAMESPACE]).await;
    let data = |secret: &Value| {
        (
            secret["metadata"]["name"].as_str().unwrap().to_owned(),
            secret["data"].clone(),
        )
    };
    Value::Object(list["items"].as_array().unwrap().iter().map(data).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_manifest_installs_all_of_it() {
    let plane = ControlPlane::start("install").await;
    let admin = plane.kubectl("admin");
    let kubelet = Kubelet::start(&plane, NAMESPACE).await;
    admin.run(["apply", "-f", MANIFEST]).await.ok();
    route(&plane, &kubelet).await;
    for deployment in ["bulward-apiserver", "bulward-controller-manager", "bulward-certs"] {
        let deployment = format!("deployment/{deployment}");
        let condition = "--for=condition=available";
        admin
            .run(["wait", condition, &deployment, "-n", NAMESPACE, "--timeout=110s"])
            .await
            .ok();
    }
    admin
        .run([
            "rollout",
            "status",
            "statefulset/bulward-etcd",
            "-n",
            NAMESPACE,
            "--timeout=110s",
        ])
        .await
        .ok();
    for name in SERVICES {
        let service = format!("apiservice/{name}");
        admin
            .run(["wait", "--for=condition=available", &service, "--timeout=110s"])
            .await
            .ok();
    }

    // Everybody may make an Organization, and the controllers give it its Namespace with no more rights than they were granted.
    let made = async || {
        let body = organization("installed", &["alice"]).to_string();
        let got = plane.kubectl("alice").stdin(&body).run(["create", "-f", "-"]).await;
        if got.status.success() { Ok(()) } else { Err(got) }
    };
    eventually("alice creates an Organization", SOON, made).await;
    let alice = plane.kubectl("alice");
    alice
        .run([
            "wait",
            "--for=condition=ready",
            "organization/installed",
            "--timeout=110s",
        ])
        .await
        .ok();
    let namespace = object(&admin, &["namespace", "installed"]).await;
    assert_eq!(
        namespace["metadata"]["labels"]["bulward.io/organization"], "installed",
        "{namespace}"
    );

    // An Account's Namespace becomes the Organization's, with all that is in it.
    accounts(&plane, &[account("installed", "mig-real", &["Provider"], &["bob"])]).await;
    let handed = object(&admin, &["namespace", "mig-real"]).await;
    let output = migrate(
        &plane,
        "installed",
        &["--apply", "--adopt-namespaces", "--timeout=110s"],
    )
    .await;
    assert!(output.status.success(), "{}", printed(&output));
    let bob = plane.kubectl("bob");
    for what in ["organization/mig-real", "project/provider"] {
        let wait = [
            "wait",
            "--for=condition=ready",
            what,
            "-n",
            "mig-real",
            "--timeout=110s",
        ];
        bob.run(wait).await.ok();
    }
    let organization = object(&bob, &["organization", "mig-real"]).await;
    let adopted = object(&admin, &["namespace", "mig-real"]).await;
    assert_eq!(adopted["metadata"]["uid"], handed["metadata"]["uid"]);
    let owner = &adopted["metadata"]["labels"]["bulward.io/owner-uid"];
    assert_eq!(owner, &organization["metadata"]["uid"], "{adopted}");

    // The certificates are there once, whoever else looks after them.
    let before = secrets(&plane).await;
    for name in [
        "bulward-ca",
        "bulward-apiserver-tls",
        "bulward-apiserver-etcd",
        "bulward-etcd-tls",
    ] {
        assert!(before[name]["ca.crt"].is_string(), "{name} is not in {before}");
    }
    openssl_accepts(&before);
    assert_eq!(bootstrap(&plane, 2).await, [true, true]);
    assert_eq!(secrets(&plane).await, before);
    for name in SERVICES {
        let service = object(&admin, &["apiservice", name]).await;
        assert_eq!(service["spec"]["caBundle"], before["bulward-ca"]["ca.crt"]);
    }
    // Nobody may do more than they need.
    for (account, verb, what) in [
        ("bulward-apiserver", "get", "secrets"),
        ("bulward-controller-manager", "get", "secrets"),
        (
            "bulward-controller-manager",
            "create",
            "organizations.storage.bulward.io",
        ),
        ("bulward-certs", "list", "secrets"),
        ("bulward-certs", "get", "secrets/another"),
        ("bulward-certs", "get", "organizations.storage.bulward.io"),
    ] {
        let user = format!("--as=system:serviceaccount:{NAMESPACE}:{account}");
        let answer = admin.run(["auth", "can-i", verb, what, &user, "-n", NAMESPACE]).await;
        assert_eq!(answer.stdout.trim(), "no", "{account} may {verb} {what}: {answer}");
    }

    // What ends within thirty days is made anew, what lasts longer is kept.
    for (days, kept) in [(40, true), (20, false)] {
        let old = shortened(&before["bulward-ca"], days);
        let patch = json!({"data": {"tls.crt": encode(&old.certificate_pem), "tls.key": encode(&old.key_pem)}});
        let patch = format!("--patch={patch}");
        let secret = ["patch", "secret", "bulward-apiserver-etcd", "-n", NAMESPACE, &patch];
        admin.run(secret).await.ok();
        assert_eq!(bootstrap(&plane, 1).await, [true]);
        let now = secrets(&plane).await["bulward-apiserver-etcd"]["tls.crt"].clone();
        assert_eq!(now == encode(&old.certificate_pem), kept, "with {days} days left");
    }

    cert_manager::manifests_are_valid(&plane).await;
    // All of it takes minutes, and so do etcd's restarts at the end.
    let exchanges = rotation::exchanges();
    if exchanges > 0 {
        rotation::rotate(&plane, &kubelet, exchanges).await;
    } else {
        rotation::rotate_serving(&plane, &kubelet).await;
    }

    // Several that find nothing agree on one authority; a pod that starts later gets what they made.
    let before = secrets(&plane).await;
    admin.run(["delete", "secrets", "--all", "-n", NAMESPACE]).await.ok();
    assert_eq!(bootstrap(&plane, 3).await, [true, true, true]);
    // The Deployment may have been in the midst of its round with the old authority; the next one mends what it did.
    let agreed = async || {
        let after = secrets(&plane).await;
        let authority = &after["bulward-ca"]["ca.crt"];
        let leaves = ["bulward-apiserver-tls", "bulward-apiserver-etcd", "bulward-etcd-tls"];
        let by_it = leaves.iter().all(|name| after[name]["ca.crt"] == *authority);
        let other = authority.is_string() && *authority != before["bulward-ca"]["ca.crt"];
        if by_it && other {
            Ok(after)
        } else {
            Err(after.to_string())
        }
    };
    let after = eventually("all certificates are by one new authority", SOON * 3, agreed).await;
    openssl_accepts(&after);
    if exchanges == 0 {
        return;
    }
    // No member of etcd knew that authority: they start again together, and all is served as before.
    let served = async || {
        let annotate = [
            "annotate",
            "organization",
            "installed",
            "example.com/after=all",
            "--overwrite",
        ];
        let got = plane.kubectl("alice").run(annotate).await;
        let members = object(&admin, &["statefulset", "bulward-etcd", "-n", NAMESPACE]).await["status"].clone();
        let ready = members["readyReplicas"] == 3 && members["currentRevision"] == members["updateRevision"];
        if got.status.success() && ready {
            Ok(())
        } else {
            Err(format!("{got} {members}"))
        }
    };
    eventually("all is served under the new authority", SOON * 4, served).await;
}

/// The texts of a Secret's data.
fn texts(data: &Value) -> Texts {
    let text = |value: &Value| String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap();
    let data = data.as_object().into_iter().flatten();
    data.map(|(key, value)| (key.clone(), text(value))).collect()
}

/// OpenSSL is the judge of every chain.
fn openssl_accepts(secrets: &Value) {
    let secrets = secrets.as_object().unwrap().iter();
    let secrets = secrets.map(|(name, data)| (name.clone(), texts(data))).collect();
    assert_eq!(judge(&secrets, &ALL), Ok(8));
}

/// The API server's certificate for etcd, with so many days left.
fn shortened(authority: &Value, days: u64) -> certs::Pair {
    let texts = texts(authority);
    let text = |key: &str| texts[key].clone();
    let pair = certs::Pair {
        certificate_pem: text("ca.crt"),
        key_pem: text("ca.key"),
    };
    let authority = certs::Authority::from_pem(&pair, Path::new("ca.crt"), Path::new("ca.key")).unwrap();
    let leaf = certs::Leaf {
        not_after: SystemTime::now() + Duration::from_secs(days * 24 * 3600),
        ..certs::Leaf::client("bulward-apiserver", &[])
    };
    authority.issue(&leaf).unwrap()
}

/// Runs `bulward certs bootstrap`, several at once; whether each did what it should.
async fn bootstrap(plane: &ControlPlane, count: usize) -> Vec<bool> {
    let runs = (0..count).map(|_| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
        command
            .args(["certs", "bootstrap", "--kubeconfig"])
            .arg(plane.kubeconfig("admin"));
        tokio::task::spawn_blocking(move || command.output())
    });
    let mut done = Vec::new();
    for run in runs.collect::<Vec<_>>() {
        let output = run.await.unwrap().unwrap();
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        done.push(output.status.success());
    }
    done
}
