//! The same request to a CustomResource on kube-apiserver and to our library serving an equal kind: what is answered
//! must be equal but for uids, times and revisions.

mod normal;

use std::collections::BTreeMap;
use std::sync::Arc;

use bulward::rest::resource::{Access, Cell, Column, Conventions, Edge, Group, Kind, Registry, Resource, Strategy};
use bulward::wire::names::GroupVersion;
use bulward::wire::table::{AGE_DESCRIPTION, NAME_DESCRIPTION};
use bytes::Bytes;
use http::Method;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::in_process::{Answer, Caller, InProcess, Settings, memory};
use super::{ControlPlane, STARTUP, eventually};

pub(crate) use normal::{normal, strip};

/// Two servers of the same kinds.
pub(crate) struct Twin {
    pub(crate) group: String,
    /// Our library, in this process.
    pub(crate) ours: Side,
    /// kube-apiserver, the judge.
    pub(crate) theirs: Side,
    pub(crate) server: InProcess,
}

/// One of the two, with what it has said of the objects that it was asked for.
pub(crate) struct Side {
    pub(crate) caller: Caller,
    seen: Mutex<BTreeMap<&'static str, String>>,
}

/// A request. `$RV` and `$UID` stand for what the last answered object of each server has there, `$LIST` and `$CONTINUE`
/// for the revision and the token of the last list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

/// What both answered.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    pub(crate) ours: Answer,
    pub(crate) theirs: Answer,
}

struct Plain;

impl Strategy for Plain {}

/// A kind with the two columns that a CustomResource has unasked.
pub(crate) fn kind(name: &str, namespaced: bool, schema: Value) -> Kind {
    let column = |name: &str, kind, format, description: &str, cell| Column {
        name: name.to_owned(),
        kind,
        format,
        description: description.to_owned(),
        priority: 0,
        cell,
    };
    Kind {
        kind: name.to_owned(),
        singular: name.to_lowercase(),
        plural: format!("{}s", name.to_lowercase()),
        description: "A kind to compare with a CustomResource.".to_owned(),
        namespaced,
        schema,
        strategy: Arc::new(Plain),
        selectable_fields: Vec::new(),
        columns: vec![
            column("Name", "string", "name", NAME_DESCRIPTION, Cell::Name),
            column("Age", "date", "", AGE_DESCRIPTION, Cell::Age),
        ],
        edge: Edge::Unrestricted,
        conventions: Conventions::CustomResource,
    }
}

/// Serves `kinds` in one group and version, without any filter.
pub(crate) fn registry(group: &str, kinds: Vec<Kind>) -> Registry {
    let resources = kinds.into_iter().map(|kind| {
        Arc::new(Resource {
            group_version: GroupVersion::new(group, "v1"),
            stored: Arc::new(kind),
            short_names: Vec::new(),
            categories: Vec::new(),
            access: Access::Unfiltered,
            status_subresource: true,
            version: None,
            deprecation: None,
        })
    });
    Registry {
        groups: vec![Group {
            name: group.to_owned(),
            priority: 1_000,
            resources: resources.collect(),
            reviews: Vec::new(),
        }],
    }
}

/// The CustomResourceDefinition that is equal to `kind`.
pub(crate) fn definition(group: &str, kind: &Kind) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{group}", kind.plural)},
        "spec": {
            "group": group,
            "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
            "names": {"kind": kind.kind, "plural": kind.plural, "singular": kind.singular},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": kind.schema}}],
        },
    })
}

impl Twin {
    /// Defines `kinds` in `group` (a name of the test's own) on the shared control plane and serves them here.
    pub(crate) async fn new(group: &str, kinds: Vec<Kind>) -> Self {
        Self::with(group, kinds, Settings::default()).await
    }

    /// As [`Twin::new`], with settings for our side.
    pub(crate) async fn with(group: &str, kinds: Vec<Kind>, settings: Settings) -> Self {
        let plane = ControlPlane::shared().await;
        let definitions: Vec<Value> = kinds.iter().map(|kind| definition(group, kind)).collect();
        plane.apply(&definitions).await;
        let theirs = Side::new(Caller::through(plane.client("admin").await));
        let plurals: Vec<String> = kinds.iter().map(|kind| kind.plural.clone()).collect();
        let server = InProcess::serving(memory().await.storage.clone(), settings, registry(group, kinds)).await;
        for plural in plurals {
            eventually("the definitions are served", STARTUP, async || {
                let answer = theirs.caller.get(&format!("/apis/{group}/v1/{plural}")).await;
                if answer.code == 200 { Ok(()) } else { Err(answer.text()) }
            })
            .await;
        }
        Self {
            group: group.to_owned(),
            ours: Side::new(server.admin()),
            theirs,
            server,
        }
    }

    /// `/apis/<group>/v1/<rest>`.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/apis/{}/v1/{rest}", self.group)
    }

    /// Sends a request to both.
    pub(crate) async fn send(&self, ask: &Ask) -> Answers {
        let (ours, theirs) = tokio::join!(self.ours.send(ask), self.theirs.send(ask));
        Answers { ours, theirs }
    }

    /// Sends a request to both and notes in `wrong` how the answers differ.
    pub(crate) async fn compare(&self, ask: &Ask, wrong: &mut Vec<String>) -> Answers {
        let answers = self.send(ask).await;
        if let Some(difference) = answers.difference() {
            wrong.push(format!("{} {:?}\n{difference}", answers.ours.request, ask.headers));
        }
        answers
    }
}

impl Side {
    fn new(caller: Caller) -> Self {
        Self {
            caller,
            seen: Mutex::default(),
        }
    }

    /// Sends a request, with what stands for this server's own filled in.
    pub(crate) async fn send(&self, ask: &Ask) -> Answer {
        let path = self.fill(&ask.path);
        let body = match std::str::from_utf8(&ask.body) {
            Ok(text) if text.contains('$') => self.fill(text).into(),
            _ => ask.body.clone(),
        };
        let headers: Vec<(&str, &str)> = ask
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = self.caller.send(ask.method.clone(), &path, &headers, body).await;
        if answer.code < 300
            && let Ok(value) = serde_json::from_slice(&answer.body)
        {
            self.note(&value);
        }
        answer
    }

    fn note(&self, value: &Value) {
        let names = if value.get("items").is_some() {
            [("$LIST", "resourceVersion"), ("$CONTINUE", "continue")]
        } else {
            [("$RV", "resourceVersion"), ("$UID", "uid")]
        };
        let mut seen = self.seen.lock();
        for (name, field) in names {
            if let Some(text) = value["metadata"][field].as_str().filter(|text| !text.is_empty()) {
                seen.insert(name, text.to_owned());
            }
        }
    }

    fn fill(&self, text: &str) -> String {
        let seen = self.seen.lock();
        seen.iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

impl Ask {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            ..Self::default()
        }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A JSON body.
    pub(crate) fn json(method: Method, path: impl Into<String>, body: &Value) -> Self {
        Self::new(method, path).sending("application/json", body.to_string())
    }

    /// A PATCH of the type that `media` names in full.
    pub(crate) fn patch(path: impl Into<String>, media: &str, body: impl Into<Bytes>) -> Self {
        Self::new(Method::PATCH, path).sending(media, body)
    }

    #[must_use]
    pub(crate) fn sending(self, media: &str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self { body, ..self }.with("content-type", media)
    }

    #[must_use]
    pub(crate) fn accepting(self, accept: &str) -> Self {
        self.with("accept", accept)
    }

    #[must_use]
    pub(crate) fn with(mut self, header: &'static str, value: &str) -> Self {
        self.headers.push((header, value.to_owned()));
        self
    }
}

impl Answers {
    /// How the answers differ, if they do; status, the headers that mean something, and the body.
    pub(crate) fn difference(&self) -> Option<String> {
        let (ours, theirs) = (normal(&self.ours), normal(&self.theirs));
        (ours != theirs).then(|| format!("  ours   {ours}\n  theirs {theirs}"))
    }

    /// Both must have answered with this code.
    #[track_caller]
    pub(crate) fn expect(&self, code: u16) -> &Self {
        self.theirs.expect(code);
        self.ours.expect(code);
        self
    }
}

/// Fails with everything that was found.
#[track_caller]
pub(crate) fn assert_equal(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} answers differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
