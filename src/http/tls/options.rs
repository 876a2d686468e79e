//! What operators say about TLS, in the words that k8s.io/component-base has for it (cli/flag/ciphersuites_flag.go).

use std::sync::Arc;

use rustls::{
    SupportedCipherSuite, SupportedProtocolVersion,
    crypto::CryptoProvider,
    version::{TLS12, TLS13},
};

static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
static MODERN: [&SupportedProtocolVersion; 1] = [&TLS13];

/// The oldest version that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Versions, cipher suites, and what is spoken over them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The oldest version.
    pub min_version: MinVersion,
    /// Cipher suites of TLS 1.2 by the names that Go gives them; all that there are when empty. Those of TLS 1.3 are
    /// not to be chosen, as in Go.
    pub cipher_suites: Vec<String>,
    /// Whether clients are offered HTTP/1.1 alone.
    pub disable_http2: bool,
}

impl MinVersion {
    /// Reads `VersionTLS12` or `VersionTLS13`.
    ///
    /// # Errors
    /// With what may be said instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" | "VersionTLS12" => Ok(Self::Tls12),
            "VersionTLS13" => Ok(Self::Tls13),
            "VersionTLS10" | "VersionTLS11" => {
                Err(format!("{text} is not safe any more, say VersionTLS12 or VersionTLS13"))
            }
            other => Err(format!("{other:?} is no version, say VersionTLS12 or VersionTLS13")),
        }
    }
}

impl Options {
    /// Whether every cipher suite is known.
    ///
    /// # Errors
    /// With the first that is not, and those that are.
    pub fn check(&self) -> Result<(), String> {
        let known: Vec<String> = super::provider().cipher_suites.iter().map(name).collect();
        match self.cipher_suites.iter().find(|wanted| !known.contains(*wanted)) {
            Some(unknown) => Err(format!(
                "{unknown:?} is unknown or not safe, choose from {}",
                known.join(", ")
            )),
            None => Ok(()),
        }
    }

    /// The provider with the cipher suites that are left, and the versions that still have some.
    pub(super) fn apply(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> (Arc<CryptoProvider>, &'static [&'static SupportedProtocolVersion]) {
        let mut provider = CryptoProvider::clone(provider);
        let modern = |suite: &SupportedCipherSuite| suite.version().version == TLS13.version;
        if !self.cipher_suites.is_empty() {
            provider
                .cipher_suites
                .retain(|suite| modern(suite) || self.cipher_suites.contains(&name(suite)));
        }
        let old = self.min_version == MinVersion::Tls12 && provider.cipher_suites.iter().any(|suite| !modern(suite));
        (Arc::new(provider), if old { &BOTH } else { &MODERN })
    }
}

/// As Go calls it: rustls marks those of TLS 1.3.
fn name(suite: &SupportedCipherSuite) -> String {
    let name = suite.suite().as_str().unwrap_or_default();
    name.replacen("TLS13_", "TLS_", 1)
}
