//! Who is asking: front proxy, client certificate, bearer token, token among a WebSocket's protocols, or nobody.

use std::fmt;
use std::net::IpAddr;

use async_trait::async_trait;
use http::HeaderMap;
use rustls_pki_types::CertificateDer;

use crate::wire::{notes::Notes, status::Status, user::UserInfo};

mod complaints;
pub mod delegating;
pub mod request_header;
pub mod subprotocol;
pub mod token;
pub mod trust;
pub mod x509;

#[cfg(test)]
pub(crate) mod certificates;

/// What a request brings along to prove who sends it.
pub struct Credentials<'a> {
    /// The request's headers. Authenticators remove what they consumed (`Authorization`, `X-Remote-*`, a token among
    /// the protocols of a WebSocket).
    pub headers: &'a mut HeaderMap,
    /// The chain that the client presented in the TLS handshake, leaf first; possession of the key is proven, trust
    /// is not yet.
    pub certificates: &'a [CertificateDer<'static>],
    /// Where the connection comes from.
    pub address: IpAddr,
    /// For what its sender should know.
    pub notes: &'a Notes,
}

/// Tells who is asking.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The caller, `system:anonymous` when there are no credentials, 401 when there are but none is valid, 429 when too many
    /// wait to have theirs looked up.
    async fn authenticate(&self, credentials: &mut Credentials<'_>) -> Result<UserInfo, Status>;
}

/// Why a credential that was presented is not valid. Goes to the log, never to the caller.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Rejection {
    /// The certificate does not lead to a trusted authority, has expired or is not meant for clients.
    #[error("client certificate: {0}")]
    Certificate(String),
    /// The certificate is valid but may not speak for others.
    #[error("client certificate: common name {0:?} is not an allowed front proxy")]
    ProxyName(String),
    /// A front proxy names a caller in bytes that are not UTF-8.
    #[error("header {0} is not UTF-8")]
    Header(String),
    /// The cluster does not know the token.
    #[error("bearer token: {0}")]
    Token(String),
    /// The cluster could not be asked about the token.
    #[error("token review: {0}")]
    Review(String),
    /// Too many tokens wait to be looked up.
    #[error("token review: too many wait for theirs")]
    Busy,
}

// === impl Credentials ===

/// Names and counts alone: headers carry tokens.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("certificates", &self.certificates.len())
            .finish()
    }
}
