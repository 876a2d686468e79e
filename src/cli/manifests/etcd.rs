//! An etcd of three members, for those who have none: TLS everywhere, by our own authority.

use super::Options;
use super::pods::{CONTAINER_SECURITY, POD_SECURITY, disruption_budget, probe, spread};
use crate::cli::certs::names::{ETCD, ETCD_MEMBERS, ETCD_TLS, Installation};

/// The container image.
const IMAGE: &str = "gcr.io/etcd-development/etcd:v3.6.8";

const CLIENTS: u16 = 2379;
const PEERS: u16 = 2380;
/// Where the probes ask, without TLS: it tells health and numbers.
const HEALTH: u16 = 2381;

/// URLs of the members for their clients.
pub(super) fn servers(installation: &Installation<'_>) -> String {
    let urls = installation.etcd_hosts().into_iter();
    let urls: Vec<String> = urls.map(|host| format!("https://{host}:{CLIENTS}")).collect();
    urls.join(",")
}

/// Service, StatefulSet and PodDisruptionBudget.
pub(super) fn etcd(options: &Options, installation: &Installation<'_>) -> String {
    let Options { namespace, .. } = options;
    let cluster: Vec<String> = installation
        .etcd_hosts()
        .into_iter()
        .enumerate()
        .map(|(at, host)| format!("{ETCD}-{at}=https://{host}:{PEERS}"))
        .collect();
    let cluster = cluster.join(",");
    let host = format!("$(POD_NAME).{ETCD}.{namespace}.svc");
    let spread = spread(ETCD);
    let probes = [
        probe(
            "startupProbe",
            "HTTP",
            "health",
            "/readyz",
            &[("failureThreshold", 60), ("periodSeconds", 2)],
        ),
        probe("readinessProbe", "HTTP", "health", "/readyz", &[("periodSeconds", 5)]),
        probe(
            "livenessProbe",
            "HTTP",
            "health",
            "/livez",
            &[("periodSeconds", 10), ("failureThreshold", 6)],
        ),
    ]
    .concat();
    let set = format!(
        "# The members find each other by name before they are ready.
apiVersion: v1
kind: Service
metadata:
  name: {ETCD}
  namespace: {namespace}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    app.kubernetes.io/name: {ETCD}
  ports:
  - name: clients
    port: {CLIENTS}
  - name: peers
    port: {PEERS}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {ETCD}
  namespace: {namespace}
  labels:
    app.kubernetes.io/name: {ETCD}
spec:
  serviceName: {ETCD}
  replicas: {ETCD_MEMBERS}
  podManagementPolicy: Parallel
  selector:
    matchLabels:
      app.kubernetes.io/name: {ETCD}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {ETCD}
    spec:
      automountServiceAccountToken: false
{POD_SECURITY}{spread}      containers:
      - name: etcd
        image: {IMAGE}
        command:
        - etcd
        - --name=$(POD_NAME)
        - --data-dir=/var/lib/etcd/data
        - --initial-cluster={cluster}
        - --initial-cluster-token={ETCD}.{namespace}
        - --listen-client-urls=https://0.0.0.0:{CLIENTS}
        - --advertise-client-urls=https://{host}:{CLIENTS}
        - --listen-peer-urls=https://0.0.0.0:{PEERS}
        - --initial-advertise-peer-urls=https://{host}:{PEERS}
        - --listen-metrics-urls=http://0.0.0.0:{HEALTH}
        - --client-cert-auth
        - --trusted-ca-file=/etc/etcd/tls/ca.crt
        - --cert-file=/etc/etcd/tls/tls.crt
        - --key-file=/etc/etcd/tls/tls.key
        - --peer-client-cert-auth
        - --peer-cert-allowed-cn={ETCD}
        - --peer-trusted-ca-file=/etc/etcd/tls/ca.crt
        - --peer-cert-file=/etc/etcd/tls/tls.crt
        - --peer-key-file=/etc/etcd/tls/tls.key
        - --auto-compaction-mode=periodic
        - --auto-compaction-retention=10m
        env:
        - name: POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        ports:
        - name: clients
          containerPort: {CLIENTS}
        - name: peers
          containerPort: {PEERS}
        - name: health
          containerPort: {HEALTH}
{probes}        resources:
          requests:
            cpu: 100m
            memory: 256Mi
{CONTAINER_SECURITY}        volumeMounts:
        - name: data
          mountPath: /var/lib/etcd
        - name: tls
          mountPath: /etc/etcd/tls
          readOnly: true
      volumes:
      - name: tls
        secret:
          secretName: {ETCD_TLS}
  volumeClaimTemplates:
  - metadata:
      name: data
    spec:
      accessModes: [ReadWriteOnce]
      resources:
        requests:
          storage: 8Gi
"
    );
    [set, "---\n".to_owned(), disruption_budget(namespace, ETCD)].concat()
}
