//! A few Organizations to look at, made once through the API by the users to whom they belong.

use std::time::Duration;

use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};

use super::client::{call, client};
use super::folder::Folder;

/// How often readiness is asked for, and how long at most.
const POLL: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);

const FILTERED: &str = "/apis/apiserver.bulward.io/v1alpha1/organizations";
const UNFILTERED: &str = "/apis/storage.bulward.io/v1alpha1/organizations";
const TEMPLATES: &str = "/apis/bulward.io/v1alpha1/organizationroletemplates";

/// The maker, the name, what it says of itself, and the owners.
const SAMPLE: [(&str, &str, &str, &[&str]); 3] = [
    ("alice", "acme", "Rockets and anvils", &["alice"]),
    ("bob", "globex", "World domination", &["bob"]),
    ("alice", "shared", "Owned by both", &["alice", "bob"]),
];

/// Waits until the server says that it is ready.
pub(super) async fn ready(folder: &Folder) -> Result<(), String> {
    let admin = client(folder, "admin")?;
    let asking = async {
        loop {
            let request = Request::get("/readyz")
                .body(Vec::new())
                .map_err(|error| error.to_string())?;
            if admin.request_text(request).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let late = |_| format!("not ready within {PATIENCE:?}; more with -v 4");
    tokio::time::timeout(PATIENCE, asking).await.map_err(late)?
}

/// Waits until every Organization is what it should be, and its owners have their roles; false if that takes too long.
pub(super) async fn settled(admin: &Client) -> bool {
    let list = async |path| {
        let list = call(admin, Method::GET, path, None).await.unwrap_or_default();
        list["items"].as_array().cloned()
    };
    let asking = async {
        loop {
            if let (Some(organizations), Some(templates)) = (list(UNFILTERED).await, list(TEMPLATES).await) {
                let ready = |one: &Value| one["status"]["phase"] == "Ready";
                let rolled_out = |one: &Value| is_rolled_out(one, organizations.len());
                if organizations.iter().all(ready) && !templates.is_empty() && templates.iter().all(rolled_out) {
                    return;
                }
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.is_ok()
}

/// Whether a template has its roles in so many Organizations, or never will.
fn is_rolled_out(template: &Value, organizations: usize) -> bool {
    let scopes = template["spec"]["scopes"].as_array();
    let meant = scopes.is_some_and(|scopes| scopes.contains(&json!("Organization")));
    let targets = template["status"]["targets"].as_array();
    !meant || template["status"]["phase"] == "NotReady" || targets.is_some_and(|all| all.len() >= organizations)
}

/// Makes the sample unless there is an Organization already.
pub(super) async fn make(folder: &Folder) -> Result<(), String> {
    let stored = call(
        &client(folder, "admin")?,
        Method::GET,
        &format!("{UNFILTERED}?limit=1"),
        None,
    )
    .await?;
    if stored["items"].as_array().is_some_and(|items| !items.is_empty()) {
        return Ok(());
    }
    for (maker, name, description, owners) in SAMPLE {
        let body = organization(name, description, owners);
        call(&client(folder, maker)?, Method::POST, FILTERED, Some(&body)).await?;
    }
    Ok(())
}

fn organization(name: &str, description: &str, owners: &[&str]) -> Value {
    let owner = |name: &&str| json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name});
    json!({
        "apiVersion": "apiserver.bulward.io/v1alpha1",
        "kind": "Organization",
        "metadata": {"name": name},
        "spec": {
            "metadata": {"displayName": name, "description": description},
            "owners": owners.iter().map(owner).collect::<Vec<_>>(),
        },
    })
}
