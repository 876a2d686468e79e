//! Namespace, Service and Deployment.

use super::{Options, PORT};

/// The Namespace.
pub(super) fn namespace(options: &Options) -> String {
    format!(
        "apiVersion: v1\n\
         kind: Namespace\n\
         metadata:\n\
         \x20 name: {}\n\
         \x20 labels:\n\
         \x20   pod-security.kubernetes.io/enforce: restricted\n",
        options.namespace
    )
}

/// The Service that the APIServices point to.
pub(super) fn service(options: &Options) -> String {
    let Options { namespace, service, .. } = options;
    format!(
        "apiVersion: v1\n\
         kind: Service\n\
         metadata:\n\
         \x20 name: {service}\n\
         \x20 namespace: {namespace}\n\
         spec:\n\
         \x20 selector:\n\
         \x20   app.kubernetes.io/name: {service}\n\
         \x20 ports:\n\
         \x20 - name: https\n\
         \x20   port: 443\n\
         \x20   targetPort: https\n"
    )
}

/// The Deployment. It takes its certificate and those for etcd from Secrets that are made elsewhere; none is rendered.
pub(super) fn deployment(options: &Options) -> String {
    let Options {
        namespace,
        service,
        image,
        etcd_servers,
        ..
    } = options;
    format!(
        r#"# Two Secrets must be there first:
#   {service}-tls: tls.crt and tls.key, a serving certificate for {service}.{namespace}.svc
#   {service}-etcd: ca.crt, tls.crt and tls.key, a client certificate for etcd
apiVersion: apps/v1
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
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        fsGroup: 65532
        seccompProfile:
          type: RuntimeDefault
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: ScheduleAnyway
        labelSelector:
          matchLabels:
            app.kubernetes.io/name: {service}
      containers:
      - name: apiserver
        image: {image}
        args:
        - apiserver
        - --secure-port={PORT}
        - --tls-cert-file=/etc/bulward/tls/tls.crt
        - --tls-private-key-file=/etc/bulward/tls/tls.key
        - --etcd-servers={etcd_servers}
        - --etcd-cafile=/etc/bulward/etcd/ca.crt
        - --etcd-certfile=/etc/bulward/etcd/tls.crt
        - --etcd-keyfile=/etc/bulward/etcd/tls.key
        ports:
        - name: https
          containerPort: {PORT}
        startupProbe:
          httpGet:
            scheme: HTTPS
            port: https
            path: /readyz
          failureThreshold: 30
          periodSeconds: 2
        readinessProbe:
          httpGet:
            scheme: HTTPS
            port: https
            path: /readyz
          periodSeconds: 5
        livenessProbe:
          httpGet:
            scheme: HTTPS
            port: https
            path: /livez
          periodSeconds: 10
          failureThreshold: 6
        resources:
          requests:
            cpu: 100m
            memory: 128Mi
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities:
            drop: [ALL]
        volumeMounts:
        - name: tls
          mountPath: /etc/bulward/tls
          readOnly: true
        - name: etcd
          mountPath: /etc/bulward/etcd
          readOnly: true
      volumes:
      - name: tls
        secret:
          secretName: {service}-tls
      - name: etcd
        secret:
          secretName: {service}-etcd
"#
    )
}
