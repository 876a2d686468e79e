//! Who is asking: front proxy, client certificate, bearer token, or nobody.

use async_trait::async_trait;
use http::HeaderMap;
use rustls_pki_types::CertificateDer;

use crate::wire::{status::Status, user::UserInfo};

/// What a request brings along to prove who sends it.
#[derive(Debug)]
pub struct Credentials<'a> {
    /// The request's headers. Authenticators remove those that they consumed (`Authorization`, `X-Remote-*`).
    pub headers: &'a mut HeaderMap,
    /// The chain that the client presented in the TLS handshake, leaf first; possession of the key is proven, trust
    /// is not yet.
    pub certificates: &'a [CertificateDer<'static>],
}

/// Tells who is asking.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The caller, `system:anonymous` when there are no credentials, 401 when there are but none is valid.
    async fn authenticate(&self, credentials: &mut Credentials<'_>) -> Result<UserInfo, Status>;
}
