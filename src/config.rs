//! What a server is told to be: plain values, checked before anything starts, no globals.

mod admission;
mod audit;
mod encryption;
mod etcd;
#[cfg(test)]
mod tests;
mod tls;

use std::{net::IpAddr, path::PathBuf, time::Duration};

pub use crate::wire::duration::parse_duration;
pub use admission::{Admission, Plugin};
pub use audit::{Audit, AuditLog, AuditWebhook};
pub use encryption::Encryption;
pub use etcd::{check_endpoint, parse_prefix};
pub use tls::{NamedPair, Tls};

use crate::http::limits::Allowance;
use crate::http::listener::Limits;
use crate::watchcache::log::Bounds;

/// Who reads and writes unfiltered unless `--unfiltered-users` says otherwise: to the garbage collector and the
/// namespace controller a 404 means "the owner is gone" (visibility.md V16).
pub const UNFILTERED_USERS: [&str; 3] = [
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:serviceaccount:kube-system:namespace-controller",
    "system:kube-controller-manager",
];

/// A flag that makes no sense; one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{flag}: {why}")]
pub struct Error {
    /// The flag without its dashes.
    pub flag: &'static str,
    /// What is wrong, and what would be right.
    pub why: String,
}

/// Everything that `bulward apiserver` and `bulward dev` tell a server.
#[derive(Clone, Debug)]
pub struct Apiserver {
    /// The socket's side.
    pub serving: Serving,
    /// Versions and cipher suites of TLS, and further certificates.
    pub tls: Tls,
    /// Where objects are kept.
    pub storage: Storage,
    /// How values are encrypted there; as they are when absent.
    pub encryption: Option<Encryption>,
    /// How much of the past watches can be resumed from.
    pub history: Bounds,
    /// How much a caller may have at once.
    pub limits: Allowance,
    /// The cluster's API beyond reviews.
    pub cluster: Cluster,
    /// How callers are told apart.
    pub authentication: Authentication,
    /// Who decides what they may do.
    pub authorization: Authorization,
    /// What is recorded of requests.
    pub audit: Audit,
    /// What of the cluster's admission applies here.
    pub admission: Admission,
    /// User names that read and write without filter or ownership check.
    pub unfiltered_users: Vec<String>,
    /// Patterns (`*` for any text) of names that nobody may create, besides the built-in ones.
    pub reserved_names: Vec<String>,
    /// Whether there are templates for KubeCarrier's providers and tenants.
    pub kubecarrier_templates: bool,
}

/// The socket's side of a server.
#[derive(Clone, Debug)]
pub struct Serving {
    /// Where to listen.
    pub bind_address: IpAddr,
    /// The TCP port.
    pub port: u16,
    /// What the server presents in the handshake.
    pub certificate: Certificate,
    /// How often the certificate's files are looked at.
    pub certificate_refresh: Duration,
    /// What connections may do.
    pub limits: Limits,
    /// How long to go on serving, not ready, once told to end.
    pub shutdown_delay: Duration,
    /// How long the first load may take before the server is not alive any more; as long as it wants when zero.
    pub livez_grace_period: Duration,
}

/// Where the serving certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// From files that somebody else keeps.
    Files {
        /// The certificate and its intermediates, PEM.
        certificate: PathBuf,
        /// The key, PEM.
        key: PathBuf,
    },
    /// From our own authority, kept in a folder.
    SelfSigned {
        /// The folder.
        folder: PathBuf,
        /// DNS names and IP addresses.
        names: Vec<String>,
    },
}

/// Where objects are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In etcd.
    Etcd(Etcd),
    /// In a folder of this machine.
    Embedded {
        /// The folder.
        folder: PathBuf,
    },
}

/// How to reach etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etcd {
    /// URLs, `http` or `https`, all of one cluster.
    pub endpoints: Vec<String>,
    /// What all keys start with: begins with `/`, does not end with one, and is neither above nor below `/registry`.
    pub prefix: String,
    /// Authorities of etcd's certificate; the system's when absent.
    pub ca_file: Option<PathBuf>,
    /// Our client certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// User name and the file with the password.
    pub user: Option<(String, PathBuf)>,
}

/// A Kubernetes API server to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// None: nothing is asked of a cluster.
    None,
    /// The one whose pod we are.
    InCluster,
    /// The one that this kubeconfig names.
    Kubeconfig(PathBuf),
}

/// How callers are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// Who reviews tokens and holds the ConfigMap `extension-apiserver-authentication`.
    pub cluster: Cluster,
    /// Do without that ConfigMap.
    pub skip_lookup: bool,
    /// Start even if that ConfigMap cannot be read.
    pub tolerate_lookup_failure: bool,
    /// How long the answer about a token is believed.
    pub token_cache_ttl: Duration,
    /// Authorities of client certificates.
    pub client_ca_file: Option<PathBuf>,
    /// The front proxy, as far as flags describe it.
    pub request_header: RequestHeader,
}

/// How a front proxy proves itself and names the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Authorities of the proxy's certificate.
    pub client_ca_file: Option<PathBuf>,
    /// Common names that it may carry; any when empty.
    pub allowed_names: Vec<String>,
    /// Headers with the user name, the first non-empty one counts.
    pub username_headers: Vec<String>,
    /// Headers with the user's uid.
    pub uid_headers: Vec<String>,
    /// Headers with the groups.
    pub group_headers: Vec<String>,
    /// Prefixes of headers with whatever else is known of the user.
    pub extra_headers_prefix: Vec<String>,
}

/// Who decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// A cluster, by SubjectAccessReview.
    Delegated {
        /// Which one.
        cluster: Cluster,
        /// Paths that need no permission; a trailing `*` stands for any rest.
        always_allow_paths: Vec<String>,
        /// How long a yes is believed.
        allow_ttl: Duration,
        /// How long a no is believed.
        deny_ttl: Duration,
    },
    /// Fixed rules, for a server that stores no roles either: the authenticated use the filtered API, discovery, OpenAPI and version; all
    /// else is for `system:masters`.
    Development,
    /// The Roles and bindings that the server itself stores: RBAC without a cluster.
    StoredRoles,
}

impl Default for RequestHeader {
    /// k8s.io/apiserver pkg/server/options/authentication.go.
    fn default() -> Self {
        Self {
            client_ca_file: None,
            allowed_names: Vec::new(),
            username_headers: vec!["x-remote-user".to_owned()],
            uid_headers: Vec::new(),
            group_headers: vec!["x-remote-group".to_owned()],
            extra_headers_prefix: vec!["x-remote-extra-".to_owned()],
        }
    }
}
