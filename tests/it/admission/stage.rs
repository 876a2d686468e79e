//! Where scenes are played: a control plane with our server behind it and the CustomResources in it, and webhooks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bulward::groups;
use parking_lot::Mutex;
use regex::{Captures, Regex};
use serde_json::{Value, json};

use super::credentials;
use super::scene::{CURRENT, Hook, OUR_SIDE, OURS, Part, Reach, Report, Scene, Side, Step, THEIR_SIDE, THEIRS, View};
use crate::harness::in_process::{Answer, Caller};
use crate::harness::twin::{normal, strip};
use crate::harness::webhooks::{self, Asked, Door, Script, Webhooks};
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
    pub(super) calls: Mutex<Calls>,
}

/// What is known of calls beside what is compared of each: for what is counted of them. A call is its webhook's name and the
/// operation.
#[derive(Default)]
pub(super) struct Calls {
    /// Those that were made beside the steps: by who looks whether webhooks are known, and by controllers.
    pub(super) others: BTreeSet<(String, String)>,
    /// How many more they made than we did.
    pub(super) theirs_more: BTreeMap<(String, String), usize>,
}

/// What one side had to say to a step.
struct Outcome {
    answer: Value,
    stored: Value,
}

impl Stage {
    pub(super) async fn start(alone: bool) -> Self {
        let hooks = Webhooks::start().await;
        let folder = guardian::temporary("admission");
        let credentials = credentials::configuration(folder.path(), &hooks);
        let plane = ControlPlane::start_with("admission", std::slice::from_ref(&credentials)).await;
        let policy = folder.path().join("audit-policy.yaml");
        std::fs::write(&policy, AUDIT_POLICY).expect("a file of our own");
        let policy = format!("--audit-policy-file={}", policy.display());
        let server = Bulward::start(&plane, &["--disable-admission-plugins=", &policy, &credentials]).await;
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
            calls: Mutex::default(),
        }
    }

    /// Plays a scene on both sides and notes what differs.
    pub(super) async fn play(&self, scene: Scene, report: &mut Report) {
        self.configure(&scene.hooks).await;
        report.scenes += 1;
        let names: BTreeSet<&str> = scene.steps.iter().map(|step| step.what.as_str()).collect();
        assert_eq!(names.len(), scene.steps.len(), "{}: steps of the same name", scene.name);
        for step in &scene.steps {
            let beside = self.hooks.take();
            self.calls
                .lock()
                .others
                .extend(beside.iter().map(|asked| named(&asked.hook, &asked.review)));
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
            let (asked, beside): (Vec<_>, Vec<_>) = self.hooks.take().into_iter().partition(by_us);
            self.calls
                .lock()
                .others
                .extend(beside.iter().map(|asked| named(&asked.hook, &asked.review)));
            let (asked_theirs, asked_ours): (Vec<_>, Vec<_>) = asked.into_iter().partition(of_theirs);
            let theirs_asked = reviews(&scene, asked_theirs);
            let Some(ours) = ours else {
                let hooks: Vec<&String> = theirs_asked.iter().map(|(hook, ..)| hook).collect();
                println!(
                    "{}: {}\n  {}\n  {}\n  asked {hooks:?}",
                    scene.name, step.what, theirs.answer, theirs.stored
                );
                continue;
            };
            let ours_asked = reviews(&scene, asked_ours);
            report.outcomes += 1;
            report.reviews += theirs_asked.len().max(ours_asked.len());
            let mut more: Vec<_> = theirs_asked
                .iter()
                .map(|(hook, review, _)| named(hook, review))
                .collect();
            for call in ours_asked.iter().map(|(hook, review, _)| named(hook, review)) {
                if let Some(same) = more.iter().position(|more| *more == call) {
                    more.swap_remove(same);
                }
            }
            for call in more {
                *self.calls.lock().theirs_more.entry(call).or_default() += 1;
            }
            let mut compare = |part: Part, what: &str, ours: &Value, theirs: &Value| {
                if ours != theirs {
                    let text = format!("  {what}\n    ours   {ours}\n    theirs {theirs}");
                    report.differs(scene.name, &step.what, part, text);
                }
            };
            compare(Part::Answer, "answer", &ours.answer, &theirs.answer);
            compare(Part::Stored, "stored", &ours.stored, &theirs.stored);
            let names = |asked: &[Call]| json!(asked.iter().map(|(hook, ..)| hook).collect::<Vec<_>>());
            compare(Part::Asked, "asked", &names(&ours_asked), &names(&theirs_asked));
            for ((hook, review, form), (other, their_review, their_form)) in ours_asked.iter().zip(&theirs_asked) {
                if hook == other {
                    compare(Part::Review, &format!("review of {hook}"), review, their_review);
                    compare(Part::Form, &format!("form of {hook}"), form, their_form);
                }
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
        let mut client = self.hooks.by_url(place, Door::Open);
        let stranger = |door| json!(format!("https://127.0.0.1:{}/{}", self.hooks.port(door), hook.name));
        match hook.reach {
            Reach::Url => {}
            Reach::Service => client = self.hooks.by_service(&hook.name, Door::Open),
            Reach::StrictUrl => client = self.hooks.by_url(place, Door::Strict),
            Reach::StrictService => client = self.hooks.by_service(&hook.name, Door::Strict),
            Reach::Stranger => client["url"] = stranger(Door::Open),
            Reach::StrictStranger => client["url"] = stranger(Door::Strict),
            Reach::Dead => client["url"] = json!(format!("https://localhost:{}/{}", self.dead, hook.name)),
            Reach::Untrusted => client["caBundle"] = json!(pki::encode(&self.plane.ca().pem())),
            Reach::Misnamed => {
                client = self.hooks.by_service(&hook.name, Door::Open);
                client["service"]["name"] = json!(webhooks::MISNAMED);
            }
            Reach::NoService => {
                client = self.hooks.by_service(&hook.name, Door::Open);
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
                report.differs(&scene, &step, Part::Annotations, difference);
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

/// A webhook, what it was asked, and how.
type Call = (String, Value, Value);

/// A webhook and the operation that it was asked about.
fn named(hook: &str, review: &Value) -> (String, String) {
    let operation = review["request"]["operation"].as_str().unwrap_or_default();
    (hook.to_owned(), operation.to_owned())
}

/// The namespace controller empties what is being terminated meanwhile: that is not ours to count.
fn by_us(asked: &Asked) -> bool {
    asked.review["request"]["userInfo"]["username"] == "admin"
}

fn of_theirs(asked: &Asked) -> bool {
    asked.review.to_string().contains(THEIRS)
}

/// How a call is made. Go speaks HTTP/2 with localhost alone, HTTP/1.1 with everybody else, Services included (k8s.io/apiserver
/// pkg/util/webhook/client.go); here it is HTTP/1.1 always.
fn form(asked: &Asked, by_url: bool) -> Value {
    let mut form = asked.form.clone();
    if by_url && of_theirs(asked) && form["version"] == "HTTP/2.0" {
        form["version"] = json!("HTTP/1.1");
    }
    form
}

/// What the webhooks were asked, by their names; those of one kind are asked at once. What was never answered may have been
/// given up before it arrived.
fn reviews(scene: &Scene, asked: Vec<Asked>) -> Vec<Call> {
    let hook_of = |asked: &Asked| {
        let place = |hook: &&Hook| hook.path.as_ref().unwrap_or(&hook.name) == &asked.hook;
        scene.hooks.iter().find(place)
    };
    let by_service = |asked: &Asked| {
        let reach = hook_of(asked).map(|hook| &hook.reach);
        matches!(reach, Some(Reach::Service | Reach::StrictService))
    };
    let answered = |asked: &Asked| hook_of(asked).is_none_or(|hook| !matches!(hook.script, Script::Never));
    let mut reviews: Vec<Call> = asked
        .into_iter()
        .filter(answered)
        .map(|asked| {
            let form = form(&asked, !by_service(&asked));
            let side = if of_theirs(&asked) { &THEIR_SIDE } else { &OUR_SIDE };
            let mut review = asked.review;
            strip(&mut review);
            (asked.hook, anonymous(&review, side), form)
        })
        .collect();
    // Mutating webhooks are asked one after the other, and the order of several calls of one is kept in any case.
    reviews.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    reviews
}
