//! The control plane that the tenancy tests share, and what they do and see there.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::harness::in_process::{Answer, Caller};
use crate::harness::tenancy::{
    a_project, an_organization, as_stored, organization, organizations, project, projects, stored,
};
use crate::harness::{Bulward, ControlPlane, Controllers, eventually, started_once};

/// Generous: it matters only in a failure.
pub(crate) const SOON: Duration = Duration::from_secs(120);

/// A control plane on which controllers act. Names in it are everybody's: a test uses Organizations named after itself.
pub(crate) struct Stage {
    pub(crate) plane: ControlPlane,
    _server: Bulward,
    pub(crate) controllers: Controllers,
}

/// The administrator of a stage, with connections of the test's own.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) caller: Caller,
}

impl Stage {
    /// The one that is shared; nobody stops any of it.
    pub(crate) async fn shared() -> &'static Stage {
        static SHARED: OnceCell<Result<Stage, String>> = OnceCell::const_new();
        let start = async || Ok(Stage::start("tenancy", &["--leader-elect=false"]).await);
        started_once("the tenancy tests' control plane", &SHARED, start).await
    }

    /// One of the test's own.
    pub(crate) async fn start(name: &str, flags: &[&str]) -> Stage {
        Stage::serving(name, &[], flags).await
    }

    /// One whose server has flags of its own, too.
    pub(crate) async fn serving(name: &str, server: &[&str], flags: &[&str]) -> Stage {
        let plane = ControlPlane::start(name).await;
        let server = Bulward::start(&plane, server).await;
        server.register(&plane).await;
        let controllers = Controllers::start(&plane, flags).await;
        Stage {
            plane,
            _server: server,
            controllers,
        }
    }

    pub(crate) async fn caller(&self, user: &str) -> Caller {
        Caller::through(self.plane.client(user).await)
    }

    pub(crate) async fn admin(&self) -> Admin {
        Admin {
            caller: self.caller("admin").await,
        }
    }
}

/// Where a Namespace is.
pub(crate) fn namespace(name: &str) -> String {
    format!("/api/v1/namespaces/{name}")
}

/// Where the RoleBindings of a namespace are.
pub(crate) fn bindings(namespace: &str) -> String {
    format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings")
}

/// A RoleBinding of a role that lets nobody do anything.
pub(crate) fn a_binding(name: &str, subjects: &[Value]) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "nothing"},
        "subjects": subjects,
    })
}

/// The condition Ready as `status/reason`.
pub(crate) fn ready(object: &Value) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == "Ready"));
    let text = |field: &str| ready.and_then(|ready| ready[field].as_str()).unwrap_or("-").to_owned();
    format!("{}/{}", text("status"), text("reason"))
}

/// Names in `status.members`, but for alice, who owns what these tests make: the default templates bind her.
pub(crate) fn members(object: &Value) -> Vec<String> {
    let members = object["status"]["members"].as_array().cloned().unwrap_or_default();
    let names = members.iter().filter_map(|member| member["name"].as_str());
    let names = names.filter(|name| *name != "alice");
    names.map(str::to_owned).collect()
}

impl Admin {
    /// Creates an Organization through the storage view, where the administrator need not own it.
    pub(crate) async fn organization(&self, name: &str, owners: &[Value]) -> Value {
        let body = as_stored(an_organization(name, owners));
        self.caller.post(&stored(&organizations()), &body).await.expect(201)
    }

    /// Creates a Project in the same way.
    pub(crate) async fn project(&self, namespace: &str, name: &str, owners: &[Value]) -> Value {
        let body = as_stored(a_project(name, owners));
        self.caller.post(&stored(&projects(namespace)), &body).await.expect(201)
    }

    /// Creates a Namespace that is nobody's.
    pub(crate) async fn namespace(&self, name: &str, metadata: Value) -> Value {
        let mut body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        body["metadata"]["name"] = json!(name);
        self.caller.post("/api/v1/namespaces", &body).await.expect(201)
    }

    /// Binds subjects in a namespace.
    pub(crate) async fn bind(&self, namespace: &str, name: &str, subjects: &[Value]) -> Value {
        self.caller
            .post(&bindings(namespace), &a_binding(name, subjects))
            .await
            .expect(201)
    }

    /// Waits until the object at this path is there and `enough`.
    pub(crate) async fn until(&self, path: &str, what: &str, enough: impl Fn(&Value) -> bool) -> Value {
        let look = async || {
            let answer = self.caller.get(path).await;
            match answer.code {
                200 if enough(&answer.json()) => Ok(answer.json()),
                _ => Err(answer.text()),
            }
        };
        eventually(&format!("{path}: {what}"), SOON, look).await
    }

    /// Waits until it is gone.
    pub(crate) async fn gone(&self, path: &str) {
        let look = async || {
            let answer = self.caller.get(path).await;
            if answer.code == 404 { Ok(()) } else { Err(answer.text()) }
        };
        eventually(&format!("{path} is gone"), SOON, look).await;
    }

    /// Waits until an Organization is ready, and its owners have the roles of the default templates; answers it in the storage
    /// view.
    pub(crate) async fn ready_organization(&self, name: &str) -> Value {
        let path = stored(&organization(name));
        let bound = |it: &Value| {
            let owners = it["spec"]["owners"].as_array();
            let members = it["status"]["members"].as_array();
            let is_member = |owner| members.is_some_and(|members| members.contains(owner));
            owners.into_iter().flatten().all(is_member)
        };
        self.until(&path, "ready", |it| ready(it) == "True/SetupComplete" && bound(it))
            .await
    }

    /// Waits until a Project is ready.
    pub(crate) async fn ready_project(&self, namespace: &str, name: &str) -> Value {
        let path = stored(&project(namespace, name));
        self.until(&path, "ready", |it| ready(it) == "True/SetupComplete").await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.caller.get(path).await.expect(200)
    }

    pub(crate) async fn merge(&self, path: &str, change: Value) -> Value {
        self.caller.merge(path, &change).await.expect(200)
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        let answer = self.caller.delete(path).await;
        assert!(
            matches!(answer.code, 200 | 202),
            "{}: {}",
            answer.request,
            answer.text()
        );
        answer
    }
}
