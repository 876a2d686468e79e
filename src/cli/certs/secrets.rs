//! Certificates in Secrets, so that every replica has the same. Whoever comes first makes them, whoever comes second finds
//! them: a Secret is created if it is absent, or replaced if it is still what was looked at.

use std::collections::BTreeMap;
use std::time::SystemTime;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};

use super::authorities::{Authorities, Lifetimes};
use crate::certs::{Authority, Leaf, Pair, reusable};
use crate::cluster::webhook::told;

/// Marks what we may replace: what somebody else made (an administrator, cert-manager) is used as it is.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const OURS: &str = "bulward-certs";

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const AUTHORITY: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const NEXT_KEY: &str = "next.key";

/// How often a lost race is run again.
pub(super) const ATTEMPTS: usize = 10;

/// The Secrets of a namespace.
pub(super) struct Secrets {
    api: Api<Secret>,
    namespace: String,
    lifetimes: Lifetimes,
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

/// What leaves are signed with.
pub(super) struct Signing {
    /// Who signs, or why nobody can: what is good already needs no signature.
    pub(super) authority: Result<Authority, String>,
    /// The certificate of who signs, PEM.
    pub(super) certificate: String,
    /// Who is to be trusted, PEM.
    pub(super) bundle: String,
    /// Until when the authority is valid.
    pub(super) not_after: SystemTime,
}

impl Secrets {
    pub(super) fn new(client: kube::Client, namespace: &str, lifetimes: Lifetimes) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            lifetimes,
        }
    }

    /// What a Secret is called in errors.
    pub(super) fn place(&self, name: &str) -> String {
        format!("secret {}/{name}", self.namespace)
    }

    /// The authorities that the Secret holds, made if there are none.
    pub(super) async fn authorities(&self, name: &str) -> Result<(Authorities, Kept), String> {
        let decide = |found: Option<&Secret>| match found {
            Some(_) => Ok(None),
            None => Ok(Some(written(&Authorities::new(name, &self.lifetimes)?))),
        };
        let (secret, kept) = self.keep(name, decide).await?;
        let authorities = read(&secret).map_err(|why| format!("{}: {why}", self.place(name)))?;
        Ok((authorities, kept))
    }

    /// Puts other authorities in the place of these, unless somebody else was faster. Whether it did.
    pub(super) async fn follow(&self, name: &str, these: &Authorities, others: &Authorities) -> Result<bool, String> {
        let same = |found: Option<&Secret>| found.is_some_and(|secret| read(secret).is_ok_and(|now| now == *these));
        let decide = |found: Option<&Secret>| Ok(same(found).then(|| written(others)));
        Ok(self.keep(name, decide).await?.1 == Kept::Made)
    }

    /// Keeps a certificate with its authorities in a Secret, and answers whether it had to be made, and the authorities that the
    /// Secret names; one that is not ours may name none.
    pub(super) async fn leaf(
        &self,
        name: &str,
        leaf: &Leaf,
        signing: &Signing,
    ) -> Result<(Kept, Option<String>), String> {
        let now = SystemTime::now();
        let leaf = leaf.clone().until((now + self.lifetimes.leaf).min(signing.not_after));
        // An authority at its end can sign nothing that lasts longer.
        let until = (now + self.lifetimes.renew_before).min(leaf.not_after);
        let decide = |found: Option<&Secret>| {
            let pair = match found.map(pair) {
                Some(Ok(pair)) => match reusable(&pair, &signing.certificate, &leaf, until) {
                    Ok(()) => Some(pair),
                    Err(why) => {
                        tracing::info!(secret = name, %why, "certificate made anew");
                        None
                    }
                },
                Some(Err(why)) => {
                    tracing::info!(secret = name, %why, "certificate made anew");
                    None
                }
                None => None,
            };
            let told = found.and_then(|secret| text(secret, AUTHORITY));
            let pair = match pair {
                Some(_) if told.as_ref() == Some(&signing.bundle) => return Ok(None),
                Some(pair) => pair,
                None => {
                    let authority = signing.authority.as_ref().map_err(Clone::clone)?;
                    authority.issue(&leaf).map_err(|error| error.to_string())?
                }
            };
            let data = vec![
                (AUTHORITY, signing.bundle.clone()),
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
        let failed = |error: kube::Error| format!("{}: {}", self.place(name), told(&error));
        for _ in 0..ATTEMPTS {
            let found = self.api.get_opt(name).await.map_err(failed)?;
            if let Some(secret) = found.as_ref().filter(|secret| !is_ours(secret)) {
                return Ok((secret.clone(), Kept::Foreign));
            }
            let Some((kind, data)) = decide(found.as_ref())? else {
                let found = found.ok_or_else(|| format!("{}: it is gone, trying again", self.place(name)))?;
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
        Err(format!("{}: changed {ATTEMPTS} times meanwhile", self.place(name)))
    }
}

fn read(secret: &Secret) -> Result<Authorities, String> {
    let certificates =
        text(secret, AUTHORITY).ok_or_else(|| format!("{AUTHORITY} is missing: put it there, or delete the Secret"))?;
    // Without its key it signs nothing, which may never be asked of it.
    let key = text(secret, AUTHORITY_KEY).unwrap_or_default();
    Authorities::parse(&certificates, &key, text(secret, NEXT_KEY).as_deref())
}

fn written(authorities: &Authorities) -> Wanted {
    let mut data = vec![
        (AUTHORITY, authorities.bundle()),
        (AUTHORITY_KEY, authorities.current.key_pem.clone()),
    ];
    data.extend(authorities.next.iter().map(|next| (NEXT_KEY, next.key_pem.clone())));
    ("Opaque", data)
}

fn pair(secret: &Secret) -> Result<Pair, String> {
    let missing = |key: &str| format!("{key} is missing");
    Ok(Pair {
        certificate_pem: text(secret, CERTIFICATE).ok_or_else(|| missing(CERTIFICATE))?,
        key_pem: text(secret, KEY).ok_or_else(|| missing(KEY))?,
    })
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
