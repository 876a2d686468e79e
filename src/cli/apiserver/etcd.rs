//! The `--etcd-*` flags.

use std::path::PathBuf;

use super::{given, listed, path, refused};
use crate::config::{Error, Etcd, check_endpoint, parse_prefix};

#[derive(Debug, clap::Args)]
pub(super) struct EtcdArgs {
    /// etcd servers, all of one cluster, such as https://etcd-0.etcd:2379,https://etcd-1.etcd:2379
    #[arg(long, value_name = "URLS", value_delimiter = ',', env = "BULWARD_ETCD_SERVERS")]
    etcd_servers: Vec<String>,
    /// What all our keys start with; never at, above or below /registry, where kube-apiserver keeps its own
    #[arg(long, value_name = "PREFIX", default_value = "/bulward", env = "BULWARD_ETCD_PREFIX")]
    etcd_prefix: String,
    /// Authorities of etcd's certificate, PEM; without it, the system's
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_ETCD_CAFILE")]
    etcd_cafile: Option<PathBuf>,
    /// Client certificate for etcd, PEM
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_ETCD_CERTFILE")]
    etcd_certfile: Option<PathBuf>,
    /// Key of --etcd-certfile, PEM
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_ETCD_KEYFILE")]
    etcd_keyfile: Option<PathBuf>,
    /// User name for etcd
    #[arg(long, value_name = "NAME", env = "BULWARD_ETCD_USERNAME")]
    etcd_username: Option<String>,
    /// File with the password of --etcd-username
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_ETCD_PASSWORD_FILE")]
    etcd_password_file: Option<PathBuf>,
}

impl EtcdArgs {
    /// A flag that was set although there is no etcd.
    pub(super) fn first_given(&self) -> Option<&'static str> {
        let file = |path: &Option<PathBuf>| path.is_some();
        [
            ("etcd-servers", !self.etcd_servers.iter().all(String::is_empty)),
            ("etcd-cafile", file(&self.etcd_cafile)),
            ("etcd-certfile", file(&self.etcd_certfile)),
            ("etcd-keyfile", file(&self.etcd_keyfile)),
            ("etcd-username", self.etcd_username.is_some()),
            ("etcd-password-file", file(&self.etcd_password_file)),
        ]
        .into_iter()
        .find_map(|(flag, given)| given.then_some(flag))
    }

    pub(super) fn config(self) -> Result<Etcd, Error> {
        let endpoints = listed(self.etcd_servers);
        if endpoints.is_empty() {
            let why = "name the etcd servers, for example https://etcd-0.etcd:2379, or use --storage=embedded";
            return Err(refused("etcd-servers", why));
        }
        for endpoint in &endpoints {
            check_endpoint(endpoint).map_err(|why| refused("etcd-servers", why))?;
        }
        let prefix = parse_prefix(&self.etcd_prefix).map_err(|why| refused("etcd-prefix", why))?;
        let client = match (given(self.etcd_certfile), given(self.etcd_keyfile)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(refused("etcd-certfile", "needs --etcd-keyfile as well")),
            (None, Some(_)) => return Err(refused("etcd-keyfile", "needs --etcd-certfile as well")),
        };
        let name = self.etcd_username.filter(|name| !name.is_empty());
        let user = match (name, given(self.etcd_password_file)) {
            (Some(name), Some(file)) => Some((name, file)),
            (None, None) => None,
            (Some(_), None) => return Err(refused("etcd-username", "needs --etcd-password-file as well")),
            (None, Some(_)) => return Err(refused("etcd-password-file", "needs --etcd-username as well")),
        };
        let ca_file = given(self.etcd_cafile);
        // Anything meant to protect the connection must not be passed over in silence.
        if let Some(plain) = endpoints.iter().find(|endpoint| endpoint.starts_with("http://")) {
            let protecting = [("etcd-cafile", ca_file.is_some()), ("etcd-certfile", client.is_some())];
            if let Some((flag, _)) = protecting.into_iter().find(|(_, given)| *given) {
                return Err(refused(
                    flag,
                    format!("{plain} would go unprotected, write https:// in --etcd-servers"),
                ));
            }
        }
        Ok(Etcd {
            endpoints,
            prefix,
            ca_file,
            client,
            user,
        })
    }
}
