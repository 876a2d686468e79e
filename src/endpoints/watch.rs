//! Watch: the changes of "visible and matches the selectors", each once, in revision order (visibility rules V3–V5).
//!
//! Wire behaviour as in k8s.io/apiserver pkg/endpoints/handlers/watch.go and pkg/storage/cacher. The stream is pulled by
//! the connection: a client that reads slowly slows its own watch alone, and is cut off when its queue overflows.

mod frames;
mod piece;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use rand::RngExt;
use tokio_util::sync::CancellationToken;

use super::{Call, list};
use crate::http::body::{Body, BoxError};
use crate::http::respond;
use crate::http::upgrade::Upgrade;
use crate::http::websocket::{self, Opcode};
use crate::rest::caller::{Caller, Target};
use crate::rest::store::read::Freshness;
use crate::rest::store::seen::Seen;
use crate::telemetry::metrics::WatchMetrics;
use crate::watchcache::watchers::Place;
use crate::watchcache::{Interest, Object, Subscription};
use crate::wire::negotiate::Format;
use crate::wire::options::ListOptions;
use crate::wire::status::Status;

use frames::Frames;
use stream::{Start, Stream};

/// No watch is meant to last longer, and a clock cannot count for ever.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Starts a watch. When the client does not say how long it goes on, it is `at_least` so long and at most twice.
pub async fn watch(
    call: &Call<'_>,
    headers: &HeaderMap,
    upgrade: Option<Upgrade>,
    drain: &CancellationToken,
    at_least: Duration,
) -> Result<Response<Body>, Status> {
    let mut options = list::options(call)?;
    options.watch = true;
    options.set_defaults();
    options.validate_watch()?;
    let revision = options.revision()?;
    let target = call.target();
    // An old `/watch/…/name` path names its object.
    if !call.name.is_empty() {
        options.field_selector = crate::wire::selector::FieldSelector::by_name(call.name);
    }
    let frames = Frames::new(call)?;
    let format = call.representation.format;
    let respond = |content_type, stream: BoxStream<'static, Bytes>| match upgrade {
        Some(upgrade) if websocket::asked_for(headers) => over_websocket(headers, upgrade, format, stream, drain),
        _ => streaming(content_type, stream),
    };

    let initial = options.send_initial_events == Some(true);
    let ready = match (initial, revision) {
        (true, revision) => call.store.snapshot(Freshness::from(revision)).await,
        // A revision that has not come yet is waited for by waiting.
        (false, _) => call.store.snapshot(Freshness::Any).await,
    };
    if let Err(status) = ready {
        // The client asked for a stream: what goes wrong after that is an event of it.
        if status.code == 504 {
            return Ok(respond(frames.content_type(), once(frames.error(&status))));
        }
        return Err(status);
    }
    let interest = Interest {
        kind: call.kind,
        subjects: target.filtered().then(|| call.caller.subjects.clone()),
        place: place(&target, &options),
    };
    let subscribed = call.store.cache().subscribe(interest);
    let (subscription, snapshot) = subscribed.map_err(crate::rest::store::stale)?;
    let start = if initial {
        let objects = call.store.find(&target, &options, &snapshot);
        let role = |object: &Arc<Object>| call.store.role(&target, object, &snapshot);
        let roles = frames.form().is_none().then(|| objects.iter().map(role).collect());
        Start::Initial(objects, roles, snapshot.revision)
    } else {
        let revision = revision.unwrap_or(snapshot.revision);
        if snapshot.log().since(revision).is_none() {
            let status = Status::too_old(revision, snapshot.log().floor());
            return Ok(respond(frames.content_type(), once(frames.error(&status))));
        }
        Start::After(revision, snapshot.revision)
    };
    let timeout = match options.timeout_seconds {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds.unsigned_abs()).min(LONGEST),
        _ => at_least.mul_f64(rand::rng().random_range(1.0..2.0)),
    };
    let content_type = frames.content_type();
    let drain_begins = drain.clone().cancelled_owned();
    let events = Stream::new(call, options, frames, subscription, start, timeout, drain_begins);
    Ok(respond(content_type, events.boxed()))
}

/// The smallest place that all events are from.
fn place(target: &Target<'_>, options: &ListOptions) -> Place {
    let everywhere = target.resource.stored.namespaced && target.namespace.is_empty();
    match options.field_selector.exact_name() {
        Some(name) if !everywhere => Place::Object(target.key_of(name)),
        _ if target.namespace.is_empty() => Place::All,
        _ => Place::Namespace(target.namespace.into()),
    }
}

fn once(event: Bytes) -> BoxStream<'static, Bytes> {
    futures::stream::iter([event]).boxed()
}

/// Each event as a message of its own.
fn over_websocket(
    headers: &HeaderMap,
    upgrade: Upgrade,
    format: Format,
    stream: BoxStream<'static, Bytes>,
    drain: &CancellationToken,
) -> Response<Body> {
    let response = match websocket::accept(headers) {
        Ok(response) => response,
        Err(refused) => return *refused,
    };
    let opcode = match format {
        Format::Protobuf => Opcode::Binary,
        _ => Opcode::Text,
    };
    let messages = stream.flat_map(move |events| futures::stream::iter(frames::split(format, events)));
    let drain = drain.clone();
    upgrade.then(move |socket| websocket::serve(socket, opcode, messages.boxed(), drain));
    response
}

fn streaming(content_type: http::HeaderValue, stream: BoxStream<'static, Bytes>) -> Response<Body> {
    let body = StreamBody::new(stream.map(|bytes| Ok::<_, BoxError>(Frame::data(bytes))));
    let mut response = respond::bytes(StatusCode::OK, content_type, Bytes::new());
    *response.body_mut() = body.boxed_unsync();
    response
}

/// What a running watch keeps of the request.
struct Owned {
    store: Arc<crate::rest::Store>,
    resource: Arc<crate::rest::resource::Resource>,
    kind: crate::visibility::KindId,
    caller: Caller,
    namespace: Box<str>,
    metrics: WatchMetrics,
}

impl Owned {
    fn new(call: &Call<'_>, subscription: &Subscription) -> Self {
        let (version, plural) = (&call.resource.group_version, &call.resource.stored.plural);
        Self {
            store: call.store.clone(),
            resource: call.resource.clone(),
            kind: call.kind,
            // Who it is has been decided; what remains is what they see.
            caller: Caller {
                user: Arc::default(),
                subjects: subscription.subjects(),
                unfiltered: call.caller.unfiltered,
                notes: call.caller.notes.clone(),
            },
            namespace: call.namespace.into(),
            metrics: call.metrics.watch(&version.group, &version.version, plural),
        }
    }

    /// What has been shown of the kind.
    fn seen(&self) -> &Seen {
        self.store.seen(self.kind)
    }

    /// The initial events have been sent.
    fn listed(&self, elapsed: Duration, options: &ListOptions) {
        let version = &self.resource.group_version;
        let scope = match (options.field_selector.exact_name(), self.namespace.is_empty()) {
            (Some(_), _) => "resource",
            (None, false) => "namespace",
            (None, true) => "cluster",
        };
        let labels = [&*version.group, &*version.version, &*self.resource.stored.plural, scope];
        self.metrics.listed(labels, elapsed);
    }

    fn target(&self) -> Target<'_> {
        Target {
            resource: &self.resource,
            kind: self.kind,
            caller: &self.caller,
            namespace: &self.namespace,
            name: "",
        }
    }
}
