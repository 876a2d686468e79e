//! One request through its stages (k8s.io/apiserver pkg/audit/context.go, pkg/endpoints/filters/audit.go).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::backend::Backend;
use super::delivering::{Delivering, Lingering};
use super::event::{AuthenticationMetadata, Event, Level, ObjectRef, Stage, omit_managed_fields, response_status};
use super::policy::{Policy, Request, Verdict};
use crate::telemetry::metrics::audit::AuditMetrics;
use crate::wire::notes::{Detail, Notes};
use crate::wire::user::UserInfo;

/// Bytes of a client's own name that are kept.
const AGENT_LIMIT: usize = 1024;
/// What others call it when a client went away before it was answered; no status of HTTP.
const CLIENT_CLOSED_REQUEST: u16 = 499;
/// How many objects a list, or events a watch, has shown.
const SEEN: &str = "visibility.bulward.io/seen";

/// Records requests as a policy says.
pub struct Auditor {
    policy: Policy,
    pub(super) backends: Vec<Backend>,
    pub(super) metrics: AuditMetrics,
    /// What is still to be recorded of requests that nobody waits for any more.
    pub(super) lingering: Lingering,
}

/// What is known of a request when it arrives.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its id.
    pub audit_id: String,
    /// When.
    pub received: Timestamp,
    /// Path and query, as sent.
    pub request_uri: String,
    /// Who says to have forwarded it, and the other end of the connection.
    pub source_ips: Vec<String>,
    /// What the client calls itself.
    pub user_agent: String,
    /// Who asks; nobody where that could not be told.
    pub user: Option<Arc<UserInfo>>,
    /// `apiVersion` of the resource that it is about.
    pub version: String,
}

/// The record of one request. If it is dropped before the end, because the client went away, or with the body of a watch, it
/// ends there.
pub struct Recording {
    auditor: Arc<Auditor>,
    verdict: Verdict,
    event: Mutex<Event>,
    notes: Arc<Notes>,
    over: AtomicBool,
}

impl Auditor {
    /// Records as `policy` says with all of `backends`.
    pub fn new(policy: Policy, backends: Vec<Backend>, metrics: AuditMetrics) -> Arc<Self> {
        Arc::new(Self {
            policy,
            backends,
            metrics,
            lingering: Lingering::default(),
        })
    }

    /// Begins the record of a request, if there is to be one. From now on `notes` listen.
    pub fn begin(
        self: &Arc<Self>,
        request: &Request<'_>,
        notes: &Arc<Notes>,
        arrival: impl FnOnce() -> Arrival,
    ) -> Option<Recording> {
        let verdict = self.policy.evaluate(request);
        self.metrics.level(verdict.level.name());
        notes.listen(match verdict.level {
            Level::None => return None,
            Level::Metadata => Detail::Facts,
            Level::Request | Level::RequestResponse => Detail::Objects,
        });
        let Arrival {
            audit_id,
            received,
            request_uri,
            source_ips,
            user_agent,
            user,
            version,
        } = arrival();
        let event = Event {
            kind: "Event",
            api_version: Event::API_VERSION,
            level: verdict.level,
            audit_id,
            stage: Stage::RequestReceived,
            request_uri,
            verb: request.verb.to_owned(),
            user,
            impersonated_user: None,
            authentication_metadata: None,
            source_ips,
            user_agent: cut(user_agent),
            object_ref: request.is_resource.then(|| object_ref(request, version)),
            response_status: None,
            request_object: None,
            response_object: None,
            request_received_timestamp: received,
            stage_timestamp: received,
            annotations: BTreeMap::new(),
        };
        Some(Recording {
            auditor: self.clone(),
            verdict,
            event: Mutex::new(event),
            notes: notes.clone(),
            over: AtomicBool::new(false),
        })
    }

    /// Waits until everything is recorded that was begun, as far as it can be. Nothing is recorded afterwards.
    pub async fn flush(&self) {
        self.lingering.finish().await;
        for backend in &self.backends {
            backend.flush().await;
        }
    }
}

impl Recording {
    /// The first stage.
    ///
    /// # Errors
    /// It could not be recorded, and must be: the request must not go on.
    pub async fn received(&self) -> Result<(), NotRecorded> {
        match self.emit(Stage::RequestReceived).await {
            true => Ok(()),
            false => {
                self.auditor.metrics.rejected();
                self.over.store(true, Ordering::Relaxed);
                Err(NotRecorded)
            }
        }
    }

    /// Somebody acts as somebody else; `constraint` is the verb that let them, if it was not plain `impersonate`.
    pub fn impersonated(&self, user: &Arc<UserInfo>, constraint: &str) {
        let mut event = self.event.lock();
        event.impersonated_user = Some(user.clone());
        event.authentication_metadata = (!constraint.is_empty()).then(|| AuthenticationMetadata {
            impersonation_constraint: constraint.to_owned(),
        });
    }

    /// Whether the object that is answered is recorded.
    pub fn wants_response(&self) -> bool {
        self.verdict.level >= Level::RequestResponse
    }

    /// The answer: its code, and its body where that is a Status or wanted.
    pub fn answered(&self, code: u16, body: Option<Value>) {
        let is_status = |body: &&Value| matches!(body["status"].as_str(), Some("Success" | "Failure"));
        let mut event = self.event.lock();
        event.response_status = Some(response_status(code, body.as_ref().filter(is_status)));
        event.response_object = body.filter(|_| self.wants_response());
        if self.verdict.omit_managed_fields
            && let Some(object) = &mut event.response_object
        {
            omit_managed_fields(object);
        }
    }

    /// The stage of an answer that goes on.
    pub async fn started(&self) {
        self.emit(Stage::ResponseStarted).await;
    }

    /// The last stage.
    pub async fn complete(&self) {
        if self.ends() {
            self.emit(Stage::ResponseComplete).await;
        }
    }

    /// Nothing more is said of the request.
    pub fn end(&self) {
        self.ends();
    }

    /// The last stage when the server failed.
    pub async fn panicked(&self, why: &str) {
        if self.ends() {
            let message = format!("APIServer panic'd: {why}");
            let status = json!({"status": "Failure", "message": message, "reason": "InternalError"});
            self.event.lock().response_status = Some(response_status(500, Some(&status)));
            self.emit(Stage::Panic).await;
        }
    }

    /// Whether this is the one time that the record ends.
    fn ends(&self) -> bool {
        !self.over.swap(true, Ordering::Relaxed)
    }

    async fn emit(&self, stage: Stage) -> bool {
        match self.at(stage) {
            Some(event) => Delivering::new(&self.auditor, event).await,
            None => true,
        }
    }

    /// The event of a stage, if one is made of it.
    fn at(&self, stage: Stage) -> Option<Event> {
        if self.verdict.omits(stage) {
            return None;
        }
        let mut event = self.event.lock().clone();
        event.stage = stage;
        if stage != Stage::RequestReceived {
            event.stage_timestamp = Timestamp::now();
        }
        event.annotations = self.notes.annotations();
        if let Some(seen) = self.notes.seen() {
            event.annotations.insert(SEEN.to_owned(), seen.to_string());
        }
        if let Some(submitted) = self.notes.submitted() {
            if let Some(about) = &mut event.object_ref {
                let parts = [
                    (&mut about.namespace, submitted.namespace),
                    (&mut about.name, submitted.name),
                    (&mut about.uid, submitted.uid),
                    (&mut about.resource_version, submitted.resource_version),
                ];
                for (part, said) in parts.into_iter().filter(|(part, _)| part.is_empty()) {
                    *part = said;
                }
            }
            event.request_object = submitted.object;
            if self.verdict.omit_managed_fields
                && let Some(object) = &mut event.request_object
            {
                omit_managed_fields(object);
            }
        }
        Some(event)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !self.ends() {
            return;
        }
        self.event.lock().response_status.get_or_insert_with(|| {
            // Nobody was told anything. What was asked for may have happened; that it did is more than anybody knows.
            let gone = json!({"status": "Failure", "message": "Connection closed early"});
            response_status(CLIENT_CLOSED_REQUEST, Some(&gone))
        });
        if let Some(event) = self.at(Stage::ResponseComplete) {
            // It goes on without us.
            drop(Delivering::new(&self.auditor, event));
        }
    }
}

/// The first event of a request could not be recorded, and must be.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("failed to store audit event")]
pub struct NotRecorded;

fn object_ref(request: &Request<'_>, version: String) -> ObjectRef {
    ObjectRef {
        resource: request.resource.to_owned(),
        namespace: request.namespace.to_owned(),
        name: request.name.to_owned(),
        api_group: request.group.to_owned(),
        api_version: version,
        subresource: request.subresource.to_owned(),
        ..ObjectRef::default()
    }
}

/// A client may call itself what it likes, but not at any length.
fn cut(mut agent: String) -> String {
    if agent.len() > AGENT_LIMIT {
        let mut end = AGENT_LIMIT;
        while !agent.is_char_boundary(end) {
            end -= 1;
        }
        agent.truncate(end);
        agent.push_str("...TRUNCATED");
    }
    agent
}
