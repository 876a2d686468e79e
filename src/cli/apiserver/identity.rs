//! The `--authentication-*`, `--requestheader-*` and `--authorization-*` flags.

use std::{path::PathBuf, time::Duration};

use clap::ArgAction;

use super::{given, listed, path, refused};
use crate::config::{Authentication, Authorization, Cluster, Error, RequestHeader, parse_duration};

#[derive(Debug, clap::Args)]
pub(super) struct AuthenticationArgs {
    /// Kubeconfig for TokenReviews and the ConfigMap extension-apiserver-authentication; defaults to --kubeconfig
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_AUTHENTICATION_KUBECONFIG")]
    authentication_kubeconfig: Option<PathBuf>,
    /// Do without the ConfigMap: the front proxy and client certificates are then known by the flags below alone
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", env = "BULWARD_AUTHENTICATION_SKIP_LOOKUP")]
    authentication_skip_lookup: bool,
    /// Start even if the ConfigMap cannot be read
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true",
          env = "BULWARD_AUTHENTICATION_TOLERATE_LOOKUP_FAILURE")]
    authentication_tolerate_lookup_failure: bool,
    /// How long the answer about a token is believed
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration,
          env = "BULWARD_AUTHENTICATION_TOKEN_WEBHOOK_CACHE_TTL")]
    authentication_token_webhook_cache_ttl: Duration,
    /// Authorities of client certificates, PEM: CN is the user, O its groups
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_CLIENT_CA_FILE")]
    client_ca_file: Option<PathBuf>,
    /// Authorities of the front proxy's certificate, PEM; who holds one may speak for anybody
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_REQUESTHEADER_CLIENT_CA_FILE")]
    requestheader_client_ca_file: Option<PathBuf>,
    /// Common names that the front proxy's certificate may carry; any when empty
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        env = "BULWARD_REQUESTHEADER_ALLOWED_NAMES"
    )]
    requestheader_allowed_names: Vec<String>,
    /// Headers with the user name
    #[arg(
        long,
        value_name = "HEADERS",
        value_delimiter = ',',
        default_value = "x-remote-user",
        env = "BULWARD_REQUESTHEADER_USERNAME_HEADERS"
    )]
    requestheader_username_headers: Vec<String>,
    /// Headers with the user's uid
    #[arg(
        long,
        value_name = "HEADERS",
        value_delimiter = ',',
        env = "BULWARD_REQUESTHEADER_UID_HEADERS"
    )]
    requestheader_uid_headers: Vec<String>,
    /// Headers with the user's groups
    #[arg(
        long,
        value_name = "HEADERS",
        value_delimiter = ',',
        default_value = "x-remote-group",
        env = "BULWARD_REQUESTHEADER_GROUP_HEADERS"
    )]
    requestheader_group_headers: Vec<String>,
    /// Prefixes of headers with whatever else is known of the user
    #[arg(
        long,
        value_name = "PREFIXES",
        value_delimiter = ',',
        default_value = "x-remote-extra-",
        env = "BULWARD_REQUESTHEADER_EXTRA_HEADERS_PREFIX"
    )]
    requestheader_extra_headers_prefix: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct AuthorizationArgs {
    /// Kubeconfig for SubjectAccessReviews; defaults to --kubeconfig
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_AUTHORIZATION_KUBECONFIG")]
    authorization_kubeconfig: Option<PathBuf>,
    /// Paths that need no permission; a trailing * stands for any rest
    #[arg(
        long,
        value_name = "PATHS",
        value_delimiter = ',',
        default_value = "/healthz,/readyz,/livez",
        env = "BULWARD_AUTHORIZATION_ALWAYS_ALLOW_PATHS"
    )]
    authorization_always_allow_paths: Vec<String>,
    /// How long a yes is believed
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration,
          env = "BULWARD_AUTHORIZATION_WEBHOOK_CACHE_AUTHORIZED_TTL")]
    authorization_webhook_cache_authorized_ttl: Duration,
    /// How long a no is believed
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration,
          env = "BULWARD_AUTHORIZATION_WEBHOOK_CACHE_UNAUTHORIZED_TTL")]
    authorization_webhook_cache_unauthorized_ttl: Duration,
}

impl AuthenticationArgs {
    pub(super) fn config(self, cluster: &Cluster) -> Result<Authentication, Error> {
        let username_headers = listed(self.requestheader_username_headers);
        let client_ca_file = given(self.requestheader_client_ca_file);
        if client_ca_file.is_some() && username_headers.is_empty() {
            let why = "--requestheader-client-ca-file needs at least one, such as x-remote-user";
            return Err(refused("requestheader-username-headers", why));
        }
        Ok(Authentication {
            cluster: own_or(self.authentication_kubeconfig, cluster),
            skip_lookup: self.authentication_skip_lookup,
            tolerate_lookup_failure: self.authentication_tolerate_lookup_failure,
            token_cache_ttl: self.authentication_token_webhook_cache_ttl,
            client_ca_file: given(self.client_ca_file),
            request_header: RequestHeader {
                client_ca_file,
                allowed_names: listed(self.requestheader_allowed_names),
                username_headers,
                uid_headers: listed(self.requestheader_uid_headers),
                group_headers: listed(self.requestheader_group_headers),
                extra_headers_prefix: listed(self.requestheader_extra_headers_prefix),
            },
        })
    }
}

impl AuthorizationArgs {
    pub(super) fn config(self, cluster: &Cluster) -> Result<Authorization, Error> {
        let always_allow_paths = listed(self.authorization_always_allow_paths);
        for path in &always_allow_paths {
            let stars = path.matches('*').count();
            if !path.starts_with('/') || stars > usize::from(path.ends_with('*')) {
                let why = format!("{path:?} is no path: begin with / and use * at the end only");
                return Err(refused("authorization-always-allow-paths", why));
            }
        }
        Ok(Authorization::Delegated {
            cluster: own_or(self.authorization_kubeconfig, cluster),
            always_allow_paths,
            allow_ttl: self.authorization_webhook_cache_authorized_ttl,
            deny_ttl: self.authorization_webhook_cache_unauthorized_ttl,
        })
    }
}

fn own_or(kubeconfig: Option<PathBuf>, cluster: &Cluster) -> Cluster {
    given(kubeconfig).map_or_else(|| cluster.clone(), Cluster::Kubeconfig)
}
