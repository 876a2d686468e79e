//! What an installation's certificates are called: who makes them and who mounts them agree on it.

use crate::certs::Leaf;

/// Members of the etcd that comes with the manifests.
pub(in crate::cli) const ETCD_MEMBERS: usize = 3;
/// The StatefulSet and the Service of that etcd, and what its members call themselves in their certificates.
pub(in crate::cli) const ETCD: &str = "bulward-etcd";
/// The Secret with the authority and its key.
pub(in crate::cli) const AUTHORITY: &str = "bulward-ca";
/// The Deployment, the account and the lease of who keeps all of them.
pub(in crate::cli) const KEEPER: &str = "bulward-certs";
/// The Secret with the certificate of etcd's members.
pub(in crate::cli) const ETCD_TLS: &str = "bulward-etcd-tls";

/// An installation.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Installation<'a> {
    /// Its namespace.
    pub(in crate::cli) namespace: &'a str,
    /// The Service of the API server.
    pub(in crate::cli) service: &'a str,
    /// Whether etcd is one of our own.
    pub(in crate::cli) own_etcd: bool,
}

impl Installation<'_> {
    /// Whether this is its Service.
    pub(in crate::cli) fn is(&self, namespace: &str, service: &str) -> bool {
        (namespace, service) == (self.namespace, self.service)
    }

    /// The Secret with the API server's certificate.
    pub(in crate::cli) fn serving(&self) -> String {
        format!("{}-tls", self.service)
    }

    /// The Secret with its certificate for etcd.
    pub(in crate::cli) fn etcd_client(&self) -> String {
        format!("{}-etcd", self.service)
    }

    /// Names under which the API server is reached.
    pub(in crate::cli) fn serving_names(&self) -> Vec<String> {
        let host = format!("{}.{}.svc", self.service, self.namespace);
        vec![
            host.clone(),
            format!("{host}.cluster.local"),
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
        ]
    }

    /// The members of etcd, each by its name.
    pub(in crate::cli) fn etcd_hosts(&self) -> Vec<String> {
        let member = |at| format!("{ETCD}-{at}.{ETCD}.{}.svc", self.namespace);
        (0..ETCD_MEMBERS).map(member).collect()
    }

    /// Names under which they are reached, by their probes and tools too.
    pub(in crate::cli) fn etcd_names(&self) -> Vec<String> {
        let service = format!("{ETCD}.{}.svc", self.namespace);
        let local = ["localhost", "127.0.0.1"].map(str::to_owned);
        self.etcd_hosts().into_iter().chain([service]).chain(local).collect()
    }

    /// Every Secret with a certificate, and the certificate.
    pub(in crate::cli) fn leaves(&self) -> Vec<(String, Leaf)> {
        let mut serving = Leaf::server(self.serving_names());
        // A common name has 64 characters at most.
        self.service.clone_into(&mut serving.common_name);
        let mut leaves = vec![(self.serving(), serving)];
        if self.own_etcd {
            leaves.push((self.etcd_client(), Leaf::client(self.service, &[])));
            leaves.push((ETCD_TLS.to_owned(), Leaf::peer(ETCD, self.etcd_names())));
        }
        leaves
    }
}
