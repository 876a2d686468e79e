//! Who we are to webhooks: the users of a kubeconfig, by the servers that they are for (k8s.io/apiserver
//! pkg/util/webhook/authentication.go). A user stands for `host:port`, for `*.domain:port`, where the port is 443 for the
//! same without it, or for `*`, everybody else.

use std::collections::HashMap;
use std::fmt;
use std::iter;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use kube::config::{AuthInfo, Kubeconfig, KubeconfigError};
use parking_lot::Mutex;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::sign::CertifiedKey;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::cluster::webhook::chain;

/// How long what was read from files is believed: tokens of service accounts are exchanged while they are in use
/// (k8s.io/client-go transport/token_source.go).
const REFRESH: Duration = Duration::from_secs(60);

/// The users of a kubeconfig.
#[derive(Default)]
pub struct Credentials {
    users: HashMap<String, Arc<Identity>>,
    /// The user of the current context, for servers that no other user is for.
    current: Option<Arc<Identity>>,
}

/// One user, with what proves it.
pub struct Identity {
    user: AuthInfo,
    proof: ArcSwap<Proof>,
    read: Mutex<Instant>,
}

/// What a webhook is shown.
struct Proof {
    authorization: Option<HeaderValue>,
    certificate: Option<Arc<CertifiedKey>>,
}

// === impl Credentials ===

impl Credentials {
    /// Reads a kubeconfig, and all files that its users name.
    ///
    /// # Errors
    /// One line that says where and what, and quotes no secret.
    pub fn load(file: &Path) -> Result<Self, String> {
        let at = |why: String| format!("{}: {why}", file.display());
        let read = Kubeconfig::read_from(file).map_err(|error| match error {
            // The parser's own words may quote the file.
            KubeconfigError::Parse(error) => match error.without_snippet().location() {
                Some(place) => at(format!("line {}: no kubeconfig", place.line())),
                None => at("no kubeconfig".to_owned()),
            },
            KubeconfigError::ReadConfig(error, _) => at(error.to_string()),
            error => at(chain(&error)),
        })?;
        Self::of(read).map_err(at)
    }

    fn of(kubeconfig: Kubeconfig) -> Result<Self, String> {
        let mut users = HashMap::new();
        for named in kubeconfig.auth_infos {
            let path = format!("users[{:?}]", named.name);
            let user = named.auth_info.unwrap_or_default();
            let identity = Identity::new(user).map_err(|why| format!("{path}.{why}"))?;
            if users.insert(named.name, Arc::new(identity)).is_some() {
                return Err(format!("{path}: is there twice"));
            }
        }
        let mut contexts = kubeconfig.contexts.into_iter();
        let current = kubeconfig
            .current_context
            .and_then(|current| contexts.find(|context| context.name == current))
            .and_then(|context| context.context?.user)
            .and_then(|user| users.get(&user).cloned());
        Ok(Self { users, current })
    }

    /// Who we are to a server; nobody in particular, where no user is for it.
    pub fn to(&self, host: &str, port: u16) -> Option<Arc<Identity>> {
        let lookup = |target: &str| {
            let above = target.match_indices('.').map(|(at, _)| format!("*{}", &target[at..]));
            let mut names = iter::once(target.to_owned()).chain(above);
            names.find_map(|name| self.users.get(&name).cloned())
        };
        lookup(&format!("{host}:{port}"))
            .or_else(|| if port == 443 { lookup(host) } else { None })
            .or_else(|| self.users.get("*").cloned())
            .or_else(|| self.current.clone())
    }
}

// === impl Identity ===

impl Identity {
    fn new(user: AuthInfo) -> Result<Self, String> {
        let asked = [
            ("exec", user.exec.is_some()),
            ("auth-provider", user.auth_provider.is_some()),
            ("as", user.impersonate.is_some()),
        ];
        if let Some((field, _)) = asked.into_iter().find(|(_, there)| *there) {
            return Err(format!("{field}: is not supported for webhooks"));
        }
        let proof = ArcSwap::from_pointee(Proof::of(&user)?);
        let read = Mutex::new(Instant::now());
        Ok(Self { user, proof, read })
    }

    /// The header that says who asks.
    pub fn authorization(&self) -> Option<HeaderValue> {
        self.proof.load().authorization.clone()
    }

    /// Reads files again that have not been read for a while. What cannot be read leaves everything as it was.
    pub async fn refresh(self: &Arc<Self>) {
        if !self.is_due() {
            return;
        }
        let this = self.clone();
        match tokio::task::spawn_blocking(move || Proof::of(&this.user)).await {
            Ok(Ok(proof)) => self.proof.store(Arc::new(proof)),
            Ok(Err(why)) => tracing::warn!(why, "a webhook's credentials not read again, the old ones stay in use"),
            Err(error) => tracing::error!(%error, "a webhook's credentials not read again"),
        }
    }

    fn is_due(&self) -> bool {
        let AuthInfo {
            token_file,
            client_certificate,
            client_key,
            ..
        } = &self.user;
        if [token_file, client_certificate, client_key]
            .iter()
            .all(|file| file.is_none())
        {
            return false;
        }
        let mut read = self.read.lock();
        let due = read.elapsed() >= REFRESH;
        if due {
            *read = Instant::now();
        }
        due
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.proof.load().certificate.clone()
    }

    fn has_certs(&self) -> bool {
        self.proof.load().certificate.is_some()
    }
}

/// Nothing of it is for logs.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

// === impl Proof ===

impl Proof {
    fn of(user: &AuthInfo) -> Result<Self, String> {
        Ok(Self {
            authorization: authorization(user)?,
            certificate: certificate(user)?.map(Arc::new),
        })
    }
}

fn authorization(user: &AuthInfo) -> Result<Option<HeaderValue>, String> {
    let said = |secret: &Option<SecretString>| {
        let secret = secret.as_ref().map(|secret| secret.expose_secret());
        secret.filter(|secret| !secret.is_empty()).map(str::to_owned)
    };
    // What is in the file takes precedence.
    let token = match &user.token_file {
        Some(file) => {
            let text = read("tokenFile", file)?;
            let token = String::from_utf8_lossy(&text).trim().to_owned();
            if token.is_empty() {
                return Err(format!("tokenFile: {file}: holds no token"));
            }
            Some(token)
        }
        None => said(&user.token),
    };
    let (name, password) = (user.username.as_deref().unwrap_or_default(), said(&user.password));
    let basic = !name.is_empty() || password.is_some();
    let (field, value) = match token {
        Some(_) if basic => {
            return Err("username: is there beside a token, but there is one way to say who asks".to_owned());
        }
        Some(token) => ("token", format!("Bearer {token}")),
        None if basic => {
            let pair = format!("{name}:{}", password.unwrap_or_default());
            ("password", format!("Basic {}", BASE64_STANDARD.encode(pair)))
        }
        None => return Ok(None),
    };
    let header =
        HeaderValue::try_from(value).map_err(|_| format!("{field}: has characters that no header may have"))?;
    Ok(Some(sensitive(header)))
}

/// Of which nothing is shown.
fn sensitive(mut header: HeaderValue) -> HeaderValue {
    header.set_sensitive(true);
    header
}

fn certificate(user: &AuthInfo) -> Result<Option<CertifiedKey>, String> {
    let key_data = user.client_key_data.as_ref().map(|key| key.expose_secret());
    let chain = pem(
        ("client-certificate-data", user.client_certificate_data.as_deref()),
        ("client-certificate", user.client_certificate.as_deref()),
    )?;
    let key = pem(
        ("client-key-data", key_data),
        ("client-key", user.client_key.as_deref()),
    )?;
    let ((field, chain), (key_field, key)) = match (chain, key) {
        (Some(chain), Some(key)) => (chain, key),
        (None, None) => return Ok(None),
        (Some((field, _)), None) => return Err(format!("{field}: there is no key for it, set client-key")),
        (None, Some((field, _))) => {
            return Err(format!(
                "{field}: there is no certificate for it, set client-certificate"
            ));
        }
    };
    let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| format!("{field}: holds no PEM certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| format!("{key_field}: holds no PEM private key"))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let pair = CertifiedKey::from_der(chain, key, &provider);
    pair.map(Some)
        .map_err(|error| format!("{key_field}: no key for the certificate: {error}"))
}

type Field<'a> = (&'static str, Option<&'a str>);

/// What a field says, with its name; data comes before a file.
fn pem(data: Field<'_>, file: Field<'_>) -> Result<Option<(&'static str, Vec<u8>)>, String> {
    let said = |field: Field<'_>| field.1.filter(|text| !text.is_empty()).map(str::to_owned);
    if let Some(text) = said(data) {
        let text: String = text.split_whitespace().collect();
        let bytes = BASE64_STANDARD
            .decode(text)
            .map_err(|_| format!("{}: no base64", data.0))?;
        return Ok(Some((data.0, bytes)));
    }
    let Some(path) = said(file) else { return Ok(None) };
    Ok(Some((file.0, read(file.0, &path)?)))
}

fn read(field: &str, file: &str) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("{field}: {file}: {error}"))
}

#[cfg(test)]
mod tests;
