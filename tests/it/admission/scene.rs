//! A scene: webhooks, and the requests that are made while they are there.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use crate::harness::webhooks::Script;

/// Ours, in the view in which nobody is filtered.
pub(super) const OURS: &str = "storage.bulward.io";
/// The other view of ours, in which everybody sees their own.
pub(super) const FILTERED: &str = "apiserver.bulward.io";
/// The CustomResources. Their second version is what a second view is of ours: another resource of the same objects.
pub(super) const THEIRS: &str = "equals.example.com";

/// The revision of an object as it is when a step is played.
pub(super) const CURRENT: &str = "CURRENT";

const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// How a webhook is reached.
#[derive(Clone)]
pub(super) enum Reach {
    Url,
    Service,
    /// Nobody listens there.
    Dead,
    /// Its certificate is by another authority.
    Untrusted,
    /// Its certificate is for other names.
    Misnamed,
    /// The Service is not there.
    NoService,
    /// Where a certificate is demanded, for which there is a user.
    StrictUrl,
    StrictService,
    /// By an address for which there is no user, where one is demanded or not.
    StrictStranger,
    Stranger,
}

#[derive(Clone)]
pub(super) struct Hook {
    pub(super) name: String,
    /// Where it is, if not at its name.
    pub(super) path: Option<String>,
    pub(super) mutating: bool,
    pub(super) script: Script,
    pub(super) reach: Reach,
    /// What the configuration says otherwise than [`Hook::configured`].
    pub(super) fields: Value,
}

pub(super) struct Step {
    pub(super) what: String,
    pub(super) method: Method,
    /// Below the view's `/apis/<group>/<version>/`.
    pub(super) path: String,
    pub(super) media: &'static str,
    /// `VIEW` stands for the view's group and version.
    pub(super) body: Value,
    /// Whether it goes to the other view.
    pub(super) other: bool,
}

/// A group and a version.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct View {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
}

/// One of the two that are compared: its two views of the same objects.
pub(super) type Side = [View; 2];

pub(super) const OUR_SIDE: Side = [
    View {
        group: OURS,
        version: "v1alpha1",
    },
    View {
        group: FILTERED,
        version: "v1alpha1",
    },
];

pub(super) const THEIR_SIDE: Side = [
    View {
        group: THEIRS,
        version: "v1alpha1",
    },
    View {
        group: THEIRS,
        version: "v1beta1",
    },
];

pub(super) struct Scene {
    pub(super) name: &'static str,
    pub(super) hooks: Vec<Hook>,
    pub(super) steps: Vec<Step>,
}

/// What is compared of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// What is answered.
    Answer,
    /// What is there afterwards.
    Stored,
    /// Which webhooks are asked.
    Asked,
    /// What they are asked.
    Review,
    /// How they are asked.
    Form,
    /// What the audit is told.
    Annotations,
    /// What is counted; the webhook is the step.
    Metrics,
}

/// Differences that stay: what of which steps of a scene.
pub(super) struct Known {
    pub(super) scene: &'static str,
    pub(super) steps: &'static [&'static str],
    pub(super) parts: &'static [Part],
    pub(super) why: &'static str,
}

/// One part of one step that is not the same on both sides.
pub(super) struct Difference {
    pub(super) scene: String,
    pub(super) step: String,
    pub(super) part: Part,
    pub(super) text: String,
}

/// What was compared.
#[derive(Default)]
pub(super) struct Report {
    pub(super) outcomes: usize,
    pub(super) reviews: usize,
    pub(super) annotations: usize,
    pub(super) series: usize,
    pub(super) scenes: usize,
    pub(super) wrong: Vec<Difference>,
}

impl Known {
    fn covers(&self, wrong: &Difference) -> bool {
        self.scene == wrong.scene && self.steps.contains(&wrong.step.as_str()) && self.parts.contains(&wrong.part)
    }
}

impl Hook {
    pub(super) fn validating(name: impl Into<String>, script: Script) -> Self {
        Self {
            name: name.into(),
            path: None,
            mutating: false,
            script,
            reach: Reach::Url,
            fields: json!({}),
        }
    }

    pub(super) fn mutating(name: impl Into<String>, script: Script) -> Self {
        let mutating = true;
        Self {
            mutating,
            ..Self::validating(name, script)
        }
    }

    pub(super) fn reached(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// Sets fields of the webhook.
    pub(super) fn with(mut self, fields: Value) -> Self {
        for (field, value) in fields.as_object().expect("fields") {
            self.fields[field] = value.clone();
        }
        self
    }

    /// Sets fields of its only rule.
    pub(super) fn rule(self, fields: &Value) -> Self {
        let mut rule = rule();
        for (field, value) in fields.as_object().expect("fields") {
            rule[field] = value.clone();
        }
        self.with(json!({"rules": [rule]}))
    }

    /// It is asked about objects alone whose label `case` says so.
    pub(super) fn of_case(self, case: &str) -> Self {
        self.with(json!({"objectSelector": {"matchLabels": {"case": case}}}))
    }

    /// As the configuration has it.
    pub(super) fn configured(&self, client: Value) -> Value {
        let mut hook = json!({
            "name": format!("{}.hooks.example.com", self.name),
            "clientConfig": client,
            "rules": [rule()],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 30,
            // By their own label the objects are known that only show whether a configuration is there.
            "objectSelector": {"matchExpressions": [{"key": "probe", "operator": "DoesNotExist"}]},
        });
        for (field, value) in self.fields.as_object().expect("fields") {
            hook[field] = value.clone();
        }
        hook
    }
}

/// Everything that is done to our Organizations.
pub(super) fn rule() -> Value {
    json!({"apiGroups": [OURS, THEIRS], "apiVersions": ["v1alpha1"], "operations": ["*"], "resources": ["organizations"]})
}

impl Step {
    fn new(what: impl Into<String>, method: Method, path: impl Into<String>, media: &'static str, body: Value) -> Self {
        Self {
            what: what.into(),
            method,
            path: path.into(),
            media,
            body,
            other: false,
        }
    }

    /// The same, through the other view.
    pub(super) fn in_other_view(self) -> Self {
        Self {
            what: format!("{} in the other view", self.what),
            other: true,
            ..self
        }
    }

    pub(super) fn post(what: impl Into<String>, path: impl Into<String>, body: Value) -> Self {
        Self::new(what, Method::POST, path, "application/json", body)
    }

    pub(super) fn put(what: impl Into<String>, path: impl Into<String>, body: Value) -> Self {
        Self::new(what, Method::PUT, path, "application/json", body)
    }

    /// Updates what is there now: its revision is filled in.
    pub(super) fn replace(what: impl Into<String>, path: impl Into<String>, mut body: Value) -> Self {
        body["metadata"]["resourceVersion"] = json!(CURRENT);
        Self::put(what, path, body)
    }

    pub(super) fn merge(what: impl Into<String>, path: impl Into<String>, body: Value) -> Self {
        Self::new(what, Method::PATCH, path, MERGE, body)
    }

    pub(super) fn json_patch(what: impl Into<String>, path: impl Into<String>, body: Value) -> Self {
        Self::new(what, Method::PATCH, path, JSON_PATCH, body)
    }

    pub(super) fn apply(what: impl Into<String>, path: impl Into<String>, body: Value) -> Self {
        let path: String = path.into();
        let separator = if path.contains('?') { '&' } else { '?' };
        Self::new(
            what,
            Method::PATCH,
            format!("{path}{separator}fieldManager=scene&force=true"),
            APPLY,
            body,
        )
    }

    pub(super) fn delete(what: impl Into<String>, path: impl Into<String>, options: Value) -> Self {
        Self::new(what, Method::DELETE, path, "application/json", options)
    }

    pub(super) fn get(what: impl Into<String>, path: impl Into<String>) -> Self {
        Self::new(what, Method::GET, path, "application/json", Value::Null)
    }
}

/// An Organization with further metadata.
pub(super) fn organization(name: &str, metadata: &Value) -> Value {
    object("Organization", name, metadata)
}

/// A Project with further metadata.
pub(super) fn project(name: &str, metadata: &Value) -> Value {
    object("Project", name, metadata)
}

fn object(kind: &str, name: &str, more: &Value) -> Value {
    let mut metadata = json!({"name": name});
    for (field, value) in more.as_object().expect("metadata") {
        metadata[field] = value.clone();
    }
    if metadata["name"] == "" {
        metadata.as_object_mut().expect("metadata").remove("name");
    }
    let owners =
        ["ann", "admin"].map(|name| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}));
    json!({
        "apiVersion": "VIEW", "kind": kind, "metadata": metadata,
        "spec": {"owners": owners},
    })
}

impl Report {
    /// Notes what is not the same.
    pub(super) fn differs(&mut self, scene: &str, step: &str, part: Part, text: String) {
        self.wrong.push(Difference {
            scene: scene.to_owned(),
            step: step.to_owned(),
            part,
            text,
        });
    }

    pub(super) fn summary(&self, known: &[Known]) -> String {
        let why = |wrong: &Difference| known.iter().find(|known| known.covers(wrong)).map(|known| known.why);
        let steps = |all: &mut dyn Iterator<Item = &Difference>| {
            let steps: BTreeSet<(&str, &str)> = all.map(|wrong| (wrong.scene.as_str(), wrong.step.as_str())).collect();
            steps.len()
        };
        let reasons: BTreeSet<&str> = self.wrong.iter().filter_map(why).collect();
        let summary = format!(
            "admission: {} scenes, {} outcomes, {} AdmissionReviews, {} audit annotations and {} series of metrics compared; \
             {} steps differ, {} of them without a reason; there are {} reasons",
            self.scenes,
            self.outcomes,
            self.reviews,
            self.annotations,
            self.series,
            steps(&mut self.wrong.iter()),
            steps(&mut self.wrong.iter().filter(|wrong| why(wrong).is_none())),
            reasons.len(),
        );
        let lines = self.wrong.iter().map(|wrong| {
            let why = why(wrong).unwrap_or("NO REASON");
            format!(
                "{}: {} ({why})\n{:?}\n{}",
                wrong.scene, wrong.step, wrong.part, wrong.text
            )
        });
        let text: Vec<String> = [summary.clone()].into_iter().chain(lines).collect();
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/it-logs");
        std::fs::write(folder.join("admission.txt"), text.join("\n\n")).expect("the logs' folder is there");
        summary
    }

    /// Fails on what differs without a reason, on reasons that nothing needs, and on too few outcomes.
    pub(super) fn assert(&self, known: &[Known], least: Option<[usize; 4]>) {
        let unknown: Vec<String> = self
            .wrong
            .iter()
            .filter(|wrong| !known.iter().any(|known| known.covers(wrong)))
            .map(|wrong| format!("{}: {} {:?}\n{}", wrong.scene, wrong.step, wrong.part, wrong.text))
            .collect();
        assert!(unknown.is_empty(), "{} differ:\n{}", unknown.len(), unknown.join("\n"));
        let Some(least) = least else { return };
        for known in known {
            for (step, part) in known
                .steps
                .iter()
                .flat_map(|step| known.parts.iter().map(move |part| (step, part)))
            {
                let needed = |wrong: &Difference| {
                    (wrong.scene.as_str(), wrong.step.as_str(), wrong.part) == (known.scene, *step, *part)
                };
                assert!(
                    self.wrong.iter().any(needed),
                    "{part:?} does not differ in {}: {step} ({})",
                    known.scene,
                    known.why
                );
            }
        }
        let compared = [self.outcomes, self.reviews, self.annotations, self.series];
        assert!(
            compared.iter().zip(least).all(|(had, least)| *had >= least),
            "only {compared:?} compared"
        );
    }
}
