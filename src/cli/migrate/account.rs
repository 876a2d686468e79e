//! KubeCarrier's Account (`catalog.kubecarrier.io/v1alpha1`), as far as something of ours comes of it.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::groups::tenancy::{STORAGE, subjects};
use crate::wire::meta;

/// What an Account's roles become a label of: the Projects.
pub(super) const ROLE_LABEL: &str = "kubecarrier.io/project-role";
/// On what was made from an Account: its name and uid. The uid tells it from an Account of that name that came later, and
/// from what somebody merely named so.
pub(super) const ORIGIN: &str = "bulward.io/migrated-from";

/// The roles that there are, and the Projects that they become.
const ROLES: [(&str, &str); 2] = [("Provider", "provider"), ("Tenant", "tenant")];

/// An Account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) name: String,
    /// The Namespace that KubeCarrier made for it.
    pub(super) namespace: Option<String>,
    uid: String,
    deleting: bool,
    /// Or what about it cannot be read.
    spec: Result<Spec, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    metadata: Metadata,
    roles: Vec<String>,
    subjects: Vec<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    display_name: String,
    short_description: String,
    description: String,
    logo: Option<Value>,
    icon: Option<Value>,
}

impl Account {
    /// Reads one as it is in the cluster or in a file.
    pub(super) fn read(object: &Value) -> Self {
        let spec = object.get("spec").cloned().unwrap_or_default();
        // Older versions have the name itself there.
        let namespace = &object["status"]["namespace"];
        let namespace = namespace["name"].as_str().or(namespace.as_str());
        Self {
            name: meta::name(object).to_owned(),
            namespace: namespace.filter(|name| !name.is_empty()).map(str::to_owned),
            uid: meta::uid(object).to_owned(),
            deleting: meta::deletion_timestamp(object).is_some(),
            spec: Spec::deserialize(spec).map_err(|error| error.to_string()),
        }
    }

    /// What speaks against taking it over, whatever else there is. The rules are those of KubeCarrier's webhook, with its
    /// texts (pkg/manager/internal/webhooks/account_webhook.go): it may have been switched off when the Account was written.
    pub(super) fn problems(&self) -> Vec<String> {
        let spec = match &self.spec {
            Ok(spec) => spec,
            Err(why) => return vec![format!("its spec cannot be read: {why}")],
        };
        let mut problems = Vec::new();
        if self.deleting {
            problems.push("the Account is being deleted".to_owned());
        }
        let mut seen = HashSet::new();
        let duplicated = spec.roles.iter().find(|role| !seen.insert(role.as_str()));
        if let Some(role) = duplicated {
            problems.push(format!("role {role} is duplicated"));
        }
        if spec.roles.is_empty() {
            problems.push("no roles assigned".to_owned());
        }
        let known = |role: &&String| ROLES.iter().any(|(name, _)| name == role);
        problems.extend(
            spec.roles
                .iter()
                .filter(|role| !known(role))
                .map(|role| format!("role {role} is neither Provider nor Tenant")),
        );
        let named = !spec.metadata.short_description.is_empty() && !spec.metadata.display_name.is_empty();
        if seen.contains("Provider") && !named {
            let text = "the short description or the display name of an Account with Provider role cannot be empty";
            problems.push(text.to_owned());
        }
        problems
    }

    /// What is left behind.
    pub(super) fn notes(&self) -> Vec<String> {
        let metadata = self.spec.as_ref().map(|spec| &spec.metadata);
        let pictures = metadata.is_ok_and(|metadata| metadata.logo.is_some() || metadata.icon.is_some());
        let text = || "logo and icon stay behind: an Organization has neither".to_owned();
        pictures.then(text).into_iter().collect()
    }

    /// The value of [`ORIGIN`].
    pub(super) fn origin(&self) -> String {
        format!("{}/{}", self.name, self.uid)
    }

    /// The Organization `name` that it becomes. The roles are not in it: they are the Projects.
    pub(super) fn organization(&self, name: &str) -> Value {
        let (display_name, description) = self.texts();
        json!({
            "apiVersion": format!("{STORAGE}/v1alpha1"),
            "kind": "Organization",
            "metadata": {"name": name, "annotations": {ORIGIN: self.origin()}},
            "spec": {
                "metadata": {"displayName": display_name, "description": description},
                "owners": self.owners(),
            },
        })
    }

    /// The Projects that its roles become, in the namespace of the Organization `organization`.
    pub(super) fn projects(&self, organization: &str) -> Vec<Value> {
        let roles = self.spec.as_ref().map(|spec| spec.roles.as_slice()).unwrap_or_default();
        let named = ROLES.iter().filter(|(role, _)| roles.iter().any(|has| has == role));
        named
            .map(|(_, project)| {
                json!({
                    "apiVersion": format!("{STORAGE}/v1alpha1"),
                    "kind": "Project",
                    "metadata": {
                        "name": project,
                        "namespace": organization,
                        "labels": {ROLE_LABEL: project},
                        "annotations": {ORIGIN: self.origin()},
                    },
                    "spec": {"owners": self.owners()},
                })
            })
            .collect()
    }

    /// Display name and description; an Organization has both or neither.
    fn texts(&self) -> (&str, &str) {
        let name = self.name.as_str();
        let Ok(Spec { metadata, .. }) = &self.spec else {
            return (name, name);
        };
        let Metadata {
            display_name,
            short_description,
            description,
            ..
        } = metadata;
        (
            first(&[display_name, name]),
            first(&[short_description, description, display_name, name]),
        )
    }

    /// Its subjects, each once.
    fn owners(&self) -> Vec<Value> {
        let mut owners = Value::Array(self.spec.as_ref().map(|spec| spec.subjects.clone()).unwrap_or_default());
        subjects::default(&mut owners);
        let mut seen = HashSet::new();
        let Value::Array(mut owners) = owners else {
            return Vec::new();
        };
        owners.retain(|owner| {
            let text = |name: &str| owner[name].as_str().unwrap_or_default().to_owned();
            seen.insert((text("kind"), text("namespace"), text("name")))
        });
        owners
    }
}

/// The first that says something.
fn first<'a>(texts: &[&'a str]) -> &'a str {
    texts.iter().find(|text| !text.is_empty()).copied().unwrap_or_default()
}
