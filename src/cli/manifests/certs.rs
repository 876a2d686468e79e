//! Who keeps the certificates: a Deployment of two, of which one acts, under an account that may do nothing else.

use super::Options;
use super::pods::{CONTAINER_SECURITY, POD_SECURITY, spread};
use super::rbac::binding;
use crate::cli::certs::names::{AUTHORITY, ETCD, ETCD_MEMBERS, Installation, KEEPER};
use crate::rest::resource::Registry;

const ACCOUNT: &str = KEEPER;
const ROLE: &str = "bulward:certs";

/// Account, roles, bindings and Deployment. Nobody waits for it but at the first start; the second replica is there so that
/// what ends soon is made anew whatever becomes of a node.
pub(super) fn certs(registry: &Registry, options: &Options, installation: &Installation<'_>) -> String {
    let Options {
        namespace,
        service,
        image,
        ..
    } = options;
    let leaves = installation.leaves();
    let names = leaves.iter().map(|(name, _)| name.as_str());
    let secrets: Vec<&str> = [AUTHORITY].into_iter().chain(names).collect();
    let secrets = secrets.join(", ");
    let services: Vec<String> = registry
        .groups
        .iter()
        .flat_map(|group| {
            group
                .versions()
                .into_iter()
                .map(|version| format!("{version}.{}", group.name))
        })
        .collect();
    let services = services.join(", ");
    let members: Vec<String> = (0..ETCD_MEMBERS).map(|member| format!("{ETCD}-{member}")).collect();
    let members = members.join(", ");
    let etcd = match installation.own_etcd {
        true => format!(
            "# Its members read the authorities when they start; all at once where they would not trust each other otherwise.
- apiGroups: [apps]
  resources: [statefulsets]
  resourceNames: [{ETCD}]
  verbs: [get, patch]
- apiGroups: [\"\"]
  resources: [pods]
  resourceNames: [{members}]
  verbs: [delete]
"
        ),
        false => String::new(),
    };
    let spread = spread(ACCOUNT);
    let external = match installation.own_etcd {
        true => "",
        false => "        - --external-etcd\n",
    };
    let mut out = format!(
        "apiVersion: v1
kind: ServiceAccount
metadata:
  name: {ACCOUNT}
  namespace: {namespace}
---
# It alone reads the authority's key. What is to be created has no name yet to which RBAC could hold it.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {ROLE}
  namespace: {namespace}
rules:
- apiGroups: [\"\"]
  resources: [secrets]
  verbs: [create]
- apiGroups: [\"\"]
  resources: [secrets]
  resourceNames: [{secrets}]
  verbs: [get, update]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{KEEPER}]
  verbs: [get, update]
{etcd}---
"
    );
    let account = format!("- kind: ServiceAccount\n  name: {ACCOUNT}\n  namespace: {namespace}\n");
    let own = format!("  namespace: {namespace}\n");
    binding(&mut out, "RoleBinding", &own, ROLE, ("Role", ROLE), &account);
    out.push_str(&format!(
        "---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {ROLE}
rules:
- apiGroups: [apiregistration.k8s.io]
  resources: [apiservices]
  resourceNames: [{services}]
  verbs: [get, patch]
---
"
    ));
    binding(
        &mut out,
        "ClusterRoleBinding",
        "",
        ROLE,
        ("ClusterRole", ROLE),
        &account,
    );
    out.push_str(&format!(
        "---
# Makes the Secrets that the other pods wait for, tells the APIServices the authority, and makes certificates anew before they end.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {ACCOUNT}
  namespace: {namespace}
  labels:
    app.kubernetes.io/name: {ACCOUNT}
spec:
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/name: {ACCOUNT}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {ACCOUNT}
    spec:
      serviceAccountName: {ACCOUNT}
{POD_SECURITY}{spread}      containers:
      - name: certs
        image: {image}
        args:
        - certs
        - bootstrap
        - --keep
        - --namespace={namespace}
        - --service={service}
{external}        resources:
          requests:
            cpu: 10m
            memory: 32Mi
{CONTAINER_SECURITY}"
    ));
    out
}
