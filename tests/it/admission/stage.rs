//! Where scenes are played: a control plane with our server behind it and the CustomResources in it, and webhooks.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bulward::groups;
use parking_lot::Mutex;
use regex::{Captures, Regex};
use serde_json::{Value, json};

use super::scene::{CURRENT, Hook, OUR_SIDE, OURS, Reach, Report, Scene, Side, Step, THEIR_SIDE, THEIRS, View};
use crate::harness::in_process::{Answer, Caller};
use crate::harness::twin::{normal, strip};
use crate::harness::webhooks::{self, Asked, Script, Webhooks};
use crate::harness::{Bulward, ControlPlane, STARTUP, custom_resource, eventually, guardian, pki, ports};

/// Generous: it matters only in a failure.
pub(super) const SOON: Duration = Duration::from_secs(120);

static GENERATED: LazyLock<Regex> = LazyLock::new(|| Regex::new("gen-[a-z0-9]{5}").expect("a pattern"));
/// What a program's HTTP client says of a call that failed.
static TRANSPORT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"failed to call webhook: (Post|Get) \\"[^"]*\\": (?:[^"\\]|\\.)*"#).expect("a pattern")
});

/// What Go's parsers say of an answer that they cannot read: ours says where it is wrong.
static UNREADABLE: LazyLock<Regex> = LazyLock::new(|| {
    let words = [
        "the answer is",
        "couldn't get version/kind",
        "json: ",
        "illegal base64 data",
        "error unmarshaling",
        "error converting",
        "yaml: ",
        "unexpected ",
        "invalid character",
        "unable to decode",
    ];
    let pattern = format!(r#"failed to call webhook: ({})(?:[^"\\]|\\.)*"#, words.join("|"));
    Regex::new(&pattern).expect("a pattern")
});
/// Where in Go's sources a kind is not known.
static SCHEME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#" in scheme \\"[^"]*\\""#).expect("a pattern"));

pub(super) struct Stage {
    pub(super) plane: ControlPlane,
    pub(super) server: Bulward,
    _folder: tempfile::TempDir,
    pub(super) hooks: Webhooks,
    pub(super) admin: Caller,
    alone: bool,
    number: AtomicU32,
    dead: u16,
    /// The steps that were played, with the ids of their requests.
    played: Mutex<Vec<(String, String, String)>>,
}

/// What one side had to say to a step.
struct Outcome {
    answer: Value,
    stored: Value,
}

impl Stage {
    pub(super) async fn start(alone: bool) -> Self {
        let plane = ControlPlane::start("admission").await;
        let hooks = Webhooks::start().await;
        let folder = guardian::temporary("admission");
        let policy = folder.path().join("audit-policy.yaml");
        std::fs::write(&policy, AUDIT_POLICY).expect("a file of our own");
        let policy = format!("--audit-policy-file={}", policy.display());
        let server = Bulward::start(&plane, &["--disable-admission-plugins=", &policy]).await;
        server.register(&plane).await;
        let mut kinds = groups::registry(&groups::Options::default()).kinds();
        kinds.retain(|kind| ["Organization", "Project"].contains(&kind.kind.as_str()));
        let mut objects: Vec<Value> = kinds
            .iter()
            .map(|kind| in_two_versions(custom_resource::definition(kind, OURS, THEIRS)))
            .collect();
        objects.extend(hooks.services());
        for (name, labels) in [
            ("plain", json!({})),
            ("hooked", json!({"hooks": "on"})),
            ("ending", json!({})),
        ] {
            objects
                .push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}));
        }
        objects.push(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "stays", "namespace": "ending", "finalizers": ["example.com/stays"]},
        }));
        plane.apply(&objects).await;
        let admin = Caller::through(plane.client("admin").await);
        for kind in &kinds {
            for View { group, version } in THEIR_SIDE {
                let path = format!("/apis/{group}/{version}/{}", kind.plural);
                eventually(&format!("{path} is served"), STARTUP, async || {
                    let answer = admin.get(&path).await;
                    if answer.code == 200 { Ok(()) } else { Err(answer.text()) }
                })
                .await;
            }
        }
        ending(&admin, alone).await;
        Self {
            plane,
            server,
            _folder: folder,
            hooks,
            admin,
            alone,
            number: AtomicU32::new(0),
            dead: ports::free(),
            played: Mutex::default(),
        }
    }

    /// Plays a scene on both sides and notes what differs.
    pub(super) async fn play(&self, scene: Scene, report: &mut Report) {
        self.configure(&scene.hooks).await;
        report.scenes += 1;
        for step in &scene.steps {
            let _ = self.hooks.take();
            let id = format!("{}-{}", scene.name, self.number.fetch_add(1, Ordering::Relaxed));
            self.played
                .lock()
                .push((scene.name.to_owned(), step.what.clone(), id.clone()));
            let (theirs, ours) = tokio::join!(self.send(step, &THEIR_SIDE, &id), async {
                match self.alone {
                    true => None,
                    false => Some(self.send(step, &OUR_SIDE, &id).await),
                }
            });
            let (asked_theirs, asked_ours): (Vec<_>, Vec<_>) = self
                .hooks
                .take()
                .into_iter()
                .partition(|asked| asked.review.to_string().contains(THEIRS));
            let theirs_asked = reviews(&scene, asked_theirs);
            let Some(ours) = ours else {
                let hooks: Vec<&String> = theirs_asked.iter().map(|(hook, _)| hook).collect();
                println!(
                    "{}: {}\n  {}\n  {}\n  asked {hooks:?}",
                    scene.name, step.what, theirs.answer, theirs.stored
                );
                continue;
            };
            let ours_asked = reviews(&scene, asked_ours);
            report.outcomes += 1;
            report.reviews += theirs_asked.len().max(ours_asked.len());
            let mut wrong = Vec::new();
            let mut compare = |what: &str, ours: &Value, theirs: &Value| {
                if ours != theirs {
                    wrong.push(format!("  {what}\n    ours   {ours}\n    theirs {theirs}"));
                }
            };
            compare("answer", &ours.answer, &theirs.answer);
            compare("stored", &ours.stored, &theirs.stored);
            let names = |asked: &[(String, Value)]| json!(asked.iter().map(|(hook, _)| hook).collect::<Vec<_>>());
            compare("asked", &names(&ours_asked), &names(&theirs_asked));
            for ((hook, review), (other, theirs)) in ours_asked.iter().zip(&theirs_asked) {
                if hook == other {
                    compare(&format!("review of {hook}"), review, theirs);
                }
            }
            if !wrong.is_empty() {
                report
                    .wrong
                    .push((scene.name.to_owned(), step.what.clone(), wrong.join("\n")));
            }
        }
    }

    /// Replaces all webhooks, and waits until both sides know.
    pub(super) async fn configure(&self, hooks: &[Hook]) {
        let number = self.number.fetch_add(1, Ordering::Relaxed).to_string();
        for mutating in [true, false] {
            let mut all = vec![self.probe(mutating, &number)];
            all.extend(hooks.iter().filter(|hook| hook.mutating == mutating).cloned());
            self.put("scene", mutating, &all).await;
        }
        for view in [THEIR_SIDE[0], OUR_SIDE[0]] {
            for label in ["mutating", "validating"] {
                if !(self.alone && view == OUR_SIDE[0]) {
                    self.seen(view, &format!("{label}-{number}")).await;
                }
            }
        }
    }

    /// Makes a configuration what these webhooks are.
    pub(super) async fn put(&self, name: &str, mutating: bool, hooks: &[Hook]) {
        let (kind, path) = configuration(name, mutating);
        let hooks: Vec<Value> = hooks.iter().map(|hook| self.configured(hook)).collect();
        let body = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "webhooks": hooks,
        });
        let path = format!("{path}?fieldManager=it&force=true");
        let apply = "application/apply-patch+yaml";
        let answer = self.admin.with_body(http::Method::PATCH, &path, apply, &body).await;
        assert!(answer.code < 300, "{}", answer.text());
    }

    pub(super) async fn remove(&self, name: &str, mutating: bool) {
        let (_, path) = configuration(name, mutating);
        self.admin.delete(&path).await.expect(200);
    }

    /// A webhook that refuses what carries the number of this configuration, so that it is seen to be there.
    fn probe(&self, mutating: bool, number: &str) -> Hook {
        let value = format!("{}-{number}", if mutating { "mutating" } else { "validating" });
        let selector = json!({"objectSelector": {"matchLabels": {"probe": value}}});
        let script = Script::deny(json!({"message": format!("seen {value}")}));
        let hook = match mutating {
            true => Hook::mutating(format!("probe-{value}"), script),
            false => Hook::validating(format!("probe-{value}"), script),
        };
        hook.with(selector)
    }

    async fn seen(&self, view: View, value: &str) {
        let body = super::scene::organization("probe", &json!({"labels": {"probe": value}}));
        let body = filled(&body, view);
        let View { group, version } = view;
        let path = format!("/apis/{group}/{version}/organizations?dryRun=All");
        eventually(&format!("{group} knows the webhooks {value}"), SOON, async || {
            let answer = self.admin.post(&path, &body).await;
            if answer.text().contains(&format!("seen {value}")) {
                Ok(())
            } else {
                Err(answer.text())
            }
        })
        .await;
    }

    fn configured(&self, hook: &Hook) -> Value {
        let place = hook.path.as_ref().unwrap_or(&hook.name);
        self.hooks.script(place, hook.script.clone());
        let mut client = self.hooks.by_url(place);
        match hook.reach {
            Reach::Url => {}
            Reach::Service => client = self.hooks.by_service(&hook.name),
            Reach::Dead => client["url"] = json!(format!("https://localhost:{}/{}", self.dead, hook.name)),
            Reach::Untrusted => client["caBundle"] = json!(pki::encode(&self.plane.ca().pem())),
            Reach::Misnamed => {
                client = self.hooks.by_service(&hook.name);
                client["service"]["name"] = json!(webhooks::MISNAMED);
            }
            Reach::NoService => {
                client = self.hooks.by_service(&hook.name);
                client["service"]["name"] = json!("nobody");
            }
        }
        hook.configured(client)
    }

    async fn send(&self, step: &Step, side: &Side, id: &str) -> Outcome {
        let view = side[usize::from(step.other)];
        let below = |view: View, path: &str| format!("/apis/{}/{}/{path}", view.group, view.version);
        let id = format!("{id}-{}", view.group);
        let headers = [("content-type", step.media), ("audit-id", &id)];
        let path = below(view, &step.path);
        let mut body = match &step.body {
            Value::Null => String::new(),
            body => filled(body, view).to_string(),
        };
        if body.contains(CURRENT) {
            let now = self
                .admin
                .get(path.split('?').next().unwrap_or_default())
                .await
                .revision();
            body = body.replace(CURRENT, &now.to_string());
        }
        let answer = self.admin.send(step.method.clone(), &path, &headers, body).await;
        let collection = match step.path.split_once("/projects") {
            Some((namespace, _)) => format!("{namespace}/projects"),
            None => "organizations".to_owned(),
        };
        let stored = self.admin.get(&below(side[0], &collection)).await;
        Outcome {
            answer: anonymous(&shown(&answer), side),
            stored: anonymous(&shown(&stored)["body"]["items"], side),
        }
    }

    /// Compares what both have told their audits about admission.
    pub(super) async fn compare_annotations(&self, report: &mut Report) {
        let played = std::mem::take(&mut *self.played.lock());
        if self.alone || played.is_empty() {
            return;
        }
        let logs = [
            (self.plane.audit_log(), &THEIR_SIDE),
            (self.server.audit_log(), &OUR_SIDE),
        ];
        let mut told = Vec::new();
        for (log, side) in logs {
            let (_, _, last) = played.last().expect("some");
            let what = format!("{last} is recorded in {}", log.display());
            let events = eventually(&what, SOON, async || {
                let text = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
                // a line that is still being written is no event yet
                let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                let events: HashMap<String, Value> = events
                    .filter(|event| event["stage"] == "ResponseComplete")
                    .filter_map(|event| {
                        let id = event["auditID"].as_str()?;
                        let id = side
                            .iter()
                            .find_map(|view| id.strip_suffix(&format!("-{}", view.group)))?;
                        Some((id.to_owned(), anonymous(&event["annotations"], side)))
                    })
                    .collect();
                match played.iter().find(|(_, _, id)| !events.contains_key(id)) {
                    None => Ok(events),
                    Some(missing) => Err(format!("{missing:?}")),
                }
            });
            told.push(events.await);
        }
        for (scene, step, id) in played {
            let [theirs, ours] = [&told[0][&id], &told[1][&id]].map(of_admission);
            report.annotations += theirs.len().max(ours.len());
            if theirs != ours {
                let difference = format!("  annotations\n    ours   {ours:?}\n    theirs {theirs:?}");
                report.wrong.push((scene, step, difference));
            }
        }
    }
}

/// A namespace that is being terminated for as long as something stays in it: on both sides a Project with a finalizer.
async fn ending(admin: &Caller, alone: bool) {
    let views = [THEIR_SIDE[0], OUR_SIDE[0]];
    let views = &views[..if alone { 1 } else { 2 }];
    let projects = |view: &View| format!("/apis/{}/{}/namespaces/ending/projects", view.group, view.version);
    for view in views {
        let stays = super::scene::project("stays", &json!({"finalizers": ["example.com/stays"]}));
        let path = projects(view);
        eventually(&format!("{path} takes one"), STARTUP, async || {
            let answer = admin.post(&path, &filled(&stays, *view)).await;
            if answer.code == 201 { Ok(()) } else { Err(answer.text()) }
        })
        .await;
    }
    admin.delete("/api/v1/namespaces/ending").await.expect(200);
    for view in views {
        let path = projects(view);
        eventually(&format!("{path} ends"), SOON, async || {
            let stays = admin.get(&format!("{path}/stays")).await.json();
            let more = admin
                .post(&path, &filled(&super::scene::project("more", &json!({})), *view))
                .await;
            let refused = more.code == 403 && more.text().contains("is being terminated");
            if refused && stays["metadata"]["deletionTimestamp"].is_string() {
                Ok(())
            } else {
                Err(format!("{stays} {}", more.text()))
            }
        })
        .await;
        // what the wait has made is gone by then
        eventually(&format!("{path} has one"), SOON, async || {
            let left = admin.get(&path).await.names();
            if left == ["ending/stays"] {
                Ok(())
            } else {
                Err(format!("{left:?}"))
            }
        })
        .await;
    }
}

/// The kind of a configuration, and its path.
fn configuration(name: &str, mutating: bool) -> (&'static str, String) {
    let (kind, plural) = match mutating {
        true => ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
        false => ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
    };
    (kind, format!("/apis/admissionregistration.k8s.io/v1/{plural}/{name}"))
}

/// Both record everything about the kinds that are compared.
const AUDIT_POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: ["RequestReceived"]
rules:
- level: Request
  resources: [{group: storage.bulward.io}, {group: apiserver.bulward.io}]
"#;

/// What plugins and webhooks have said. A patch is compared as JSON: who wrote it, wrote it as they like.
fn of_admission(annotations: &Value) -> BTreeMap<String, Value> {
    let all = annotations.as_object().into_iter().flatten();
    let named = all.filter(|(key, _)| key.contains("admission.k8s.io/") || key.contains("hooks.example.com/"));
    let read =
        |value: &Value| serde_json::from_str(value.as_str().unwrap_or_default()).unwrap_or_else(|_| value.clone());
    named.map(|(key, value)| (key.clone(), read(value))).collect()
}

/// The same definition, with a second version that shows the same.
fn in_two_versions(mut definition: Value) -> Value {
    let versions = definition["spec"]["versions"].as_array_mut().expect("versions");
    let mut second = versions[0].clone();
    second["name"] = json!(THEIR_SIDE[1].version);
    second["storage"] = json!(false);
    versions.push(second);
    definition
}

/// What is compared of an answer.
fn shown(answer: &Answer) -> Value {
    let all = normal(answer);
    json!({
        "code": all["code"], "body": all["body"],
        "warning": all["headers"]["warning"], "retry-after": all["headers"]["retry-after"],
    })
}

pub(super) fn filled(body: &Value, view: View) -> Value {
    let name = format!("{}/{}", view.group, view.version);
    serde_json::from_str(&body.to_string().replace("VIEW", &name)).expect("still JSON")
}

/// Without the names of groups, generated names, and what a program's HTTP client says of its failures.
fn anonymous(value: &Value, side: &Side) -> Value {
    let mut text = value.to_string();
    for (name, View { group, version }) in ["VIEW", "OTHER"].into_iter().zip(side) {
        // members are written in the order of their names
        for member in ["kind", "resource"] {
            for plural in ["Organization", "organizations", "Project", "projects"] {
                let given = format!(r#""group":"{group}","{member}":"{plural}","version":"{version}""#);
                text = text.replace(&given, &format!(r#""group":"{name}","{member}":"{plural}""#));
            }
        }
        text = text.replace(&format!("{group}/{version}"), name);
    }
    for View { group, .. } in side {
        text = text.replace(group, "GROUP");
    }
    let text = GENERATED.replace_all(&text, "gen-generated");
    let text = TRANSPORT.replace_all(&text, |found: &Captures<'_>| {
        let causes = ["context deadline exceeded", "connect: connection refused"];
        let why = causes
            .into_iter()
            .find(|cause| found[0].contains(cause))
            .unwrap_or("transport");
        format!("failed to call webhook: {why}")
    });
    let text = UNREADABLE.replace_all(&text, "failed to call webhook: unreadable");
    let text = SCHEME.replace_all(&text, "");
    serde_json::from_str(&text).expect("still JSON")
}

/// What the webhooks were asked, by their names; those of one kind are asked at once. What was never answered may have been
/// given up before it arrived. The namespace controller empties what is being terminated meanwhile: that is not ours to count.
fn reviews(scene: &Scene, asked: Vec<Asked>) -> Vec<(String, Value)> {
    let ours = |asked: &Asked| asked.review["request"]["userInfo"]["username"] == "admin";
    let answered = |asked: &Asked| {
        let hook = scene.hooks.iter().find(|hook| hook.name == asked.hook);
        hook.is_none_or(|hook| !matches!(hook.script, Script::Never))
    };
    let mut reviews: Vec<(String, Value)> = asked
        .into_iter()
        .filter(ours)
        .filter(answered)
        .map(|Asked { hook, mut review }| {
            strip(&mut review);
            let theirs = review.to_string().contains(THEIRS);
            (hook, anonymous(&review, if theirs { &THEIR_SIDE } else { &OUR_SIDE }))
        })
        .collect();
    // Mutating webhooks are asked one after the other, and the order of several calls of one is kept in any case.
    reviews.sort_by(|(one, _), (other, _)| one.cmp(other));
    reviews
}
