//! Whose certificates are believed: the authorities behind client certificates and behind the front proxy.
//!
//! The material comes from files and from a ConfigMap that kube-apiserver publishes; both may change while we run, and
//! every request looks at one immutable [`Trust`].

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use http::HeaderName;
use parking_lot::Mutex;

mod config_map;
mod files;
mod pool;
mod verified;

#[cfg(test)]
mod tests;

pub use config_map::LookupError;
pub use pool::CaPool;

/// What is trusted at one moment.
#[derive(Debug, Default)]
pub struct Trust {
    /// Authorities whose client certificates name callers.
    pub client_ca: CaPool,
    /// The front proxy, when one is configured.
    pub request_header: Option<RequestHeader>,
}

/// How a front proxy is recognised and how it says who is asking.
#[derive(Clone, Debug, Default)]
pub struct RequestHeader {
    /// Authorities of the proxy's own certificate.
    pub ca: CaPool,
    /// Common names that the proxy's certificate may carry; any when empty.
    pub allowed_names: Vec<String>,
    /// Where the names are.
    pub headers: HeaderNames,
}

/// The headers in which a front proxy names the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderNames {
    /// The user name: the first header that has a value.
    pub username: Vec<HeaderName>,
    /// The uid: the first header that has a value.
    pub uid: Vec<HeaderName>,
    /// The groups: all values of all headers.
    pub group: Vec<HeaderName>,
    /// Prefixes, in lower case, of headers whose remaining name is an extra's key.
    pub extra_prefix: Vec<String>,
}

/// The `--client-ca-file` and `--requestheader-*` flags.
#[derive(Clone, Debug)]
pub struct TrustFlags {
    /// `--client-ca-file`.
    pub client_ca_file: Option<PathBuf>,
    /// `--requestheader-client-ca-file`; the other fields matter only with it.
    pub request_header_ca_file: Option<PathBuf>,
    /// `--requestheader-allowed-names`.
    pub allowed_names: Vec<String>,
    /// `--requestheader-username-headers`, default `x-remote-user`.
    pub username_headers: Vec<String>,
    /// `--requestheader-uid-headers`, none by default.
    pub uid_headers: Vec<String>,
    /// `--requestheader-group-headers`, default `x-remote-group`.
    pub group_headers: Vec<String>,
    /// `--requestheader-extra-headers-prefix`, default `x-remote-extra-`.
    pub extra_headers_prefix: Vec<String>,
}

/// Why trust could not be established; one line each.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be read.
    #[error("{flag}: cannot read {}: {source}", path.display())]
    Read {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file, or a key of the ConfigMap, holds no usable certificates.
    #[error("{origin}: {reason}")]
    Certificates {
        /// Where they come from.
        origin: String,
        /// What is wrong with them.
        reason: String,
    },
    /// A header name that is no header name, or a list that is no list.
    #[error("{origin}: {reason}")]
    Names {
        /// Where they come from.
        origin: String,
        /// What is wrong with them.
        reason: String,
    },
}

/// The trust that requests see, and the sources that it is put together from.
#[derive(Debug)]
pub struct TrustBundle {
    current: ArcSwap<Trust>,
    sources: Mutex<Sources>,
    flags: TrustFlags,
}

#[derive(Debug, Default)]
struct Sources {
    files: Source,
    map: Source,
}

#[derive(Clone, Debug, Default)]
struct Source {
    client_ca: CaPool,
    request_header: Option<RequestHeader>,
}

// === impl TrustFlags ===

/// No files, and the header names that k8s.io/apiserver defaults to (pkg/server/options/authentication.go).
impl Default for TrustFlags {
    fn default() -> Self {
        Self {
            client_ca_file: None,
            request_header_ca_file: None,
            allowed_names: Vec::new(),
            username_headers: vec!["x-remote-user".to_owned()],
            uid_headers: Vec::new(),
            group_headers: vec!["x-remote-group".to_owned()],
            extra_headers_prefix: vec!["x-remote-extra-".to_owned()],
        }
    }
}

// === impl HeaderNames ===

impl HeaderNames {
    /// Checks and normalises names; `origin` opens the error.
    pub fn parse(
        origin: &str,
        username: &[String],
        uid: &[String],
        group: &[String],
        extra_prefix: &[String],
    ) -> Result<Self, TrustError> {
        let names = |list: &[String]| -> Result<Vec<HeaderName>, TrustError> {
            list.iter().map(|name| header_name(origin, name)).collect()
        };
        let prefixes: Result<Vec<String>, TrustError> = extra_prefix
            .iter()
            .map(|prefix| header_name(origin, prefix).map(|name| name.as_str().to_owned()))
            .collect();
        Ok(Self {
            username: names(username)?,
            uid: names(uid)?,
            group: names(group)?,
            extra_prefix: prefixes?,
        })
    }
}

fn header_name(origin: &str, name: &str) -> Result<HeaderName, TrustError> {
    HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| TrustError::Names {
        origin: origin.to_owned(),
        reason: format!("{name:?} is not a header name"),
    })
}

// === impl TrustBundle ===

impl TrustBundle {
    /// Reads the files that `flags` name. Without any, nothing is trusted until a ConfigMap is applied.
    pub fn from_files(flags: TrustFlags) -> Result<Arc<Self>, TrustError> {
        let sources = Sources {
            files: files::read(&flags)?,
            map: Source::default(),
        };
        Ok(Arc::new(Self {
            current: ArcSwap::from_pointee(sources.merge()),
            sources: Mutex::new(sources),
            flags,
        }))
    }

    /// What is trusted now.
    pub fn current(&self) -> Arc<Trust> {
        self.current.load_full()
    }

    /// Takes over the data of the ConfigMap `kube-system/extension-apiserver-authentication`; says whether anything
    /// changed. When any part is bad, the error names it and everything stays as it was; a certificate bundle that is
    /// absent leaves the one seen before in force, as k8s.io/apiserver does (pkg/server/dynamiccertificates).
    pub fn apply_config_map(&self, data: &BTreeMap<String, String>) -> Result<bool, TrustError> {
        let mut sources = self.sources.lock();
        let map = config_map::parse(data, &sources.map)?;
        let changed = !map.same(&sources.map);
        if changed {
            sources.map = map;
            self.current.store(Arc::new(sources.merge()));
        }
        Ok(changed)
    }

    /// Reads the files again; says whether anything changed. On an error everything stays as it was.
    pub fn reload_files(&self) -> Result<bool, TrustError> {
        let files = files::read(&self.flags)?;
        let mut sources = self.sources.lock();
        let changed = !files.same(&sources.files);
        if changed {
            sources.files = files;
            self.current.store(Arc::new(sources.merge()));
        }
        Ok(changed)
    }
}

// === impl Sources ===

impl Sources {
    /// Client authorities add up; a front proxy given by flags hides the cluster's, as in k8s.io/apiserver.
    fn merge(&self) -> Trust {
        let request_header = self.files.request_header.as_ref().or(self.map.request_header.as_ref());
        Trust {
            client_ca: self.files.client_ca.union(&self.map.client_ca),
            request_header: request_header.cloned(),
        }
    }
}

// === impl Source ===

impl Source {
    fn same(&self, other: &Self) -> bool {
        let proxies = match (&self.request_header, &other.request_header) {
            (None, None) => true,
            (Some(one), Some(two)) => {
                one.ca.same(&two.ca) && one.allowed_names == two.allowed_names && one.headers == two.headers
            }
            _ => false,
        };
        proxies && self.client_ca.same(&other.client_ca)
    }
}
