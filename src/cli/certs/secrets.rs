//! Certificates in Secrets, so that every replica has the same. Whoever comes first makes them, whoever comes second finds
//! them: a Secret is created if it is absent, or replaced if it is still what was looked at.

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};

use crate::certs::{Authority, Leaf, Pair, reusable};
use crate::cluster::webhook::told;

/// Marks what we may replace: what somebody else made (an administrator, cert-manager) is used as it is.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const OURS: &str = "bulward-certs";

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const AUTHORITY: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";

/// How often a lost race is run again.
pub(super) const ATTEMPTS: usize = 10;

/// The Secrets of a namespace.
pub(super) struct Secrets {
    api: Api<Secret>,
    namespace: String,
}

/// What to write: a Secret's type, and its data.
type Wanted = (&'static str, Vec<(&'static str, String)>);

/// What became of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Made, or made anew.
    Made,
    /// It will do.
    Found,
    /// It will do because it is not ours.
    Foreign,
}

impl Secrets {
    pub(super) fn new(client: kube::Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
        }
    }

    /// The authority that the Secret holds, made if there is none.
    pub(super) async fn authority(&self, name: &str) -> Result<Authority, String> {
        let decide = |found: Option<&Secret>| match found {
            Some(_) => Ok(None),
            None => {
                let authority = Authority::new(name).map_err(|error| error.to_string())?;
                let Pair {
                    certificate_pem,
                    key_pem,
                } = authority.pair();
                let data = [(AUTHORITY, certificate_pem), (AUTHORITY_KEY, key_pem)];
                Ok(Some(("Opaque", data.to_vec())))
            }
        };
        let (secret, _) = self.keep(name, decide).await?;
        let place = |key: &str| PathBuf::from(format!("secret {}/{name}: {key}", self.namespace));
        let text = |key| text(&secret, key).ok_or_else(|| format!("{}: missing", place(key).display()));
        let pair = Pair {
            certificate_pem: text(AUTHORITY)?,
            key_pem: text(AUTHORITY_KEY)?,
        };
        Authority::from_pem(&pair, &place(AUTHORITY), &place(AUTHORITY_KEY)).map_err(|error| error.to_string())
    }

    /// Keeps a certificate with its authority in a Secret, and answers whether it had to be made, and the authority that the
    /// Secret names; one that is not ours may name none.
    pub(super) async fn leaf(
        &self,
        name: &str,
        leaf: &Leaf,
        authority: &Authority,
    ) -> Result<(Kept, Option<String>), String> {
        let decide = |found: Option<&Secret>| {
            match found.map(|secret| is_good(secret, leaf, authority)) {
                Some(Ok(())) => return Ok(None),
                Some(Err(why)) => tracing::info!(secret = name, %why, "certificate made anew"),
                None => {}
            }
            let pair = authority.issue(leaf).map_err(|error| error.to_string())?;
            let data = vec![
                (AUTHORITY, authority.certificate_pem().to_owned()),
                (CERTIFICATE, pair.certificate_pem),
                (KEY, pair.key_pem),
            ];
            Ok(Some(("kubernetes.io/tls", data)))
        };
        let (secret, kept) = self.keep(name, decide).await?;
        Ok((kept, text(&secret, AUTHORITY)))
    }

    /// Asks `decide` what to write about what is there (nothing: it will do) until that could be written.
    async fn keep(
        &self,
        name: &str,
        decide: impl Fn(Option<&Secret>) -> Result<Option<Wanted>, String>,
    ) -> Result<(Secret, Kept), String> {
        let failed = |error: kube::Error| format!("secret {}/{name}: {}", self.namespace, told(&error));
        for _ in 0..ATTEMPTS {
            let found = self.api.get_opt(name).await.map_err(failed)?;
            if let Some(secret) = found.as_ref().filter(|secret| !is_ours(secret)) {
                return Ok((secret.clone(), Kept::Foreign));
            }
            let Some((kind, data)) = decide(found.as_ref())? else {
                let found = found.ok_or_else(|| format!("secret {name}: nothing was decided"))?;
                return Ok((found, Kept::Found));
            };
            let params = PostParams::default();
            let written = match found {
                None => self.api.create(&params, &new(name, kind, data)).await,
                Some(mut secret) => {
                    secret.data = Some(bytes(data));
                    self.api.replace(name, &params, &secret).await
                }
            };
            match written {
                Ok(secret) => return Ok((secret, Kept::Made)),
                // Another replica was faster.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(format!(
            "secret {}/{name}: changed {ATTEMPTS} times meanwhile",
            self.namespace
        ))
    }
}

fn is_good(secret: &Secret, leaf: &Leaf, authority: &Authority) -> Result<(), String> {
    let missing = |key: &str| format!("{key} is missing");
    let pair = Pair {
        certificate_pem: text(secret, CERTIFICATE).ok_or_else(|| missing(CERTIFICATE))?,
        key_pem: text(secret, KEY).ok_or_else(|| missing(KEY))?,
    };
    if text(secret, AUTHORITY).as_deref() != Some(authority.certificate_pem()) {
        return Err("the authority is another one".to_owned());
    }
    reusable(&pair, authority, leaf)
}

fn is_ours(secret: &Secret) -> bool {
    let labels = secret.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(MANAGED_BY))
        .is_some_and(|by| by == OURS)
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    let ByteString(bytes) = secret.data.as_ref()?.get(key)?;
    String::from_utf8(bytes.clone()).ok()
}

fn bytes(data: Vec<(&'static str, String)>) -> BTreeMap<String, ByteString> {
    let encoded = |(key, text): (&str, String)| (key.to_owned(), ByteString(text.into_bytes()));
    data.into_iter().map(encoded).collect()
}

fn new(name: &str, kind: &str, data: Vec<(&'static str, String)>) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([(MANAGED_BY.to_owned(), OURS.to_owned())])),
            ..ObjectMeta::default()
        },
        type_: Some(kind.to_owned()),
        data: Some(bytes(data)),
        ..Secret::default()
    }
}
