//! The roles that the server itself stores, as its authorizer: read from the watch cache, change by change.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::authz::rbac::{Part, Policy, RoleRef, Rule};
use crate::authz::{Attributes, Authorizer, Decision, ResourceAttributes, Rules};
use crate::rest::admission::{Admission, Attempt, Operation};
use crate::rest::caller::Target;
use crate::rest::resource::Registry;
use crate::rest::store::stale;
use crate::rest::store::update::Part as Half;
use crate::storage::Revision;
use crate::visibility::KindId;
use crate::watchcache::{Cache, Object, Snapshot};
use crate::wire::status::Status;
use crate::wire::subject::RBAC_GROUP;
use crate::wire::user::{GROUP_MASTERS, UserInfo};
use crate::wire::{json, meta};

/// RBAC over the Roles and bindings in the watch cache. It decides without any input or output.
pub(super) struct StoredRoles {
    cache: Arc<Cache>,
    kinds: Vec<(KindId, Part)>,
    current: ArcSwapOption<Current>,
    /// Held by whoever brings `current` up to date.
    updating: Mutex<()>,
}

/// What the cache held at a revision.
struct Current {
    revision: Revision,
    policy: Policy,
}

impl StoredRoles {
    /// Reads the roles of `registry` from its cache.
    ///
    /// # Errors
    /// The registry has none.
    pub(super) fn new(registry: &Registry, cache: Arc<Cache>) -> Result<Self, String> {
        let kinds = registry.kinds();
        let find = |part: Part| {
            let at = kinds.iter().position(|kind| kind.kind == part.kind());
            let id = at.and_then(|at| u16::try_from(at).ok()).map(KindId);
            id.map(|id| (id, part))
                .ok_or_else(|| format!("no {} is stored here", part.kind()))
        };
        Ok(Self {
            kinds: Part::ALL.into_iter().map(find).collect::<Result<_, _>>()?,
            cache,
            current: ArcSwapOption::empty(),
            updating: Mutex::new(()),
        })
    }

    /// The newest policy.
    fn current(&self) -> Result<Arc<Current>, String> {
        let snapshot = self.cache.any().map_err(|error| error.to_string())?;
        if let Some(current) = self.known(&snapshot) {
            return Ok(current);
        }
        let _updating = self.updating.lock();
        if let Some(current) = self.known(&snapshot) {
            return Ok(current);
        }
        let current = Arc::new(Current {
            revision: snapshot.revision,
            policy: self.read(&snapshot),
        });
        self.current.store(Some(current.clone()));
        Ok(current)
    }

    fn known(&self, snapshot: &Snapshot) -> Option<Arc<Current>> {
        let current = self.current.load_full();
        current.filter(|current| current.revision >= snapshot.revision)
    }

    /// What is known with what has happened since, or everything.
    fn read(&self, snapshot: &Snapshot) -> Policy {
        let known = self.current.load();
        if let Some(known) = known.as_ref()
            && let Some(entries) = snapshot.log().since(known.revision)
        {
            let mut policy = known.policy.clone();
            for change in entries.flat_map(|entry| &entry.changes) {
                if let Some(part) = self.part(change.kind) {
                    let after = change.after.as_ref().map(|state| state.object.value());
                    policy.put(part, &change.key, after.as_ref());
                }
            }
            return policy;
        }
        let mut policy = Policy::default();
        for (kind, part) in &self.kinds {
            let put = |object: Arc<Object>| policy.put(*part, &object.key, Some(&object.value()));
            snapshot.list(*kind, None).into_iter().for_each(put);
        }
        policy
    }

    fn part(&self, kind: KindId) -> Option<Part> {
        self.kinds
            .iter()
            .find_map(|(own, part)| (*own == kind).then_some(*part))
    }
}

#[async_trait]
impl Authorizer for StoredRoles {
    async fn authorize(&self, user: &UserInfo, attributes: &Attributes) -> Result<Decision, String> {
        Ok(self.current()?.policy.decide(user, attributes))
    }

    async fn rules(&self, user: &UserInfo, namespace: &str) -> Rules {
        let current = match self.current() {
            Ok(current) => current,
            Err(error) => {
                return Rules {
                    incomplete: true,
                    error,
                    ..Rules::default()
                };
            }
        };
        let (rules, error) = current.policy.rules_for(user, namespace);
        Rules {
            resources: rules.iter().filter_map(Rule::resource_rule).collect(),
            paths: rules.iter().filter_map(Rule::non_resource_rule).collect(),
            incomplete: error.is_some(),
            error: error.unwrap_or_default(),
        }
    }
}

/// Nobody grants what they do not hold, but by the verbs `escalate` and `bind`
/// (k8s.io/kubernetes pkg/registry/rbac/{role,clusterrole,rolebinding,clusterrolebinding}/policybased/storage.go).
///
/// They are asked before validation, when others have changed what they change: so they are in Kubernetes, whose storage asks.
#[async_trait]
impl Admission for StoredRoles {
    fn handles(&self, target: &Target<'_>, operation: Operation) -> bool {
        operation != Operation::Delete && self.part(target.kind).is_some()
    }

    async fn mutate(&self, attempt: &Attempt<'_>, object: &mut Value) -> Result<bool, Status> {
        if self.may_grant(attempt, object).is_err() {
            // a refusal is never stale
            self.cache.fresh().await.map_err(stale)?;
            self.may_grant(attempt, object)?;
        }
        Ok(false)
    }
}

impl StoredRoles {
    fn may_grant(&self, attempt: &Attempt<'_>, new: &Value) -> Result<(), Status> {
        let target = attempt.target;
        let resource = target.resource;
        let user = &target.caller.user;
        let spared = user.in_group(GROUP_MASTERS) || attempt.part != Half::Main;
        let Some(part) = self.part(target.kind).filter(|_| !spared) else {
            return Ok(());
        };
        if !attempt.old.is_null() && same_but_for_collector(new, attempt.old) {
            return Ok(());
        }
        let current = self.current().map_err(Status::internal)?;
        let policy = &current.policy;
        let namespace = target.namespace;
        let may = |verb: &str, resource: &str, name: &str| {
            let asked = Attributes::Resource(ResourceAttributes {
                verb: verb.to_owned(),
                group: RBAC_GROUP.to_owned(),
                version: "*".to_owned(),
                resource: resource.to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                ..ResourceAttributes::default()
            });
            matches!(policy.decide(user, &asked), Decision::Allow { .. })
        };
        let rules = match part {
            Part::Role | Part::ClusterRole => {
                if may("escalate", &resource.stored.plural, target.name) {
                    return Ok(());
                }
                let mut rules = Rule::list(&new["rules"]);
                // whoever gathers rules by a selector can gather anything
                if new["aggregationRule"].is_object() {
                    rules = full_authority();
                }
                rules
            }
            Part::RoleBinding | Part::ClusterRoleBinding => {
                let role = RoleRef::parse(new);
                let plural = match role.kind.as_str() {
                    "ClusterRole" => "clusterroles",
                    "Role" => "roles",
                    // validation refuses it
                    _ => return Ok(()),
                };
                if may("bind", plural, &role.name) {
                    return Ok(());
                }
                // the name is the role's, the resource is that of the request
                let missing = |_| Status::not_found(&resource.group_resource(), &role.name);
                policy.role(&role, namespace).map_err(missing)?.to_vec()
            }
        };
        let name = meta::name(new);
        let confirmed = policy.confirm_no_escalation(user, namespace, &rules);
        confirmed.map_err(|why| Status::forbidden(&resource.group_resource(), name, why))
    }
}

fn full_authority() -> Vec<Rule> {
    Rule::list(&json!([
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
        {"verbs": ["*"], "nonResourceURLs": ["*"]},
    ]))
}

/// Whether nothing changes but what the garbage collector changes (pkg/registry/rbac/helpers.go IsOnlyMutatingGCFields).
fn same_but_for_collector(new: &Value, old: &Value) -> bool {
    let bare = |object: &Value| {
        let mut object = object.clone();
        for field in ["ownerReferences", "finalizers", "managedFields", "resourceVersion"] {
            meta::set(&mut object, field, Value::Null);
        }
        if let Some(members) = object.as_object_mut() {
            members.retain(|field, _| !matches!(field.as_str(), "apiVersion" | "kind"));
        }
        json::to_vec(&object)
    };
    bare(new) == bare(old)
}
