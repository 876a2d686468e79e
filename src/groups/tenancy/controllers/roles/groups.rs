//! Which API groups the cluster serves: what a wildcard over them is written as.

use std::sync::Arc;

use async_trait::async_trait;
use kube::Client;
use tokio::time::Duration;

use super::world::RoleWorld;
use crate::controllers::manager::Manager;
use crate::controllers::queue::Queue;
use crate::controllers::{Error, Key, Next, Reconcile};
use crate::groups::tenancy::STORAGE;
use crate::groups::tenancy::rbac::Groups;

/// As often as the garbage collector asks for new resources (k8s.io/kubernetes cmd/kube-controller-manager).
const PAUSE: Duration = Duration::from_secs(30);

/// How soon after the start.
const SOON: Duration = Duration::from_millis(1);

struct Discovery {
    world: Arc<RoleWorld>,
    client: Client,
    namespaces: Arc<Queue>,
}

/// Asks now, and again from time to time.
pub(super) fn register(manager: &mut Manager, world: &Arc<RoleWorld>, namespaces: Arc<Queue>) {
    let queue = manager.queue("apigroup");
    // No object stands for it, of which the queue would be told when it opens.
    queue.add_after(Key::default(), SOON);
    let reconciler = Discovery {
        world: world.clone(),
        client: manager.client(),
        namespaces,
    };
    manager.controller(queue, 1, Arc::new(reconciler));
}

#[async_trait]
impl Reconcile for Discovery {
    async fn reconcile(&self, _key: &Key) -> Result<Next, Error> {
        let listed = self
            .client
            .list_api_groups()
            .await
            .map_err(Error::request("list API groups"))?;
        let known = self.world.groups.load_full();
        // A group that is gone for now grants nothing, and its return would bring a write of every wildcard.
        let before = known.iter().flat_map(|groups| groups.served().map(str::to_owned));
        let names = listed.groups.into_iter().map(|group| group.name);
        let groups = Groups::new(names.chain(before), STORAGE);
        if known.as_deref() != Some(&groups) {
            self.world.groups.store(Some(Arc::new(groups)));
            for name in self.world.all_namespaces() {
                self.namespaces.add(Key::cluster(name));
            }
        }
        Ok(Next::After(PAUSE))
    }
}
