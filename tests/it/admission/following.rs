//! Configurations come, change and go while the server runs; and it starts where it may not read them yet.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::scene::{Hook, OUR_SIDE, THEIR_SIDE, View, organization};
use super::stage::{SOON, Stage, filled};
use crate::harness::eventually;
use crate::harness::in_process::Answer;
use crate::harness::webhooks::Script;

/// What the server may read of admission.
const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/bulward-apiserver:admission";
/// How long a write waits for what has not been read.
const PATIENCE: Duration = Duration::from_secs(10);

fn refusing(name: &str, mutating: bool, words: &str) -> Hook {
    let script = Script::deny(json!({"message": words}));
    let hook = match mutating {
        true => Hook::mutating(name, script),
        false => Hook::validating(name, script),
    };
    hook.with(json!({"objectSelector": {"matchLabels": {"followed": "yes"}}}))
}

impl Stage {
    /// Each state of a configuration is what both sides come to follow.
    pub(super) async fn follows(&self) {
        for mutating in [true, false] {
            self.remove("scene", mutating).await;
        }
        for mutating in [true, false] {
            let put = async |name: &str, hooks: &[Hook]| self.put(name, mutating, hooks).await;
            put("followed", &[refusing("first", mutating, "as it came")]).await;
            self.answers("first", "as it came").await;
            // another endpoint of the same webhook
            let moved = Hook {
                path: Some("moved".to_owned()),
                ..refusing("first", mutating, "elsewhere")
            };
            put("followed", &[moved]).await;
            self.answers("first", "elsewhere").await;
            put("followed", &[refusing("second", mutating, "renamed")]).await;
            self.answers("second", "renamed").await;
            // not about it any more, and about it again
            let other = refusing("second", mutating, "renamed").rule(&json!({"operations": ["DELETE"]}));
            put("followed", &[other]).await;
            self.allows().await;
            put("followed", &[refusing("third", mutating, "back")]).await;
            self.answers("third", "back").await;
            self.remove("followed", mutating).await;
            self.allows().await;
        }
    }

    async fn answers(&self, hook: &str, words: &str) {
        let wanted = format!("admission webhook \"{hook}.hooks.example.com\" denied the request: {words}");
        self.both(&wanted, |answer| {
            answer.code == 400 && answer.json()["message"] == wanted
        })
        .await;
    }

    async fn allows(&self) {
        self.both("nobody refuses", |answer| answer.code == 201).await;
    }

    async fn both(&self, what: &str, wanted: impl Fn(&Answer) -> bool) {
        for view in [THEIR_SIDE[0], OUR_SIDE[0]] {
            eventually(&format!("{}: {what}", view.group), SOON, async || {
                let answer = self.create_followed(view, &self.admin).await;
                if wanted(&answer) { Ok(()) } else { Err(answer.text()) }
            })
            .await;
        }
    }

    async fn create_followed(&self, view: View, by: &crate::harness::in_process::Caller) -> Answer {
        let body = filled(&organization("followed", &json!({"labels": {"followed": "yes"}})), view);
        let path = format!("/apis/{}/{}/organizations?dryRun=All", view.group, view.version);
        by.post(&path, &body).await
    }

    /// A server that may not read webhooks is not ready, reads all the same, refuses writes after a while, and goes on by itself
    /// when it may.
    pub(super) async fn starts_before_it_may_read(&self) {
        let role = self.admin.get(ROLE).await.expect(200);
        let mut less = role.clone();
        let rules = less["rules"].as_array_mut().expect("rules");
        for rule in rules.iter_mut() {
            let resources = rule["resources"].as_array_mut().expect("resources");
            resources.retain(|resource| {
                !resource
                    .as_str()
                    .is_some_and(|name| name.ends_with("webhookconfigurations"))
            });
        }
        self.replace_role(&less).await;
        let direct = self.server.caller(&self.plane, "admin", &["system:masters"]).await;
        let view = OUR_SIDE[0];
        self.server.kill();
        let meanwhile = async {
            let path = format!("/apis/{}/{}/organizations", view.group, view.version);
            // Until it listens nobody answers, and until it has read the store it asks to come again.
            let reads = async || match direct.attempt(Method::GET, &path, &[], "").await {
                Ok(answer) if answer.code == 200 => Ok(()),
                other => Err(format!("{other:?}")),
            };
            eventually("a server that is not ready answers reads", SOON, reads).await;
            let begun = tokio::time::Instant::now();
            let refused = self.create_followed(view, &direct).await;
            let message = refused.refused(403, "Forbidden")["message"].clone();
            let wanted = "organizations.storage.bulward.io \"followed\" is forbidden: not yet ready to handle request";
            assert_eq!(message, wanted);
            assert!(begun.elapsed() >= PATIENCE, "refused after {:?}", begun.elapsed());
            let ready = direct.get("/readyz?verbose").await;
            assert!(
                ready.code == 500 && ready.text().contains("[-]informer-sync failed"),
                "{}",
                ready.text()
            );
            self.replace_role(&role).await;
        };
        // Which ends when it is ready.
        tokio::join!(self.server.restart(), meanwhile);
        let answer = self.create_followed(view, &direct).await;
        assert_eq!(answer.code, 201, "{}", answer.text());
    }

    /// Policies that are not applied here are told of in the log: those that would be about something that is served, alone.
    pub(super) async fn tells_of_mutating_policies(&self) {
        let policy = |name: &str, group: &str, resource: &str| {
            json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
                "spec": {
                    "matchConstraints": {"resourceRules": [{
                        "apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE"], "resources": [resource],
                    }]},
                    "reinvocationPolicy": "Never",
                    "mutations": [{
                        "patchType": "JSONPatch",
                        "jsonPatch": {"expression": "[JSONPatch{op: \"add\", path: \"/metadata/labels/x\", value: \"y\"}]"},
                    }],
                },
            })
        };
        // A watch tells of them in this order.
        for (name, group, resource) in [
            ("about-deployments", "apps", "deployments"),
            ("about-organizations", "apiserver.bulward.io", "organizations"),
        ] {
            let path = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies";
            self.admin.post(path, &policy(name, group, resource)).await.expect(201);
        }
        let told = |name: &str| {
            let log = self.server.logged();
            let mut lines = log
                .lines()
                .filter(|line| line.contains("MutatingAdmissionPolicies are not applied"));
            lines.any(|line| line.contains(name))
        };
        eventually("the policy is told of", SOON, async || {
            if told("about-organizations") {
                Ok(())
            } else {
                Err("not yet")
            }
        })
        .await;
        assert!(!told("about-deployments"));
    }

    async fn replace_role(&self, role: &Value) {
        let mut role = role.clone();
        role["metadata"]
            .as_object_mut()
            .expect("metadata")
            .remove("resourceVersion");
        self.admin.put(ROLE, &role).await.expect(200);
    }
}
