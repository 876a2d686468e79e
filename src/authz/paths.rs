//! Paths that are open to everybody, such as those of health checks.
//!
//! k8s.io/apiserver pkg/authorization/path/path.go.

use std::collections::HashSet;

use async_trait::async_trait;

use super::{Attributes, Authorizer, Decision};
use crate::wire::user::UserInfo;

/// Allows listed paths to everybody (`--authorization-always-allow-paths`).
#[derive(Clone, Debug)]
pub struct AlwaysAllowPaths {
    exact: HashSet<String>,
    prefixes: Vec<String>,
}

/// A path with `*` elsewhere than at its end.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("--authorization-always-allow-paths: only trailing * allowed in {0:?}")]
pub struct PathError(String);

impl AlwaysAllowPaths {
    /// What is open when the flag says nothing. `/healthz/etcd` and the like are not.
    pub const DEFAULT: [&str; 3] = ["/healthz", "/readyz", "/livez"];

    /// Each path matches itself alone or, with a trailing `*`, whatever begins with it. The leading `/` may be left out.
    pub fn new<P: AsRef<str>>(paths: impl IntoIterator<Item = P>) -> Result<Self, PathError> {
        let mut all = Self {
            exact: HashSet::new(),
            prefixes: Vec::new(),
        };
        for path in paths {
            let path = without_slash(path.as_ref());
            match path.strip_suffix('*') {
                Some(prefix) if prefix.contains('*') => return Err(PathError(path.to_owned())),
                None if path.contains('*') => return Err(PathError(path.to_owned())),
                Some(prefix) => all.prefixes.push(prefix.to_owned()),
                None => {
                    all.exact.insert(path.to_owned());
                }
            }
        }
        Ok(all)
    }

    fn contain(&self, path: &str) -> bool {
        let path = without_slash(path);
        self.exact.contains(path) || self.prefixes.iter().any(|prefix| path.starts_with(prefix.as_str()))
    }
}

impl Default for AlwaysAllowPaths {
    fn default() -> Self {
        Self {
            exact: Self::DEFAULT
                .iter()
                .map(|path| without_slash(path).to_owned())
                .collect(),
            prefixes: Vec::new(),
        }
    }
}

fn without_slash(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

#[async_trait]
impl Authorizer for AlwaysAllowPaths {
    async fn authorize(&self, _: &UserInfo, attributes: &Attributes) -> Result<Decision, String> {
        Ok(match attributes {
            Attributes::Path { path, .. } if self.contain(path) => Decision::allow(),
            _ => Decision::deny(),
        })
    }
}

#[cfg(test)]
mod tests;
