//! V16 with the real garbage collector and namespace controller: they harm nothing of ours, and we do not hold them up.

mod absent;
mod namespaces;
mod owners;
mod pairs;

use std::time::Duration;

use http::Request;
use serde_json::{Value, json};

use super::{Answer, ask, get, subjects};
use crate::harness::{Bulward, eventually};

/// The collector looks for new resources every 30 seconds, and is slow on a busy machine; matters only in a failure.
const COLLECTED: Duration = Duration::from_secs(180);

const CORE: &str = "v1";
const RBAC: &str = "rbac.authorization.k8s.io/v1";
const FILTERED: &str = "apiserver.bulward.io/v1alpha1";
const STORAGE: &str = "storage.bulward.io/v1alpha1";

/// An object that owns or is owned, in whatever group.
#[derive(Clone, Debug)]
struct Thing {
    api: &'static str,
    kind: &'static str,
    /// Empty for kinds without.
    namespace: String,
    name: String,
    uid: String,
}

impl Thing {
    /// What no object is.
    fn absent(api: &'static str, kind: &'static str, namespace: &str, name: &str) -> Thing {
        let namespaced = matches!(kind, "ConfigMap" | "Project");
        Thing {
            api,
            kind,
            namespace: if namespaced { namespace } else { "" }.to_owned(),
            name: name.to_owned(),
            uid: uuid::Uuid::new_v4().to_string(),
        }
    }

    /// The same object in the other view.
    fn through(&self, api: &'static str) -> Thing {
        Thing { api, ..self.clone() }
    }

    /// The same name, and another object.
    fn impostor(&self) -> Thing {
        Thing::absent(self.api, self.kind, &self.namespace, &self.name)
    }

    fn collection(&self) -> String {
        let root = if self.api == CORE { "/api" } else { "/apis" };
        let namespace = if self.namespace.is_empty() {
            String::new()
        } else {
            format!("/namespaces/{}", self.namespace)
        };
        format!("{root}/{}{namespace}/{}s", self.api, self.kind.to_lowercase())
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection(), self.name)
    }

    /// As an entry of `ownerReferences`.
    fn reference(&self) -> Value {
        json!({"apiVersion": self.api, "kind": self.kind, "name": self.name, "uid": self.uid, "blockOwnerDeletion": true})
    }
}

/// The shared control plane with our server, and who acts there.
struct Scene {
    admin: kube::Client,
    alice: kube::Client,
    /// One of the test's own.
    namespace: &'static str,
}

impl Scene {
    async fn new(namespace: &'static str) -> Scene {
        let (plane, _server) = Bulward::shared().await;
        let scene = Scene {
            admin: plane.client("admin").await,
            alice: plane.client("alice").await,
            namespace,
        };
        scene.add_namespace(namespace).await;
        scene
    }

    async fn add_namespace(&self, name: &str) {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let answer = self
            .write(&self.admin, Request::post("/api/v1/namespaces"), &body)
            .await;
        assert_eq!(answer.code, 201, "{answer:?}");
    }

    /// Creates an object with these owners; ours through the storage view, owned by alice.
    async fn make(&self, api: &'static str, kind: &'static str, name: &str, owners: &[&Thing]) -> Thing {
        self.make_in(self.namespace, api, kind, name, owners, &[]).await
    }

    /// The same with finalizers, in another namespace. What has no namespace is named after the test, too.
    async fn make_in(
        &self,
        namespace: &str,
        api: &'static str,
        kind: &'static str,
        name: &str,
        owners: &[&Thing],
        finalizers: &[&str],
    ) -> Thing {
        let mut thing = Thing::absent(api, kind, namespace, name);
        if thing.namespace.is_empty() {
            thing.name = format!("{}-{name}", self.namespace);
        }
        let references: Vec<Value> = owners.iter().map(|owner| owner.reference()).collect();
        let mut body = json!({
            "apiVersion": api, "kind": kind,
            "metadata": {"name": thing.name, "ownerReferences": references, "finalizers": finalizers},
        });
        if api == STORAGE {
            body["spec"] = json!({"owners": subjects(&["alice"])});
        }
        let answer = self.write(&self.admin, Request::post(thing.collection()), &body).await;
        assert_eq!(answer.code, 201, "{thing:?}: {answer:?}");
        answer.json()["metadata"]["uid"]
            .as_str()
            .unwrap()
            .clone_into(&mut thing.uid);
        thing
    }

    async fn write(&self, client: &kube::Client, request: http::request::Builder, body: &Value) -> Answer {
        let request = request.header("content-type", "application/json");
        ask(client, request, &body.to_string())
            .await
            .unwrap_or_else(|why| panic!("{why}: {body}"))
    }

    async fn merge(&self, thing: &Thing, change: &Value) -> Value {
        let request = Request::patch(thing.path()).header("content-type", "application/merge-patch+json");
        let answer = ask(&self.admin, request, &change.to_string()).await.unwrap();
        assert_eq!(answer.code, 200, "{thing:?}: {answer:?}");
        answer.json()
    }

    /// Deletes through the thing's own view: the filtered one as alice, every other as the administrator.
    async fn delete(&self, thing: &Thing, options: &Value) -> Value {
        let client = if thing.api == FILTERED {
            &self.alice
        } else {
            &self.admin
        };
        let answer = self.write(client, Request::delete(thing.path()), options).await;
        assert_eq!(answer.code, 200, "{thing:?} {options}: {answer:?}");
        answer.json()
    }

    /// The object as it is now, `None` if it is not there; the administrator reads ours in the storage view.
    async fn look(&self, thing: &Thing) -> Result<Option<Value>, String> {
        let thing = if thing.api == FILTERED {
            thing.through(STORAGE)
        } else {
            thing.clone()
        };
        let answer = get(&self.admin, &thing.path()).await;
        match answer.code {
            200 if answer.json()["metadata"]["uid"] == *thing.uid => Ok(Some(answer.json())),
            200 | 404 => Ok(None),
            _ => Err(format!("{answer:?}")),
        }
    }

    /// The object, which is there.
    async fn present(&self, thing: &Thing) -> Value {
        let check = async || self.look(thing).await;
        let found = eventually(&format!("{thing:?} can be read"), COLLECTED, check).await;
        found.unwrap_or_else(|| panic!("{thing:?} is gone"))
    }

    async fn gone(&self, thing: &Thing) {
        let check = async || match self.look(thing).await? {
            None => Ok(()),
            Some(object) => Err(object.to_string()),
        };
        eventually(&format!("{thing:?} is gone"), COLLECTED, check).await;
    }

    /// Waits until the object's metadata satisfy `enough`.
    async fn until(&self, thing: &Thing, what: &str, enough: impl Fn(&Value) -> bool) {
        let check = async || match self.look(thing).await? {
            Some(object) if enough(&object["metadata"]) => Ok(()),
            other => Err(format!("{other:?}")),
        };
        eventually(&format!("{thing:?} {what}"), COLLECTED, check).await;
    }

    /// Returns when the collector knows everything of these kinds that was written before.
    ///
    /// It takes in the objects of a kind one after the other: once it has taken away one whose owner was never there, it has
    /// seen those that came before. Without this, an owner might go before the collector knows that it has dependents.
    async fn collector_knows(&self, kinds: &[(&'static str, &'static str)]) {
        static SERIAL: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let nobody = Thing::absent(RBAC, "ClusterRole", "", "never-was");
        let mut markers = Vec::new();
        for (api, kind) in kinds {
            let serial = SERIAL.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let name = format!("marker-{serial}");
            markers.push(self.make(api, kind, &name, &[&nobody]).await);
        }
        for marker in &markers {
            self.gone(marker).await;
        }
    }
}

/// The references of an object.
fn owners_of(object: &Value) -> Vec<&Value> {
    object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|owner| &owner["uid"])
        .collect()
}
