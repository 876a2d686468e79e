//! Templates that are there from the start: created if absent, never overwritten; a deleted one comes back.

use std::sync::Arc;

use async_trait::async_trait;
use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::{Value, json};
use tokio::time::Duration;

use super::super::Options;
use super::maker::{MakerKind, MakerObject};
use super::world::RoleWorld;
use crate::controllers::manager::Manager;
use crate::controllers::store::Change;
use crate::controllers::{Error, Key, Next, Reconcile};
use crate::groups::tenancy::rbac::Rule;
use crate::groups::tenancy::{FILTERED, PROJECT_ROLE, ROLES};
use crate::wire::subject::RBAC_GROUP;

/// All verbs but those that lead beyond one's own rights.
const ALL: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];
const READ: [&str; 3] = ["get", "list", "watch"];
const CATALOG: &str = "catalog.kubecarrier.io";

/// The templates of tenancy.md R7, and with `kubecarrier` those for providers and tenants.
pub fn templates(kubecarrier: bool) -> Vec<Value> {
    let mut bind = ALL.to_vec();
    bind.push("bind");
    let made = ["projectroletemplates", "organizationroles", "projectroles"];
    let mut templates = vec![
        template(
            "project-admin",
            (
                "Project administrators",
                "Owners of an Organization manage its Projects, and the roles in them.",
            ),
            json!({"scopes": ["Organization"], "bindTo": ["Owners"], "rules": [
                Rule::on(FILTERED, &["projects"], &ALL),
                Rule::on(ROLES, &made, &ALL),
            ]}),
        ),
        template(
            "rbac-admin",
            (
                "Role administrators",
                "Owners of an Organization say who may do what in it and in its Projects.",
            ),
            json!({"scopes": ["Organization", "Project"], "bindTo": ["Owners"], "rules": [
                Rule::on(RBAC_GROUP, &["roles"], &bind),
                Rule::on(RBAC_GROUP, &["rolebindings"], &ALL),
            ]}),
        ),
    ];
    if kubecarrier {
        templates.extend([provider(), tenant()]);
    }
    templates
}

fn provider() -> Value {
    let catalog = [
        "catalogs",
        "catalogentries",
        "catalogentrysets",
        "derivedcustomresources",
    ];
    let write = ["get", "list", "watch", "update", "patch"];
    let rules = [
        Rule::on(CATALOG, &catalog, &["*"]),
        Rule::on("kubecarrier.io", &["*"], &["*"]),
        Rule::on("", &["secrets"], &["*"]),
        Rule::on(CATALOG, &["tenants"], &write),
    ];
    let names = ("Providers", "Members of a provider's Project offer services.");
    of_projects("provider", names, &rules)
}

fn tenant() -> Value {
    let rules = [Rule::on(CATALOG, &["offerings", "providers", "regions"], &READ)];
    let names = ("Tenants", "Members of a tenant's Project see what is on offer.");
    of_projects("tenant", names, &rules)
}

fn of_projects(role: &str, names: (&str, &str), rules: &[Rule]) -> Value {
    let spec = json!({
        "scopes": ["Project"],
        "bindTo": ["Everyone"],
        "projectSelector": {"matchLabels": {PROJECT_ROLE: role}},
        "rules": rules,
    });
    template(&format!("kubecarrier:{role}"), names, spec)
}

fn template(name: &str, (display_name, description): (&str, &str), mut spec: Value) -> Value {
    spec["metadata"] = json!({"displayName": display_name, "description": description});
    json!({
        "apiVersion": format!("{ROLES}/v1alpha1"),
        "kind": MakerKind::OrganizationRoleTemplate.name(),
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// How soon after the start.
const SOON: Duration = Duration::from_millis(1);

struct Defaults {
    world: Arc<RoleWorld>,
    client: Client,
    templates: Vec<Value>,
}

/// Looks at the start, and whenever a template goes.
pub(super) fn register(manager: &mut Manager, world: &Arc<RoleWorld>, options: &Options) {
    let queue = manager.queue("defaulttemplate");
    let templates = templates(options.kubecarrier_templates);
    let names = templates.iter().filter_map(|it| it["metadata"]["name"].as_str());
    let names: Vec<Key> = names.map(Key::cluster).collect();
    // What is not there is no object of which the queue would be told when it opens.
    names.iter().for_each(|key| queue.add_after(key.clone(), SOON));
    world
        .makers(MakerKind::OrganizationRoleTemplate)
        .notify(&queue, move |change: &Change<'_, MakerObject>| {
            let key = change.key();
            let gone = change.new.is_none() && names.contains(&key);
            gone.then_some(key).into_iter().collect()
        });
    let reconciler = Defaults {
        world: world.clone(),
        client: manager.client(),
        templates,
    };
    manager.controller(queue, 1, Arc::new(reconciler));
}

#[async_trait]
impl Reconcile for Defaults {
    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let kind = MakerKind::OrganizationRoleTemplate;
        if self.world.makers(kind).get(key).is_some() {
            return Ok(Next::Done);
        }
        let Some(template) = self
            .templates
            .iter()
            .find(|it| it["metadata"]["name"] == key.name.as_str())
        else {
            return Ok(Next::Done);
        };
        let template: DynamicObject =
            serde_json::from_value(template.clone()).map_err(|error| Error::Panic(error.to_string()))?;
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &kind.resource());
        match api
            .create(&PostParams::default(), &template)
            .await
            .map_err(Error::request("create template"))
        {
            // Somebody else made it.
            Err(error) if error.code() != Some(409) => Err(error),
            _ => Ok(Next::Done),
        }
    }
}
