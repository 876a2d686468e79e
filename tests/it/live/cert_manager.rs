//! The manifests for cert-manager, judged by its own CustomResourceDefinitions. cert-manager itself does not run here.

use crate::harness::{ControlPlane, programs};

const MANIFEST: &str = include_str!("../../../deploy/cert-manager.yaml");

/// kube-apiserver takes everything as it is, and would refuse a field that cert-manager does not know.
pub(super) async fn manifests_are_valid(plane: &ControlPlane) {
    let admin = plane.kubectl("admin");
    let definitions = programs::find("cert-manager")
        .await
        .unwrap_or_else(|why| panic!("{why}"));
    let definitions = definitions.to_str().expect("a path in UTF-8");
    admin.run(["apply", "--server-side", "-f", definitions]).await.ok();
    let crds = ["certificates", "issuers"].map(|name| format!("crd/{name}.cert-manager.io"));
    let wait = [
        "wait",
        "--for=condition=established",
        "--timeout=110s",
        &crds[0],
        &crds[1],
    ];
    admin.run(wait).await.ok();

    let apply = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
    let printed = plane.kubectl("admin").stdin(MANIFEST).run(apply).await.ok();
    for made in [
        "issuer.cert-manager.io/bulward-selfsigned created",
        "issuer.cert-manager.io/bulward-ca created",
        "certificate.cert-manager.io/bulward-ca created",
        "certificate.cert-manager.io/bulward-apiserver-tls created",
        "certificate.cert-manager.io/bulward-apiserver-etcd created",
        "certificate.cert-manager.io/bulward-etcd-tls created",
    ] {
        assert!(printed.contains(made), "{made}: {printed}");
    }
    for (from, to, why) in [
        ("  isCA: true\n", "  isCA: true\n  isAuthority: true\n", "isAuthority"),
        ("algorithm: ECDSA", "algorithm: DSA", "Unsupported value"),
        ("  - server auth\n", "  - serving\n", "Unsupported value"),
    ] {
        let wrong = MANIFEST.replace(from, to);
        assert_ne!(wrong, MANIFEST);
        let refused = plane.kubectl("admin").stdin(&wrong).run(apply).await;
        assert!(!refused.status.success() && refused.stderr.contains(why), "{refused}");
    }
}
