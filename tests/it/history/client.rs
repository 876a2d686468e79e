//! A caller at one replica, whose every request and event is recorded.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::print;
use super::record::{
    Ask, Found, Key, Kind, List, Listed, Look, Outcome, Query, Revision, Seen, Shape, Tick, Verb, Write,
};
use super::recorder::Recorder;
use crate::harness::in_process::{Answer, Caller};
use crate::harness::tenancy;

const JSON: &str = "application/json";
pub(crate) const MERGE: &str = "application/merge-patch+json";

/// One caller at one replica.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) recorder: Arc<Recorder>,
    pub(super) who: usize,
    pub(super) replica: usize,
    pub(super) caller: Caller,
}

/// What a list means to whoever goes on from it.
pub(crate) struct Answered {
    pub(crate) revision: Option<Revision>,
    /// How to go on, and after which name.
    pub(crate) next: Option<(String, Arc<str>)>,
}

/// How a list is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) ask: Ask,
    pub(crate) limit: usize,
    pub(crate) shape: Shape,
    /// The token that belongs to [`Ask::Continue`].
    pub(crate) token: Option<String>,
}

impl Client {
    /// A caller of [`Recorder::who`] at a replica.
    pub(crate) fn new(recorder: &Arc<Recorder>, who: usize, replica: usize, caller: Caller) -> Self {
        Self {
            recorder: recorder.clone(),
            who,
            replica,
            caller,
        }
    }

    /// Sends a list; nothing if there is no answer that counts.
    pub(crate) async fn list(&self, query: &Query, asking: Asking) -> Option<Answered> {
        let mut path = format!("{}?{}", self.collection(query), query.text());
        match &asking.ask {
            Ask::Latest => {}
            Ask::Any => path.push_str("&resourceVersion=0"),
            Ask::NotOlderThan(revision) => {
                path.push_str(&format!(
                    "&resourceVersion={revision}&resourceVersionMatch=NotOlderThan"
                ));
            }
            Ask::Exact(revision) => {
                path.push_str(&format!("&resourceVersion={revision}&resourceVersionMatch=Exact"));
            }
            Ask::Continue { .. } => {
                path.push_str(&format!("&continue={}", asking.token.as_deref().unwrap_or_default()))
            }
        }
        if asking.limit > 0 {
            path.push_str(&format!("&limit={}", asking.limit));
        }
        let began = self.recorder.tick();
        let answer = self
            .send(Method::GET, &path, &accept(asking.shape, true), Bytes::new())
            .await?;
        let ended = self.recorder.tick();
        let (listed, answered) = match answer.code {
            200 => self.page(query, asking.shape, &answer),
            410 => {
                let upper = self.recorder.upper().await;
                let after = match &asking.ask {
                    Ask::Continue { after, .. } => after.clone(),
                    _ => "".into(),
                };
                let token = answer.json()["metadata"]["continue"].as_str().map(str::to_owned);
                let answered = Answered {
                    revision: None,
                    next: token.map(|token| (token, after)),
                };
                (Listed::Expired { upper }, answered)
            }
            _ => panic!("{}: {} {}", answer.request, answer.code, answer.text()),
        };
        self.recorder.list(List {
            who: self.who,
            replica: self.replica,
            query: query.clone(),
            shape: asking.shape,
            ask: asking.ask,
            limit: asking.limit,
            began,
            ended,
            listed,
        });
        Some(answered)
    }

    fn page(&self, query: &Query, shape: Shape, answer: &Answer) -> (Listed, Answered) {
        let mut list = answer.json();
        let mut parts = |field: &str| match list[field].take() {
            Value::Array(parts) => parts,
            _ => Vec::new(),
        };
        let (rows, items) = (parts("rows"), parts("items"));
        let revision = number(&list["metadata"]["resourceVersion"]).unwrap_or_default();
        let token = list["metadata"]["continue"].as_str().filter(|token| !token.is_empty());
        let items: Vec<Seen> = match shape {
            Shape::Table => {
                let columns = columns(&list);
                rows.into_iter()
                    .map(|row| self.row(query.kind, row, &columns, None))
                    .collect()
            }
            _ => items
                .into_iter()
                .map(|item| self.seen(query.kind, item, shape))
                .collect(),
        };
        let last = items.last().map(|item| item.key.name.clone());
        let answered = Answered {
            revision: Some(revision),
            next: token.map(|token| (token.to_owned(), last.unwrap_or_else(|| "".into()))),
        };
        let remaining = list["metadata"]["remainingItemCount"].as_u64();
        let listed = Listed::Page {
            revision,
            items,
            remaining: remaining.and_then(|count| usize::try_from(count).ok()),
            more: token.is_some(),
        };
        (listed, answered)
    }

    /// Reads one object; answers it if it was there.
    pub(crate) async fn get(&self, key: &Key) -> Option<Value> {
        let began = self.recorder.tick();
        let answer = self
            .send(
                Method::GET,
                &self.path(key),
                &accept(Shape::Object, false),
                Bytes::new(),
            )
            .await?;
        let (found, object) = match answer.code {
            200 => {
                let object = answer.json();
                let seen = self.seen(key.kind, object.clone(), Shape::Object);
                (Found::Here(seen), Some(object))
            }
            404 => (Found::Absent, None),
            _ => panic!("{}: {} {}", answer.request, answer.code, answer.text()),
        };
        self.look(key, began, found).await;
        object
    }

    async fn look(&self, key: &Key, began: Tick, found: Found) {
        let upper = self.recorder.upper().await;
        self.recorder.look(Look {
            who: self.who,
            replica: self.replica,
            key: key.clone(),
            shape: Shape::Object,
            began,
            upper,
            found,
        });
    }

    /// Creates an object, whose body is one of the filtered view.
    pub(crate) async fn create(&self, key: &Key, body: Value) -> Outcome {
        let (namespace, _) = key.split();
        let collection = self.place(key.kind, namespace);
        let body = self.of_view(body);
        self.write(Verb::Create, key, None, (Method::POST, &collection, JSON), body)
            .await
    }

    /// Replaces an object at the version that its body has.
    pub(crate) async fn replace(&self, key: &Key, body: Value) -> Outcome {
        let replaces = number(&body["metadata"]["resourceVersion"]);
        let body = self.of_view(body);
        let request = (Method::PUT, &*self.path(key), JSON);
        self.write(Verb::Update, key, replaces, request, body).await
    }

    /// Merges into an object; a resourceVersion in the change is a precondition.
    pub(crate) async fn merge(&self, key: &Key, change: Value) -> Outcome {
        let replaces = number(&change["metadata"]["resourceVersion"]);
        let request = (Method::PATCH, &*self.path(key), MERGE);
        self.write(Verb::Update, key, replaces, request, change).await
    }

    /// Merges into the status, in the storage view.
    pub(crate) async fn status(&self, key: &Key, status: Value) -> Outcome {
        let path = format!("{}/status", self.path(key));
        let body = json!({"status": status});
        self.write(Verb::Update, key, None, (Method::PATCH, &path, MERGE), body)
            .await
    }

    /// Deletes an object, if it is still at this version.
    pub(crate) async fn delete(&self, key: &Key, replaces: Option<Revision>) -> Outcome {
        let options = match replaces {
            Some(revision) => json!({"preconditions": {"resourceVersion": revision.to_string()}}),
            None => json!({}),
        };
        let request = (Method::DELETE, &*self.path(key), JSON);
        self.write(Verb::Delete, key, replaces, request, options).await
    }

    /// Deletes what is selected; one write for each object that the answer names.
    pub(crate) async fn delete_collection(&self, query: &Query) {
        let path = format!("{}?{}", self.collection(query), query.text());
        let began = self.recorder.tick();
        let answer = self
            .send(Method::DELETE, &path, &[("accept", JSON.to_owned())], Bytes::new())
            .await;
        let ended = self.recorder.tick();
        let write = |key, outcome| Write {
            who: self.who,
            replica: self.replica,
            verb: Verb::DeleteCollection,
            key,
            collection: Some(query.clone()),
            replaces: None,
            began,
            ended,
            outcome,
        };
        match answer {
            Some(answer) if answer.code == 200 => {
                let list = answer.json();
                for item in list["items"].as_array().into_iter().flatten() {
                    let uid = item["metadata"]["uid"].as_str().unwrap_or_default().into();
                    self.recorder
                        .write(write(Some(self.key(query.kind, item)), Outcome::Gone(uid)));
                }
            }
            // Anything else is said before the first object is deleted; a conflict may come on the way.
            Some(answer) if answer.code != 409 => self.recorder.write(write(None, Outcome::Refused(answer.code))),
            _ => self.recorder.write(write(None, Outcome::Unknown)),
        }
    }

    async fn write(
        &self,
        verb: Verb,
        key: &Key,
        replaces: Option<Revision>,
        (method, path, media): (Method, &str, &str),
        body: Value,
    ) -> Outcome {
        let began = self.recorder.tick();
        let headers = [("content-type", media.to_owned()), ("accept", JSON.to_owned())];
        let answer = self.send(method, path, &headers, body.to_string().into()).await;
        let ended = self.recorder.tick();
        let outcome = match &answer {
            None => Outcome::Unknown,
            Some(answer) if answer.code < 300 => self.stored(key.kind, answer.json()),
            Some(answer) => Outcome::Refused(answer.code),
        };
        self.recorder.write(Write {
            who: self.who,
            replica: self.replica,
            verb,
            key: Some(key.clone()),
            collection: None,
            replaces,
            began,
            ended,
            outcome: outcome.clone(),
        });
        // A refusal tells of the object what a read tells.
        match (&outcome, verb) {
            (Outcome::Refused(404), Verb::Update | Verb::Delete) => self.look(key, began, Found::Absent).await,
            (Outcome::Refused(403), Verb::Update | Verb::Delete) => self.look(key, began, Found::NotOwned).await,
            _ => {}
        }
        outcome
    }

    fn stored(&self, kind: Kind, answer: Value) -> Outcome {
        if answer["kind"] == "Status" {
            return Outcome::Gone(answer["details"]["uid"].as_str().unwrap_or_default().into());
        }
        let metadata = &answer["metadata"];
        let finalizers = metadata["finalizers"].as_array().is_some_and(|list| !list.is_empty());
        if metadata["deletionTimestamp"].is_string() && !finalizers {
            return Outcome::Gone(metadata["uid"].as_str().unwrap_or_default().into());
        }
        Outcome::Stored(self.seen(kind, answer, Shape::Object))
    }

    /// Nothing for no answer, or one that says that the server cannot answer now.
    async fn send(&self, method: Method, path: &str, headers: &[(&str, String)], body: Bytes) -> Option<Answer> {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let exchange = self.caller.attempt(method, path, &headers, body);
        let answer = tokio::time::timeout(self.recorder.patience, exchange).await;
        let answer = answer.ok().and_then(Result::ok);
        let answer = answer.filter(|answer| answer.code != StatusCode::TOO_MANY_REQUESTS && answer.code < 500);
        if answer.is_none() {
            self.recorder.no_answer();
        }
        answer
    }

    pub(super) fn seen(&self, kind: Kind, object: Value, shape: Shape) -> Seen {
        let key = self.key(kind, &object);
        let revision = number(&object["metadata"]["resourceVersion"]).unwrap_or_default();
        let print = match shape {
            Shape::Object => print::object(object),
            _ => print::metadata(object),
        };
        Seen {
            key,
            revision,
            print,
            role: None,
        }
    }

    /// A row of a table; `revision` stands instead of its object's own.
    pub(super) fn row(&self, kind: Kind, mut row: Value, columns: &[String], revision: Option<Revision>) -> Seen {
        let cells = row["cells"].as_array().cloned().unwrap_or_default();
        let role = columns.iter().position(|column| column == "Role");
        let role = role.and_then(|at| cells.get(at)?.as_str().map(|role| self.recorder.intern(role)));
        let compared = columns.iter().zip(cells).filter(|(column, _)| print::compared(column));
        let compared: Vec<Value> = compared.map(|(_, cell)| cell).collect();
        let object = row["object"].take();
        let own = number(&object["metadata"]["resourceVersion"]);
        Seen {
            key: self.key(kind, &object),
            revision: revision.or(own).unwrap_or_default(),
            print: print::row(&compared, object),
            role,
        }
    }

    fn key(&self, kind: Kind, object: &Value) -> Key {
        let name = self.recorder.intern(&crate::harness::in_process::key(object));
        Key { kind, name }
    }

    pub(super) fn collection(&self, query: &Query) -> String {
        self.place(query.kind, query.namespace.as_deref().unwrap_or_default())
    }

    fn place(&self, kind: Kind, namespace: &str) -> String {
        self.viewed(match (kind, namespace) {
            (Kind::Organizations, _) => tenancy::organizations(),
            (Kind::Projects, "") => tenancy::all_projects(),
            (Kind::Projects, namespace) => tenancy::projects(namespace),
        })
    }

    fn path(&self, key: &Key) -> String {
        let (namespace, name) = key.split();
        self.viewed(match key.kind {
            Kind::Organizations => tenancy::organization(name),
            Kind::Projects => tenancy::project(namespace, name),
        })
    }

    fn viewed(&self, path: String) -> String {
        if self.recorder.who[self.who].everything {
            tenancy::stored(&path)
        } else {
            path
        }
    }

    fn of_view(&self, mut body: Value) -> Value {
        let group = if self.recorder.who[self.who].everything {
            "storage"
        } else {
            "apiserver"
        };
        body["apiVersion"] = json!(format!("{group}.bulward.io/v1alpha1"));
        body
    }
}

pub(super) fn accept(shape: Shape, list: bool) -> Vec<(&'static str, String)> {
    let kind = match (shape, list) {
        (Shape::Object, _) => return vec![("accept", JSON.to_owned())],
        (Shape::Metadata, true) => "PartialObjectMetadataList",
        (Shape::Metadata, false) => "PartialObjectMetadata",
        (Shape::Table, _) => "Table",
    };
    vec![("accept", format!("{JSON};as={kind};v=v1;g=meta.k8s.io"))]
}

/// The names of a table's columns.
pub(super) fn columns(table: &Value) -> Vec<String> {
    let columns = table["columnDefinitions"].as_array().into_iter().flatten();
    let name = |column: &Value| column["name"].as_str().unwrap_or_default().to_owned();
    columns.map(name).collect()
}

pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_str()?.parse().ok()
}
