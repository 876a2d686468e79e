//! The way of every request, one line a stage, in the order of k8s.io/apiserver pkg/server/config.go DefaultBuildHandlerChain.

#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use http::header::{ACCEPT, CACHE_CONTROL, EXPECT, HeaderName, HeaderValue, UPGRADE, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Level};

use super::audit;
use super::body::Body;
use super::counting::Counting;
use super::draining;
use super::impersonation::{Impersonated, Impersonation};
use super::labels::Labels;
use super::limits::{Admitted, Limits};
use super::listener::{ConnectionEvent, Dismissed, Handler, Peer};
use super::request_info::RequestInfo;
use super::respond::{self, Manner};
use super::traces;
use super::upgrade::Upgrade;
use super::upload::Upload;
use crate::audit::Auditor;
use crate::authn::{Authenticator, Credentials};
use crate::authz::{Authorizer, Decision};
use crate::telemetry::logging::ACCESS_TARGET;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::{Asked, Traces};
use crate::wire::duration::{go_complaint, parse_duration};
use crate::wire::negotiate;
use crate::wire::notes::{Detail, Notes};
use crate::wire::options::Query;
use crate::wire::status::Status;
use crate::wire::user::{ANONYMOUS, UserInfo};

/// Names a request in the logs of every component that it passes.
static AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// A request whose sender is known and allowed to make it.
#[derive(Debug)]
pub struct Authorized {
    /// The method.
    pub method: Method,
    /// What method and path mean.
    pub info: Arc<RequestInfo>,
    /// The path, as sent.
    pub path: String,
    /// The query, as sent.
    pub raw_query: String,
    /// The query.
    pub query: Query,
    /// The headers without credentials.
    pub headers: HeaderMap,
    /// Who asks.
    pub user: Arc<UserInfo>,
    /// The body, not read yet.
    pub body: Upload,
    /// The connection, where another protocol is asked for.
    pub upgrade: Option<Upgrade>,
    /// Whether JSON is to be indented.
    pub pretty: bool,
    /// How errors are to be written.
    pub errors: Manner,
    /// Cancelled when the server stops: a watch ends then.
    pub drain: CancellationToken,
    /// For verbs that turn out to be another verb as well.
    pub permission: Permission,
    /// What is to be said of the request beside its answer: warnings go into the answer's headers.
    pub notes: Arc<Notes>,
}

/// Asks whether the sender of a request may do something else with its object, too.
pub struct Permission {
    authorizer: Arc<dyn Authorizer>,
    user: Arc<UserInfo>,
    info: Arc<RequestInfo>,
}

impl Permission {
    /// Who decides.
    pub fn authorizer(&self) -> &Arc<dyn Authorizer> {
        &self.authorizer
    }

    /// Whether the sender may do `verb`.
    ///
    /// # Errors
    /// 403, or 500 where no decision could be had.
    pub async fn to(&self, verb: &str) -> Result<(), Status> {
        let info = RequestInfo {
            verb: verb.to_owned(),
            ..RequestInfo::clone(&self.info)
        };
        let attributes = info.attributes();
        match self.authorizer.authorize(&self.user, &attributes).await {
            Ok(Decision::Allow { .. }) => Ok(()),
            Ok(Decision::Deny { reason }) => Err(attributes.forbidden(&self.user, &reason)),
            Err(error) => Err(Status::internal(error)),
        }
    }
}

impl std::fmt::Debug for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permission")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Where authorized requests go.
#[async_trait]
pub trait Route: Send + Sync + 'static {
    /// Whether the resource in the path is served; names that are not never become metric labels.
    fn serves(&self, info: &RequestInfo) -> bool;

    /// Answers a request.
    async fn route(&self, request: Authorized) -> Response<Body>;
}

/// Everything that a request passes on its way.
pub struct Pipeline {
    /// Who is asking.
    pub authenticator: Arc<dyn Authenticator>,
    /// What records requests, if anything does.
    pub audit: Option<Arc<Auditor>>,
    /// Who may act as somebody else.
    pub impersonation: Impersonation,
    /// May they.
    pub authorizer: Arc<dyn Authorizer>,
    /// What they get.
    pub route: Arc<dyn Route>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How much a caller may have at once.
    pub limits: Limits,
    /// What makes traces of requests, if anything does.
    pub traces: Option<Traces>,
}

#[async_trait]
impl Handler for Pipeline {
    async fn handle(&self, request: Request<Incoming>, peer: &Peer) -> Response<Body> {
        let audit_id = audit_id(request.headers());
        let span = tracing::info_span!("request", audit_id = audit_id.to_str().unwrap_or_default());
        let id = audit_id.to_str().unwrap_or_default();
        let response = AssertUnwindSafe(self.serve(request, peer, id))
            .catch_unwind()
            .instrument(span.clone())
            .await;
        let mut response = response.unwrap_or_else(|_| span.in_scope(panicked));
        let headers = response.headers_mut();
        headers.insert(AUDIT_ID.clone(), audit_id);
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-cache, private"));
        response
    }

    fn observe(&self, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Opened => self.metrics.connection(true),
            ConnectionEvent::Closed => self.metrics.connection(false),
            ConnectionEvent::HandshakeFailed => self.metrics.tls_handshake_error(),
            ConnectionEvent::Refused => self.metrics.connection_refused(),
        }
    }
}

impl Pipeline {
    async fn serve(&self, mut request: Request<Incoming>, peer: &Peer, audit_id: &str) -> Response<Body> {
        let upgrade = request.headers().contains_key(UPGRADE).then(|| {
            let on = hyper::upgrade::on(&mut request);
            Upgrade::new(on, peer.afterwards.clone())
        });
        let (parts, body) = request.into_parts();
        let upload = Upload::new(body);
        // A client that waits for leave to send is better told not to.
        let waits = parts.headers.contains_key(EXPECT);
        let body = upload.clone();
        let raw_query = parts.uri.query().unwrap_or_default().to_owned();
        let query = Query::parse(&raw_query);
        let info = Arc::new(RequestInfo::parse(&parts.method, parts.uri.path(), &query));
        let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        let pretty = negotiate::pretty(query.get("pretty"), agent);
        // Errors are written as Accept says, but never as a table.
        let accept = parts.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
        let errors = negotiate::for_status(accept);
        let errors = Manner {
            format: errors.format,
            pretty: errors.pretty.unwrap_or(pretty),
        };
        let started = Instant::now();
        let labels = Labels::of(&info, &query, &parts.headers, self.route.serves(&info));
        let counting = Counting::begin(self.metrics.clone(), labels, started);

        let access =
            tracing::enabled!(target: ACCESS_TARGET, Level::INFO).then(|| (parts.method.clone(), parts.uri.clone()));
        let mut user = None;
        let mut stranger = false;
        let mut countable = false;
        let mut headers = parts.headers;
        let notes = Arc::new(Notes::default());
        let uri = parts.uri.clone();
        let about = info.clone();
        let seen = audit::Seen {
            auditor: self.audit.as_ref(),
            audit_id,
            uri: &uri,
            peer,
            info: &about,
            notes: &notes,
        };
        let result = async {
            if let Some(refusal) = draining::refuse(peer, parts.version, &info, &headers) {
                return refusal;
            }
            let limit = match timeout(&info, &query, self.limits.request_timeout()) {
                Ok(limit) => limit,
                Err(status) => return seen.failed(&headers, respond::status(&status, errors)).await,
            };
            let deadline = limit.map(|limit| started + limit);
            let late = || {
                counting.terminated(StatusCode::GATEWAY_TIMEOUT);
                timed_out()
            };
            let caller = match within(deadline, self.authenticate(&mut headers, peer, &notes)).await {
                Some(Ok(caller)) => {
                    // Not whom a front proxy introduces: others come over its connection as well.
                    stranger = caller.name == ANONYMOUS && peer.certificates.is_empty();
                    Arc::new(caller)
                }
                Some(Err(status)) => {
                    stranger = true;
                    return seen.failed(&headers, respond::status(&status, errors)).await;
                }
                None => return seen.failed(&headers, late()).await,
            };
            let stage = Instant::now();
            let record = match seen.received(&headers, &caller).await {
                Ok(record) => record,
                Err(refusal) => return refusal,
            };
            self.metrics.filter("audit", stage.elapsed());
            let span = self.traces.as_ref().map(|traces| {
                traces.begin(&Asked {
                    name: traces::name(&parts.method, &about),
                    method: &parts.method,
                    uri: &uri,
                    headers: &headers,
                    audit_id,
                    about: traces::about(&about),
                    trusted: traces::trusted(&caller),
                    elapsed: started.elapsed(),
                })
            });
            // Apart, since the layers around it would each copy it as they are wrapped around it.
            let answer = Box::pin(async {
                let stage = Instant::now();
                let impersonated = match self.impersonate(&mut headers, &info, &caller, deadline).await {
                    Ok(impersonated) => impersonated,
                    Err(Err(status)) => return (respond::status(&status, errors), Admitted::default()),
                    Err(Ok(refusal)) => {
                        counting.terminated(refusal.status());
                        countable = true;
                        return (refusal, Admitted::default());
                    }
                };
                let caller = match impersonated {
                    None => caller,
                    Some(other) => {
                        if let Some(record) = &record {
                            record.impersonated(&other.user, other.constraint);
                        }
                        other.user
                    }
                };
                user = Some(caller.clone());
                let queued = Instant::now();
                self.metrics.filter("constrainedimpersonation", queued - stage);
                let admitted = self.limits.admit(&caller, &info, deadline).await;
                let waited = queued.elapsed();
                notes.spent_elsewhere(waited);
                let admitted = match admitted {
                    Ok(admitted) => admitted,
                    Err(refusal) => {
                        counting.terminated(refusal.status());
                        // As in Go: of those who are turned away, these are counted.
                        countable = true;
                        return (refusal, Admitted::default());
                    }
                };
                self.metrics.filter("priorityandfairness", waited);
                if let Err(denied) = self.authorize(&caller, &info, errors, &notes).await {
                    let denied = denied.unwrap_or_else(|status| respond::status(&status, errors));
                    return (denied, admitted);
                }
                countable = true;
                let permission = Permission {
                    authorizer: self.authorizer.clone(),
                    user: caller.clone(),
                    info: info.clone(),
                };
                let authorized = Authorized {
                    permission,
                    method: parts.method,
                    path: parts.uri.path().to_owned(),
                    info,
                    raw_query,
                    query,
                    headers,
                    user: caller,
                    body,
                    upgrade,
                    pretty,
                    errors,
                    drain: peer.drain.clone(),
                    notes: notes.clone(),
                };
                (self.route.route(authorized).await, admitted)
            });
            let answer = async {
                let answered = within(deadline, answer).await;
                answered.unwrap_or_else(|| (late(), Admitted::default()))
            };
            let answer = pin!(audit::around(record.clone(), &about, peer, &self.limits, answer));
            traces::around(span, &about, peer, answer).await
        };
        let mut response = result.await;
        respond::add_warnings(response.headers_mut(), &notes.warnings());
        self.limits.sample_goaway(parts.version, &mut response);
        if stranger {
            // k8s.io/apiserver pkg/endpoints/filters/authentication.go, UnauthenticatedHTTP2DOSMitigation.
            response.extensions_mut().insert(Dismissed);
        }
        if !waits {
            upload.discard().await;
        }
        let code = response.status().as_u16();
        if let Some((method, uri)) = access {
            let user = user.as_ref().map_or("", |user| &user.name);
            let (method, uri) = (method.as_str(), uri.to_string());
            tracing::info!(target: ACCESS_TARGET, method, uri, user, code, elapsed = ?started.elapsed());
        }
        counting.answered(response, countable, notes.elsewhere(), peer)
    }

    async fn authenticate(&self, headers: &mut HeaderMap, peer: &Peer, notes: &Notes) -> Result<UserInfo, Status> {
        let started = Instant::now();
        let mut credentials = Credentials {
            headers,
            certificates: &peer.certificates,
            address: peer.remote_addr.ip(),
            notes,
        };
        let result = self.authenticator.authenticate(&mut credentials).await;
        let elapsed = started.elapsed();
        let outcome = if result.is_ok() { "success" } else { "error" };
        self.metrics.authentication(outcome, elapsed);
        self.metrics.filter("authentication", elapsed);
        if let Ok(user) = &result {
            self.metrics.user(&user.name);
            if let Some(expires) = peer.expires {
                self.metrics.certificate_expiration(expires.remaining());
            }
        }
        result
    }

    /// Whom the request acts as, if as somebody else. To find out takes a seat of whoever asks, as long as it takes; a refusal is a
    /// Status, or a finished response where there is no seat.
    async fn impersonate(
        &self,
        headers: &mut HeaderMap,
        info: &RequestInfo,
        requestor: &Arc<UserInfo>,
        deadline: Option<Instant>,
    ) -> Result<Option<Impersonated>, Result<Response<Body>, Status>> {
        if !Impersonation::is_asked_for(headers) {
            return Ok(None);
        }
        let _admitted = self
            .limits
            .admit_requestor(requestor, info, deadline)
            .await
            .map_err(Ok)?;
        let impersonated = self.impersonation.impersonate(headers, info, requestor).await;
        impersonated.map_err(Err)
    }

    /// A refusal is a Status, or a finished response where no decision could be had.
    async fn authorize(
        &self,
        user: &UserInfo,
        info: &RequestInfo,
        errors: Manner,
        notes: &Notes,
    ) -> Result<(), Result<Response<Body>, Status>> {
        let started = Instant::now();
        let attributes = info.attributes();
        let decision = self.authorizer.authorize(user, &attributes).await;
        let outcome = match &decision {
            Ok(Decision::Allow { .. }) => "allowed",
            // The cluster seldom forbids, it just does not allow.
            Ok(Decision::Deny { .. }) => "no-opinion",
            Err(_) => "error",
        };
        let elapsed = started.elapsed();
        self.metrics.authorization(outcome, elapsed);
        if notes.wanted(Detail::Facts) {
            audit::decided(notes, &decision);
        }
        match decision {
            Ok(Decision::Allow { .. }) => {
                self.metrics.filter("authorization", elapsed);
                Ok(())
            }
            Ok(Decision::Deny { reason }) => {
                let mut response = respond::status(&attributes.forbidden(user, &reason), errors);
                nosniff(response.headers_mut());
                Err(Ok(response))
            }
            Err(error) => {
                tracing::error!(%error, "no authorization decision");
                Err(Ok(respond::internal(&info.path, &error)))
            }
        }
    }
}

/// The client's audit id, or a new one.
fn audit_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers
        .get(&AUDIT_ID)
        .filter(|id| !id.is_empty() && id.len() <= 256 && id.to_str().is_ok());
    given.cloned().unwrap_or_else(|| {
        // From this thread's generator, which asks the kernel now and then only.
        let fresh = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let mut text = uuid::Uuid::encode_buffer();
        HeaderValue::from_str(fresh.hyphenated().encode_lower(&mut text)).expect("a uuid is visible ASCII")
    })
}

/// How long the request may take; `None` for watches.
fn timeout(info: &RequestInfo, query: &Query, longest: Duration) -> Result<Option<Duration>, Status> {
    if info.is_long_running() {
        return Ok(None);
    }
    let Some(text) = query.get("timeout").filter(|text| !text.is_empty()) else {
        return Ok(Some(longest));
    };
    let (negative, positive) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let asked = parse_duration(positive).map_err(|_| {
        let why = go_complaint(text);
        Status::bad_request(format!("invalid timeout specified in the request URL - {why}"))
    })?;
    let usable = !negative && asked > Duration::ZERO && asked < longest;
    Ok(Some(if usable { asked } else { longest }))
}

/// What comes of `work`, if it does before the deadline.
async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        None => Some(work.await),
        Some(deadline) => tokio::time::timeout_at(deadline, work).await.ok(),
    }
}

fn nosniff(headers: &mut HeaderMap) {
    headers.insert(
        http::header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
}

/// The body has no kind and the type is text: so the Go server has it, and clients know it.
fn timed_out() -> Response<Body> {
    let text = r#"{"metadata":{},"status":"Failure","message":"Timeout: request did not complete within the allotted timeout","reason":"Timeout","details":{},"code":504}"#;
    respond::bytes(StatusCode::GATEWAY_TIMEOUT, respond::TEXT, format!("{text}\n"))
}

fn panicked() -> Response<Body> {
    tracing::error!("a request handler panicked");
    let text = "This request caused apiserver to panic. Look in the logs for details.\n";
    respond::bytes(StatusCode::INTERNAL_SERVER_ERROR, respond::TEXT, text)
}
