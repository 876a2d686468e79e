//! What all pods of an installation have in common.

/// The security context of a pod.
pub(super) const POD_SECURITY: &str = "      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        seccompProfile:
          type: RuntimeDefault
";

/// The security context of a container.
pub(super) const CONTAINER_SECURITY: &str = "        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities:
            drop: [ALL]
";

/// Replicas stand on different nodes where they can.
pub(super) fn spread(name: &str) -> String {
    format!(
        "      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: ScheduleAnyway
        labelSelector:
          matchLabels:
            app.kubernetes.io/name: {name}
"
    )
}

/// A probe of a container: what it is called, where it asks, and how it counts.
pub(super) fn probe(kind: &str, scheme: &str, port: &str, path: &str, counts: &[(&str, u32)]) -> String {
    let mut out = format!(
        "        {kind}:
          httpGet:
            scheme: {scheme}
            port: {port}
            path: {path}
"
    );
    for (name, count) in counts {
        out.push_str(&format!("          {name}: {count}\n"));
    }
    out
}

/// All but one replica stay while nodes are emptied.
pub(super) fn disruption_budget(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {name}
  namespace: {namespace}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      app.kubernetes.io/name: {name}
"
    )
}
