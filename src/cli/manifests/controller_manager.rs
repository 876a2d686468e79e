//! The controllers: two replicas, of which one acts.

use super::Options;
use super::pods::{CONTAINER_SECURITY, POD_SECURITY, disruption_budget, probe, spread};
use super::rbac::CONTROLLERS;
use super::workload::service;

/// Where the probes ask.
const PORT: u16 = 10257;

/// Deployment, the Service by which metrics are read, and PodDisruptionBudget.
pub(super) fn controller_manager(options: &Options) -> String {
    let Options { namespace, image, .. } = options;
    let spread = spread(CONTROLLERS);
    let probes = [
        probe("readinessProbe", "HTTPS", "https", "/readyz", &[("periodSeconds", 5)]),
        probe(
            "livenessProbe",
            "HTTPS",
            "https",
            "/livez",
            &[("periodSeconds", 10), ("failureThreshold", 6)],
        ),
    ]
    .concat();
    let deployment = format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {CONTROLLERS}
  namespace: {namespace}
  labels:
    app.kubernetes.io/name: {CONTROLLERS}
spec:
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/name: {CONTROLLERS}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {CONTROLLERS}
    spec:
      serviceAccountName: {CONTROLLERS}
{POD_SECURITY}{spread}      containers:
      - name: controller-manager
        image: {image}
        args:
        - controller-manager
        - --bind-address=0.0.0.0
        - --secure-port={PORT}
        - --cert-dir=/tmp/certificates
        - --leader-elect-resource-namespace={namespace}
        ports:
        - name: https
          containerPort: {PORT}
{probes}        resources:
          requests:
            cpu: 100m
            memory: 128Mi
{CONTAINER_SECURITY}        volumeMounts:
        - name: tmp
          mountPath: /tmp
      volumes:
      - name: tmp
        emptyDir:
          medium: Memory
          sizeLimit: 1Mi
"
    );
    [
        deployment,
        "---\n".to_owned(),
        service(namespace, CONTROLLERS),
        "---\n".to_owned(),
        disruption_budget(namespace, CONTROLLERS),
    ]
    .concat()
}
