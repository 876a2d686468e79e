//! From a path to the verb that answers it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{ACCEPT, ACCEPT_ENCODING, IF_MODIFIED_SINCE, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::discovery::{Conditions, Documents, Question};
use super::{Call, create, delete, delete_collection, get, list, patch, review, update, watch};
use crate::http::body::{self, Body};
use crate::http::compress;
use crate::http::counting::Unrouted;
use crate::http::health::Health;
use crate::http::pipeline::{Authorized, Route};
use crate::http::request_info::RequestInfo;
use crate::http::respond;
use crate::http::upgrade::Upgrade;
use crate::rest::caller::Caller;
use crate::rest::resource::{Access, Registry, Resource};
use crate::rest::store::Store;
use crate::rest::store::update::Part;
use crate::telemetry::metrics::{self, KindTotals, Metrics};
use crate::wire::negotiate;
use crate::wire::quote::go_quote;
use crate::wire::status::Status;
use crate::wire::validation::names::path_segment;

/// Everything that is served.
pub struct Router {
    /// The descriptors.
    pub registry: Arc<Registry>,
    /// The store behind all of them.
    pub store: Arc<Store>,
    /// Discovery and OpenAPI.
    pub documents: Documents,
    /// `/healthz`, `/livez`, `/readyz`.
    pub health: Arc<Health>,
    /// `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Callers for whom filtered views are not filtered.
    pub unfiltered_users: Vec<String>,
    /// How long a watch lasts at least when its client does not say.
    pub min_watch: Duration,
}

#[async_trait]
impl Route for Router {
    fn serves(&self, info: &RequestInfo) -> bool {
        self.registry.find(&info.group, &info.version, &info.resource).is_some()
            || self
                .registry
                .review(&info.group, &info.version, &info.resource)
                .is_some()
    }

    async fn route(&self, request: Authorized) -> Response<Body> {
        let errors = request.errors;
        let gzip = negotiate::accepts_gzip(header(&request.headers, ACCEPT_ENCODING));
        if request.info.is_resource {
            let result = self.resource(request).await;
            let response = result.unwrap_or_else(|status| {
                let mut response = respond::status(&status, errors);
                if status.is_unrouted() {
                    response.extensions_mut().insert(Unrouted);
                }
                response
            });
            return if gzip {
                compress::gzip(response, compress::OBJECTS).await
            } else {
                response
            };
        }
        let mut response = self.document(&request).await;
        let path = request.info.path.as_str();
        if path == "/openapi/v2" {
            if gzip {
                return compress::gzip(response, compress::OPENAPI).await;
            }
            response
                .headers_mut()
                .append(VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        let discovery = path.starts_with("/api");
        if gzip && discovery {
            compress::gzip(response, compress::OBJECTS).await
        } else {
            response
        }
    }
}

impl Router {
    /// Paths outside of resources.
    async fn document(&self, request: &Authorized) -> Response<Body> {
        let path = request.info.path.as_str();
        let readable = matches!(request.method, Method::GET | Method::HEAD);
        if let Some(response) = self.health.respond(path, Some(&request.raw_query)).await {
            return response;
        }
        if path == "/metrics" && readable {
            self.measure();
            let text = HeaderValue::from_static(metrics::CONTENT_TYPE);
            return respond::bytes(StatusCode::OK, text, self.metrics.render());
        }
        if path == "/metrics" && request.method == Method::DELETE {
            self.measure();
            self.metrics.reset();
            return respond::bytes(StatusCode::OK, respond::TEXT, "metrics reset\n");
        }
        if path == "/metrics/slis" && readable {
            let text = HeaderValue::from_static(metrics::CONTENT_TYPE);
            return respond::bytes(StatusCode::OK, text, self.metrics.render_slis());
        }
        let question = Question {
            path,
            query: &request.raw_query,
            accept: header(&request.headers, ACCEPT),
            conditions: Conditions {
                if_none_match: header(&request.headers, IF_NONE_MATCH),
                if_modified_since: header(&request.headers, IF_MODIFIED_SINCE),
            },
            pretty: request.pretty,
        };
        let get = request.method == Method::GET;
        if get
            && let Some(available) = self.documents.representations(path)
            && !negotiate::names_one_of(question.accept, available)
        {
            return respond::status(&Status::no_representation(available), request.errors);
        }
        match self.documents.respond(&question) {
            Some(_) if !get && !Documents::ignores_method(path) => {
                respond::status(&Status::method_not_allowed(), request.errors)
            }
            Some(answer) => answer.into_response().map(body::full),
            None if self.serves_group(path) => respond::status(&Status::unknown_path(), request.errors),
            None => respond::bytes(StatusCode::NOT_FOUND, respond::JSON, self.documents.index_body()),
        }
    }

    /// Gauges that are read off when somebody looks.
    fn measure(&self) {
        let Ok(snapshot) = self.store.cache().any() else { return };
        for resource in self
            .registry
            .resources()
            .filter(|resource| resource.access == Access::Unfiltered)
        {
            if let Some(kind) = self.store.kind_id(&resource.stored.plural) {
                let (group, plural) = (&resource.group_version.group, &resource.stored.plural);
                let bytes = snapshot.bytes(kind);
                self.metrics.objects(group, plural, snapshot.count(kind), bytes);
                self.metrics.object_bytes(&resource.group_resource(), bytes);
                let seen = self.store.seen(kind);
                let totals = KindTotals {
                    lists: seen.lists.get(),
                    fetched: seen.fetched.get(),
                    returned: seen.returned.get(),
                    hidden: seen.hidden.get(),
                    gained: seen.gained.get(),
                    lost: seen.lost.get(),
                    received: self.store.cache().received(kind),
                };
                self.metrics.kind_totals(group, plural, &totals);
            }
        }
        let size = snapshot.index().size();
        self.metrics
            .visibility_index(size.subjects, size.postings, size.bytes());
        let log = snapshot.log();
        self.metrics.watchcache(snapshot.revision, log.floor(), log.weight());
        let cache = self.store.cache();
        self.metrics.watchers(cache.watchers());
        let lag = cache.known_revision().saturating_sub(snapshot.revision);
        self.metrics.cache_progress(cache.loads(), lag);
    }

    /// Whether the path is below a group that is served here.
    fn serves_group(&self, path: &str) -> bool {
        let group = match path.strip_prefix("/apis/") {
            Some(rest) => rest.split('/').next(),
            None => (path == "/api" || path.starts_with("/api/")).then_some(""),
        };
        self.registry.groups.iter().any(|own| Some(own.name.as_str()) == group)
    }

    async fn resource(&self, mut request: Authorized) -> Result<Response<Body>, Status> {
        let upgrade = request.upgrade.take();
        let info = &request.info;
        let resource = self.registry.find(&info.group, &info.version, &info.resource);
        let Some(resource) = resource else {
            if let Some(question) = self.registry.review(&info.group, &info.version, &info.resource) {
                if info.named_by_path || question.namespaced == info.namespace.is_empty() {
                    return Err(Status::unknown_path());
                }
                if request.method != Method::POST {
                    return Err(Status::method_not_allowed());
                }
                return review::review(question, &request).await;
            }
            let known = self.registry.groups.iter().any(|group| group.name == info.group);
            return match known {
                true => Err(Status::unknown_path()),
                false => Ok(respond::bytes(
                    StatusCode::NOT_FOUND,
                    respond::JSON,
                    self.documents.index_body(),
                )),
            };
        };
        let namespaced = resource.stored.namespaced;
        // A namespace stands where that of other objects does, and is in none.
        let in_namespace = !info.namespace.is_empty() && !resource.is_namespace();
        let subresource = resource.subresources().find(|(name, _)| *name == info.subresource);
        let status = info.subresource == "status" && resource.status_subresource;
        // An item of a namespaced resource has a namespace, nothing of a cluster-scoped one has.
        let misplaced = in_namespace != namespaced && (!namespaced || info.named_by_path);
        // A subresource is not watched; what streams is the whole object.
        let watched_part = status && info.verb == "watch";
        if misplaced || info.overlong || watched_part || !(info.subresource.is_empty() || subresource.is_some()) {
            return Err(Status::unknown_path());
        }
        let collection = !namespaced || in_namespace;
        let routed = match (request.method.as_str(), info.named_by_path) {
            ("GET" | "PATCH", _) if subresource.is_some() => status,
            ("GET", _) | ("PUT" | "PATCH", true) => true,
            ("DELETE", true) => subresource.is_none(),
            ("POST" | "DELETE", false) => collection,
            _ => false,
        };
        if !routed {
            return Err(Status::method_not_allowed());
        }
        let accept = header(&request.headers, ACCEPT);
        let streamed = request.method == Method::GET && (info.verb == "watch" || !info.named_by_path);
        if let Some(available) = resource.stored.conventions.representations(streamed)
            && !negotiate::names_one_of(accept, available)
        {
            return Err(Status::no_representation(available));
        }
        let result = self.serve(resource, &request, upgrade).await;
        let Some(deprecation) = &resource.deprecation else {
            return result;
        };
        let removed = removed_release(deprecation);
        self.metrics
            .deprecated(&info.group, &info.version, &info.resource, &info.subresource, removed);
        request.notes.annotate("k8s.io/deprecated", "true");
        if !removed.is_empty() {
            request.notes.annotate("k8s.io/removed-release", removed);
        }
        let routed = resource.stored.conventions.routes_patches() && request.method == Method::PATCH;
        if routed && result.as_ref().is_err_and(|status| status.code == 415) {
            return result;
        }
        let mut response = result.unwrap_or_else(|status| respond::status(&status, request.errors));
        respond::add_first_warning(response.headers_mut(), deprecation);
        Ok(response)
    }

    /// Answers what has a route.
    async fn serve(
        &self,
        resource: &Arc<Resource>,
        request: &Authorized,
        upgrade: Option<Upgrade>,
    ) -> Result<Response<Body>, Status> {
        let info = &request.info;
        let part = match info.subresource.as_str() {
            "" => Part::Main,
            "finalize" => Part::Finalize,
            _ => Part::Status,
        };
        if info.named_by_path
            && let [_, ..] = path_segment(&info.name).as_slice()
        {
            let (name, why) = (go_quote(&info.name), path_segment(&info.name).join(";"));
            return Err(Status::bad_request(format!("Name parameter invalid: {name}: {why}")));
        }
        let kind = self.store.kind_id(&resource.stored.plural);
        let kind = kind.ok_or_else(|| Status::internal("a resource without a stored kind"))?;
        let watching = info.verb == "watch";
        let accept = header(&request.headers, ACCEPT);
        let named = info.named_by_path;
        let representation = negotiate::representation(accept, resource.has_protobuf(), watching, named)?;
        let caller = Caller::new(request.user.clone(), &self.unfiltered_users, request.notes.clone());
        let call = Call {
            store: &self.store,
            resource,
            kind,
            caller: &caller,
            namespace: if resource.is_namespace() { "" } else { &info.namespace },
            name: if info.named_by_path { &info.name } else { "" },
            part,
            query: &request.query,
            representation: &representation,
            pretty: representation.pretty.unwrap_or(request.pretty),
            permission: &request.permission,
            metrics: &self.metrics,
        };
        match (request.method.clone(), info.verb.as_str(), info.named_by_path) {
            (Method::GET, "get", true) => get::get(&call).await,
            (Method::GET, "list", false) => list::list(&call).await,
            (Method::GET, "watch", _) => {
                watch::watch(&call, &request.headers, upgrade, &request.drain, self.min_watch).await
            }
            (Method::POST, "create", false) => create::create(&call, &request.headers, &request.body).await,
            (Method::PUT, "update", true) => update::update(&call, &request.headers, &request.body).await,
            // Apart, since it is by far the largest: room for it would be copied for the others, too.
            (Method::PATCH, "patch", true) => Box::pin(patch::patch(&call, &request.headers, &request.body)).await,
            (Method::DELETE, "delete", true) => delete::delete(&call, &request.headers, &request.body).await,
            (Method::DELETE, "deletecollection", false) => {
                delete_collection::delete_collection(&call, &request.headers, &request.body).await
            }
            _ => Err(Status::method_not_allowed()),
        }
    }
}

/// `1.10` of a warning that ends with `unavailable in v1.10+`; empty where there is no such release yet.
fn removed_release(deprecation: &str) -> &str {
    let release = deprecation.rsplit_once("unavailable in v").map(|(_, release)| release);
    let digits = |text: &'_ str| text.find(|c: char| !c.is_ascii_digit() && c != '.');
    release.map_or("", |release| &release[..digits(release).unwrap_or(release.len())])
}

fn header(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
