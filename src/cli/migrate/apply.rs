//! Does what a plan says, one write a step. Every write is refused if what it rests upon has changed since, and nothing is
//! undone: whatever stops it, planning again finds what is left to do.

use std::time::Duration;

use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
    runtime::wait::await_condition,
};
use serde_json::{Value, json};

use super::plan::{Migration, Plan, Step, handed_to};
use crate::cluster::webhook::{chain, told};
use crate::groups::tenancy::{STORAGE, controllers::labels::ADOPT};
use crate::wire::meta;

/// Who wrote the fields, in `managedFields`.
const MANAGER: &str = "bulward-migrate";

/// The kinds that are read and written, each with its plural.
pub(super) fn resource(kind: &str) -> ApiResource {
    let (group, version, plural) = match kind {
        "Account" => ("catalog.kubecarrier.io", "v1alpha1", "accounts"),
        "Organization" => (STORAGE, "v1alpha1", "organizations"),
        "Project" => (STORAGE, "v1alpha1", "projects"),
        _ => ("", "v1", "namespaces"),
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

/// How a plan is carried out.
pub(super) struct Applier<'a> {
    pub(super) client: Client,
    /// Every write is sent with `dryRun=All`.
    pub(super) dry_run: bool,
    /// How long an Organization may take until it has its namespace.
    pub(super) patience: Duration,
    /// Is told each line.
    pub(super) say: &'a mut dyn FnMut(&str),
}

impl Applier<'_> {
    /// Organizations first, so that their namespaces are made while the others are created; Projects then, each when its
    /// Organization has its namespace. An Account that fails does not keep the others back. Answers how many failed.
    pub(super) async fn apply(&mut self, plan: &Plan) -> usize {
        let mut going = Vec::new();
        let mut failed = 0;
        for migration in &plan.accounts {
            for problem in &migration.problems {
                (self.say)(&format!("account/{} refused: {problem}", migration.account));
            }
            if migration.steps.is_empty() {
                continue;
            }
            let first = migration.steps.iter().filter(|step| step.object().0 != "Project");
            match self.steps(first).await {
                Ok(()) => going.push(migration),
                Err(why) => failed += self.failed(migration, &why),
            }
        }
        for migration in going {
            let projects = migration.steps.iter().filter(|step| step.object().0 == "Project");
            let new = projects.clone().any(|step| matches!(step, Step::Create(_)));
            let ready = match new && !self.dry_run {
                true => self.namespace_of(&migration.organization).await,
                false => Ok(()),
            };
            let done = match ready {
                Ok(()) => self.steps(projects).await,
                Err(why) => Err(why),
            };
            if let Err(why) = done {
                failed += self.failed(migration, &why);
            }
        }
        failed
    }

    fn failed(&mut self, migration: &Migration, why: &str) -> usize {
        (self.say)(&format!("account/{} failed: {why}", migration.account));
        1
    }

    async fn steps<'s>(&mut self, steps: impl Iterator<Item = &'s Step>) -> Result<(), String> {
        for step in steps {
            let (kind, namespace, name) = step.object();
            let place = if namespace.is_empty() {
                String::new()
            } else {
                format!(" in {namespace}")
            };
            let said = format!("{}/{name}{place}", kind.to_lowercase());
            let done = self.step(step).await.map_err(|why| format!("{said}: {why}"))?;
            let dry = if self.dry_run { " (server dry run)" } else { "" };
            (self.say)(&format!("{said} {done}{dry}"));
        }
        Ok(())
    }

    async fn step(&self, step: &Step) -> Result<&'static str, String> {
        match step {
            Step::Keep(_) => Ok("unchanged"),
            Step::Create(object) => self.create(object).await,
            Step::HandOver { found, name } => self.hand_over(found.as_ref(), name).await,
        }
    }

    async fn create(&self, object: &Value) -> Result<&'static str, String> {
        let resource = resource(meta::kind(object));
        let api: Api<DynamicObject> = match meta::namespace(object) {
            "" => Api::all_with(self.client.clone(), &resource),
            namespace => Api::namespaced_with(self.client.clone(), namespace, &resource),
        };
        let object: DynamicObject = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
        let params = PostParams {
            dry_run: self.dry_run,
            field_manager: Some(MANAGER.to_owned()),
        };
        match api.create(&params, &object).await {
            Ok(_) => Ok("created"),
            // Its namespace would have been made by the writes that were not made.
            Err(kube::Error::Api(status)) if self.dry_run && status.code == 404 => {
                Ok("not checked: its namespace is still to be made")
            }
            Err(error) => Err(told(&error)),
        }
    }

    /// Sets the annotation, unless the Namespace is not any more what was found.
    async fn hand_over(&self, found: Option<&Value>, name: &str) -> Result<&'static str, String> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource("Namespace"));
        let mut metadata = json!({"annotations": {ADOPT: handed_to(name)}});
        if let Some(found) = found {
            metadata["uid"] = meta::uid(found).into();
            metadata["resourceVersion"] = meta::resource_version(found).into();
        }
        let params = PatchParams {
            dry_run: self.dry_run,
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let patched = api.patch(name, &params, &patch).await;
        patched.map(|_| "handed over").map_err(|error| told(&error))
    }

    /// Waits until an Organization has its namespace: before that, a Project in it would be nobody's.
    async fn namespace_of(&self, organization: &str) -> Result<(), String> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource("Organization"));
        let own = organization.to_owned();
        let has_it = move |object: Option<&DynamicObject>| {
            object.is_some_and(|object| object.data["status"]["namespace"]["name"] == *own)
        };
        match tokio::time::timeout(self.patience, await_condition(api, organization, has_it)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("organization/{organization}: {}", chain(&error))),
            Err(_) => Err(format!(
                "organization/{organization} has no namespace after {:?}: does bulward controller-manager run? \
                 Run this again to go on",
                self.patience
            )),
        }
    }
}
