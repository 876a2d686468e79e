//! Namespace, Service and Deployment of the API server.

use super::pods::{CONTAINER_SECURITY, POD_SECURITY, disruption_budget, probe, spread};
use super::{Options, PORT};
use crate::cli::certs::names::Installation;

/// The Namespace.
pub(super) fn namespace(options: &Options) -> String {
    format!(
        "apiVersion: v1
kind: Namespace
metadata:
  name: {}
  labels:
    pod-security.kubernetes.io/enforce: restricted
",
        options.namespace
    )
}

/// A Service: the one that the APIServices point to, or one to be scraped by.
pub(super) fn service(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: {namespace}
  labels:
    app.kubernetes.io/name: {name}
spec:
  selector:
    app.kubernetes.io/name: {name}
  ports:
  - name: https
    port: 443
    targetPort: https
"
    )
}

/// The API server: two replicas. Its pods start when the Secrets with their certificates are there.
pub(super) fn apiserver(options: &Options, installation: &Installation<'_>, etcd_servers: &str) -> String {
    let Options {
        namespace,
        service,
        image,
        ..
    } = options;
    let (serving, etcd) = (installation.serving(), installation.etcd_client());
    let spread = spread(service);
    let host = format!("{service}.{namespace}.svc");
    let probes = [
        probe(
            "startupProbe",
            "HTTPS",
            "https",
            "/readyz",
            &[("failureThreshold", 60), ("periodSeconds", 2), ("timeoutSeconds", 5)],
        ),
        probe(
            "readinessProbe",
            "HTTPS",
            "https",
            "/readyz",
            &[("periodSeconds", 5), ("timeoutSeconds", 5)],
        ),
        // A server whose etcd is away still serves what it has read; starting it again would end that and help nobody.
        probe(
            "livenessProbe",
            "HTTPS",
            "https",
            "/livez?exclude=etcd",
            &[("periodSeconds", 10), ("failureThreshold", 6), ("timeoutSeconds", 5)],
        ),
    ]
    .concat();
    let deployment = format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {service}
  namespace: {namespace}
  labels:
    app.kubernetes.io/name: {service}
spec:
  replicas: 2
  selector:
    matchLabels:
      app.kubernetes.io/name: {service}
  strategy:
    rollingUpdate:
      maxUnavailable: 0
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {service}
    spec:
      serviceAccountName: {service}
      # The delay below, a minute for running requests, and what is still to be recorded.
      terminationGracePeriodSeconds: 100
{POD_SECURITY}{spread}      containers:
      - name: apiserver
        image: {image}
        args:
        - apiserver
        - --secure-port={PORT}
        - --tls-cert-file=/etc/bulward/tls/tls.crt
        - --tls-private-key-file=/etc/bulward/tls/tls.key
        - --cert-names={host}
        - --etcd-servers={etcd_servers}
        - --etcd-cafile=/etc/bulward/etcd/ca.crt
        - --etcd-certfile=/etc/bulward/etcd/tls.crt
        - --etcd-keyfile=/etc/bulward/etcd/tls.key
        - --shutdown-delay-duration=5s
        ports:
        - name: https
          containerPort: {PORT}
{probes}        resources:
          requests:
            cpu: 100m
            memory: 128Mi
{CONTAINER_SECURITY}        volumeMounts:
        - name: tls
          mountPath: /etc/bulward/tls
          readOnly: true
        - name: etcd
          mountPath: /etc/bulward/etcd
          readOnly: true
      volumes:
      - name: tls
        secret:
          secretName: {serving}
      - name: etcd
        secret:
          secretName: {etcd}
"
    );
    [deployment, "---\n".to_owned(), disruption_budget(namespace, service)].concat()
}
