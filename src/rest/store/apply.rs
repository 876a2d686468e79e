//! Server-side apply: an update of what is there, or a create (k8s.io/apiserver pkg/endpoints/handlers/patch.go).

use serde_json::Value;

use super::update::{Part, Way};
use super::{Store, Wanted, WriteOptions, Written};
use crate::rest::caller::Target;
use crate::rest::field_manager::Configuration;
use crate::wire::meta;
use crate::wire::status::Status;

/// How often an object that comes and goes is looked at.
const LOOKS: usize = 3;

impl Store {
    /// Applies a configuration, and says whether the object is new. `may_create` is awaited before anything is created.
    ///
    /// What the caller does not see is not there: an apply under a name that is taken unseen is a create under a taken
    /// name (visibility rule V7).
    ///
    /// # Errors
    /// As [`Store::update`] and [`Store::create`]; 409 for conflicts with other managers.
    pub async fn apply(
        &self,
        target: &Target<'_>,
        part: Part,
        options: &WriteOptions,
        config: Configuration<'_>,
        may_create: impl Future<Output = Result<(), Status>> + Send,
    ) -> Result<(Written, bool), Status> {
        let mut taken = None;
        let mut may_create = Some(may_create);
        for _ in 0..LOOKS {
            let updated = self.update(target, "patch", part, options, Way::Applied(config)).await;
            match updated {
                Err(status) if status.code == 404 && part == Part::Main => {}
                result => return result.map(|written| (written, false)),
            }
            if let Some(taken) = taken {
                return Err(taken);
            }
            if let Some(may_create) = may_create.take() {
                may_create.await?;
            }
            match self.create_applied(target, options, config).await {
                Err(status) if status.reason == "AlreadyExists" => taken = Some(status),
                result => return result.map(|written| (written, true)),
            }
        }
        Err(taken.unwrap_or_else(|| Status::modified(&target.resource.group_resource(), target.name)))
    }

    /// How the kind writes what means the same.
    pub(super) fn normalize<'a>(&self, target: &'a Target<'_>) -> impl Fn(&mut Value) + Send + Sync + 'a {
        let strategy = target.resource.strategy();
        move |object: &mut Value| strategy.normalize(object)
    }

    async fn create_applied(
        &self,
        target: &Target<'_>,
        options: &WriteOptions,
        config: Configuration<'_>,
    ) -> Result<Written, Status> {
        let nothing = target.resource.complete(self.nothing(target));
        let write = options.write(target, Part::Main);
        let mut object = self
            .fields(target.kind)
            .apply(&nothing, &config, &write, &self.normalize(target))?;
        if meta::name(&object).is_empty() {
            let text = format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                target.name
            );
            return Err(Status::bad_request(text));
        }
        let uid = meta::uid(&object);
        if !uid.is_empty() {
            let why =
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
            return Err(Status::conflict(&target.resource.group_resource(), target.name, why));
        }
        self.tidy_applied(target, &mut object)?;
        let wanted = Wanted {
            object,
            warnings: Vec::new(),
        };
        self.create_new(target, wanted, options, false).await
    }
}
