//! Watch: the changes of "visible and matches the selectors", each once, in revision order (visibility rules V3–V5).
//!
//! Wire behaviour as in k8s.io/apiserver pkg/endpoints/handlers/watch.go and pkg/storage/cacher. The stream is pulled by
//! the connection: a client that reads slowly slows its own watch alone, and is cut off when its queue overflows.

mod frames;
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
use crate::rest::store::read::Freshness;
use crate::watchcache::Interest;
use crate::wire::negotiate::Format;
use crate::wire::status::Status;

use frames::Frames;
use stream::{Start, Stream};

/// How long a watch goes on when the client does not say: at least this, at most twice this.
const MIN_TIMEOUT: Duration = Duration::from_secs(1800);
/// No watch is meant to last longer, and a clock cannot count for ever.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Starts a watch.
pub async fn watch(
    call: &Call<'_>,
    headers: &HeaderMap,
    upgrade: Option<Upgrade>,
    drain: &CancellationToken,
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
    let interest = if target.filtered() {
        Interest::Subjects(call.kind, call.caller.subjects.clone())
    } else {
        Interest::Kind(call.kind)
    };
    let subscription = call
        .store
        .cache()
        .subscribe(interest)
        .map_err(crate::rest::store::stale)?;
    let start = subscription.start.clone();
    let start = if initial {
        Start::Initial(call.store.select(&target, &options, &start))
    } else {
        let revision = revision.unwrap_or(start.revision);
        match start.log().since(revision) {
            Some(entries) => Start::Replay(revision, entries.cloned().collect()),
            None => {
                let status = Status::too_old(revision, start.log().floor());
                return Ok(respond(frames.content_type(), once(frames.error(&status))));
            }
        }
    };
    let timeout = match options.timeout_seconds {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds.unsigned_abs()).min(LONGEST),
        _ => MIN_TIMEOUT.mul_f64(rand::rng().random_range(1.0..2.0)),
    };
    let content_type = frames.content_type();
    let stream = Stream::new(call, options, frames, subscription, start, timeout);
    let events = futures::stream::unfold((stream, drain.clone()), |(mut stream, drain)| async move {
        let next = drain.run_until_cancelled(stream.next()).await.flatten()?;
        Some((next, (stream, drain)))
    });
    Ok(respond(content_type, events.boxed()))
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
#[derive(Clone)]
struct Owned {
    store: Arc<crate::rest::Store>,
    resource: Arc<crate::rest::resource::Resource>,
    kind: crate::visibility::KindId,
    caller: Arc<crate::rest::Caller>,
    namespace: Box<str>,
}

impl Owned {
    fn target(&self) -> crate::rest::Target<'_> {
        crate::rest::Target {
            resource: &self.resource,
            kind: self.kind,
            caller: &self.caller,
            namespace: &self.namespace,
            name: "",
        }
    }
}
