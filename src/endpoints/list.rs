//! GET of a collection (k8s.io/apiserver pkg/endpoints/handlers/get.go ListResource).

use std::sync::Arc;

use http::Response;

use super::Call;
use super::encode::{self, Page, Shown};
use crate::http::body::Body;
use crate::rest::Target;
use crate::rest::paging::Position;
use crate::rest::store::read::Freshness;
use crate::watchcache::{Object, Revision, Snapshot};
use crate::wire::negotiate::Shape;
use crate::wire::options::{ListOptions, VersionMatch};
use crate::wire::status::Status;

/// Kubernetes' own words for a token whose revision is gone (k8s.io/apiserver pkg/storage/etcd3/errors.go).
const EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new \
                       list without the continue parameter, or use the continue token in this response to retrieve the \
                       remainder of the results. Continuing with the provided token results in an inconsistent list - \
                       objects that were created, modified, or deleted between the time the first chunk was returned and now \
                       may show up in the list.";

/// Answers with everything that exists for the caller, or with one page of it.
pub async fn list(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let Listed {
        snapshot,
        at,
        objects,
        page,
    } = selected(call).await?;
    call.caller.notes.show(objects.len());
    encode::list(call, at, &page, &shown(call, &objects, &snapshot, at))
}

/// What the query of a list asks for: everything, or one page.
///
/// # Errors
/// 400 and 422 for options that cannot be, 410 for a revision that is gone.
pub async fn selected(call: &Call<'_>) -> Result<Listed, Status> {
    let options = options(call)?;
    options.validate_list()?;
    let target = call.target();
    let (snapshot, at, mut objects) = if options.continue_token.is_empty() {
        first(call, &options).await?
    } else {
        next(call, &options).await?
    };
    // A list of "whatever there is" is never paged (k8s.io/apiserver pkg/storage/cacher).
    let limit = usize::try_from(options.limit).unwrap_or(0);
    let paged = limit > 0 && objects.len() > limit && options.resource_version != "0";
    let mut page = Page::default();
    if paged {
        // Only what the caller sees is counted, and what a selector leaves out is not told apart from it (V6).
        let selecting = !options.label_selector.is_empty() || !options.field_selector.is_empty();
        page.remaining = (!selecting).then_some(objects.len() - limit);
        objects.truncate(limit);
        let position = Position {
            revision: Some(at),
            after: objects.last().map(|last| last.key.to_string()).unwrap_or_default(),
        };
        page.token = Some(call.store.sealer().seal(&position, &scope(&target)).await?);
    }
    Ok(Listed {
        snapshot,
        at,
        objects,
        page,
    })
}

/// Objects at a revision.
pub struct Listed {
    /// As new as what is told of the past demands.
    pub snapshot: Arc<Snapshot>,
    /// The list's revision.
    pub at: Revision,
    /// What is visible and selected.
    pub objects: Vec<Arc<Object>>,
    /// What the list says about its rest.
    pub page: Page,
}

type Found = (Arc<Snapshot>, Revision, Vec<Arc<Object>>);

async fn first(call: &Call<'_>, options: &ListOptions) -> Result<Found, Status> {
    let revision = options.revision()?;
    let target = call.target();
    // With a limit and no match, a revision has always meant exactly that one.
    let exact = match options.resource_version_match {
        Some(VersionMatch::Exact) => true,
        Some(_) => false,
        None => options.limit > 0,
    };
    match revision {
        Some(wanted) if exact && wanted != 0 => {
            let snapshot = past(call, wanted).await?;
            let objects = call.store.select_at(&target, options, &snapshot, wanted)?;
            Ok((snapshot, wanted, objects))
        }
        _ => {
            let snapshot = call.store.snapshot(Freshness::from(revision)).await?;
            let objects = call.store.select(&target, options, &snapshot);
            let at = snapshot.revision;
            Ok((snapshot, at, objects))
        }
    }
}

/// The snapshot from which the past is told: as new as the newest commit anywhere, since what the caller has lost
/// meanwhile is not told (visibility rule V1).
async fn past(call: &Call<'_>, revision: Revision) -> Result<Arc<Snapshot>, Status> {
    let snapshot = call.store.snapshot(Freshness::Latest).await?;
    if snapshot.revision >= revision {
        return Ok(snapshot);
    }
    call.store.snapshot(Freshness::NotOlderThan(revision)).await
}

async fn next(call: &Call<'_>, options: &ListOptions) -> Result<Found, Status> {
    if !matches!(options.resource_version.as_str(), "" | "0") {
        let text = "specifying resource version is not allowed when using continue";
        return Err(Status::bad_request(text));
    }
    let target = call.target();
    let sealer = call.store.sealer();
    let position = sealer.open(&options.continue_token, &scope(&target)).await?;
    let snapshot = past(call, position.revision.unwrap_or(0)).await?;
    let (at, mut objects) = match position.revision {
        Some(at) => match call.store.select_at(&target, options, &snapshot, at) {
            Ok(objects) => (at, objects),
            Err(status) if status.code == 410 => {
                let rest = Position {
                    revision: None,
                    ..position
                };
                let mut status = Status::expired(EXPIRED);
                status.continue_token = Some(sealer.seal(&rest, &scope(&target)).await?.into());
                return Err(status);
            }
            Err(status) => return Err(status),
        },
        None => (snapshot.revision, call.store.select(&target, options, &snapshot)),
    };
    let listed = objects.partition_point(|object| *object.key <= *position.after);
    objects.drain(..listed);
    Ok((snapshot, at, objects))
}

/// What a token is good for.
fn scope(target: &Target<'_>) -> String {
    format!("{}/{}", target.resource.stored.plural, target.namespace)
}

/// The query of a list, watch or deletion of a collection.
pub fn options(call: &Call<'_>) -> Result<ListOptions, Status> {
    let options = ListOptions::parse(call.query)?;
    let spec = call.store.spec(call.kind);
    let known = |field: &str| {
        let stored = &call.resource.stored;
        let namespace = stored.namespaced || stored.conventions.any_kind_has_namespace_field();
        let own = field == "metadata.name" || field == "metadata.namespace" && namespace;
        own || spec.fields.iter().any(|own| own == field)
    };
    match options.field_selector.unknown(known) {
        Some(field) => {
            let text = call.resource.stored.conventions.unknown_field(field);
            Err(Status::bad_request(text))
        }
        None => Ok(options),
    }
}

/// The objects with what a table, and nothing else, says about the caller: at the list's revision.
pub fn shown<'a>(call: &Call<'_>, objects: &'a [Arc<Object>], snapshot: &Snapshot, at: Revision) -> Vec<Shown<'a>> {
    let target = call.target();
    let tells = call.representation.shape == Shape::Table && target.filtered();
    let then = tells.then(|| call.store.audiences_at(&target, snapshot, at));
    let role = |object: &Object| match then.as_ref()?.get(&*object.key) {
        Some(audience) => audience.role(&call.caller.subjects),
        None => call.store.role(&target, object, snapshot),
    };
    let shown = objects.iter().map(|object| Shown {
        role: role(object),
        object,
    });
    shown.collect()
}
