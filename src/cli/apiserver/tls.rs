//! TLS beside the one serving certificate.

use clap::ArgAction;

use super::{listed, refused};
use crate::{
    config::{Error, NamedPair, Tls},
    http::tls::{MinVersion, Options},
};

#[derive(Debug, clap::Args)]
pub(super) struct TlsArgs {
    /// Further certificate and key, for those who ask for its names: <certificate>,<key> or
    /// <certificate>,<key>:<name>,<name>; may be given several times
    #[arg(long, value_name = "FILES", value_parser = NamedPair::parse, env = "BULWARD_TLS_SNI_CERT_KEY")]
    tls_sni_cert_key: Vec<NamedPair>,
    /// Oldest version of TLS: VersionTLS12 or VersionTLS13
    #[arg(
        long,
        value_name = "VERSION",
        default_value = "",
        hide_default_value = true,
        env = "BULWARD_TLS_MIN_VERSION"
    )]
    tls_min_version: String,
    /// Cipher suites of TLS 1.2, by Go's names; all safe ones without it. Those of TLS 1.3 are not to be chosen
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = "BULWARD_TLS_CIPHER_SUITES")]
    tls_cipher_suites: Vec<String>,
    /// Serve HTTP/1.1 alone
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", env = "BULWARD_DISABLE_HTTP2_SERVING")]
    disable_http2_serving: bool,
}

impl TlsArgs {
    /// What the flags say; `names` are those that a certificate from files must have.
    pub(super) fn config(self, names: Vec<String>) -> Result<Tls, Error> {
        let min_version = MinVersion::parse(&self.tls_min_version).map_err(|why| refused("tls-min-version", why))?;
        let options = Options {
            min_version,
            cipher_suites: listed(self.tls_cipher_suites),
            disable_http2: self.disable_http2_serving,
        };
        options.check().map_err(|why| refused("tls-cipher-suites", why))?;
        Ok(Tls {
            options,
            named: self.tls_sni_cert_key,
            names,
        })
    }
}
