//! TLS as the server speaks it: 1.2 and up, HTTP/2 preferred, client certificates asked for but not demanded.

mod any_client;
mod named;
mod options;
mod serving;

use std::{path::PathBuf, sync::Arc};

use rustls::{ServerConfig, crypto::CryptoProvider, server::ResolvesServerCert};

use crate::certs;
pub use named::NamedCertificates;
pub use options::{MinVersion, Options};
pub use serving::ServingCertificate;

/// Why a serving certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file with the certificate holds none, or one that is damaged.
    #[error("{file}: no PEM certificate in it{}", detail(.why))]
    NoCertificate {
        /// Where it was looked for.
        file: String,
        /// What the parser says, possibly nothing.
        why: String,
    },
    /// The file with the key holds none, or one that is damaged.
    #[error("{file}: no PEM private key in it{}", detail(.why))]
    NoKey {
        /// Where it was looked for.
        file: String,
        /// What the parser says, possibly nothing.
        why: String,
    },
    /// Certificate and key do not belong together, or are of a kind that TLS cannot use.
    #[error("the certificate in {certificate} and the key in {key} cannot be used together: {why}")]
    Pair {
        /// Where the certificate comes from.
        certificate: String,
        /// Where the key comes from.
        key: String,
        /// What rustls says.
        why: rustls::Error,
    },
    /// Clients would refuse the certificate, or should.
    #[error("the certificate in {file} is refused: {why}")]
    Refused {
        /// Where the certificate comes from.
        file: String,
        /// What is wrong with it.
        why: certs::Fault,
    },
}

fn detail(why: &str) -> String {
    if why.is_empty() {
        String::new()
    } else {
        format!(" ({why})")
    }
}

/// The one cryptography provider of the process.
pub fn provider() -> Arc<CryptoProvider> {
    match CryptoProvider::get_default() {
        Some(installed) => Arc::clone(installed),
        None => Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
    }
}

/// Makes aws-lc-rs the provider of everything in this process that speaks TLS; later calls change nothing.
pub fn install_provider() {
    // An error only says that a provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The server's side of TLS, with `certificate` looked up anew in every handshake.
///
/// Any client certificate is accepted here as long as the client holds its key: trust is judged per request, against
/// certificate authorities that change while connections last.
pub fn server_config(certificate: Arc<dyn ResolvesServerCert>) -> Arc<ServerConfig> {
    server_config_with(certificate, &Options::default())
}

/// As [`server_config`], with what operators say about versions and cipher suites.
pub fn server_config_with(certificate: Arc<dyn ResolvesServerCert>, options: &Options) -> Arc<ServerConfig> {
    let (provider, versions) = options.apply(&provider());
    let clients = any_client::AnyClient::new(&provider);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("there are cipher suites for every version that is left")
        .with_client_cert_verifier(Arc::new(clients))
        .with_cert_resolver(certificate);
    let protocols: &[&[u8]] = if options.disable_http2 {
        &[b"http/1.1"]
    } else {
        &[b"h2", b"http/1.1"]
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}
