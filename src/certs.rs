//! Certificates of our own making: an authority, and what it issues to servers and users.
//!
//! Meant for `bulward dev`, for `--cert-dir` and for tests; production brings its own authority.

mod examine;
pub mod files;
mod inspect;
mod issuer;
mod serving;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

pub use examine::{Fault, Summary, covers as name_covers, examine, whose};
pub use inspect::{Facts, blocks, covers};
pub use serving::{ServingFiles, self_signed_serving};
pub(crate) use serving::{keep, reusable};

/// How long an authority lasts.
pub const AUTHORITY_LIFETIME: Duration = days(3650);
/// How long what it issues lasts.
pub const LEAF_LIFETIME: Duration = days(365);
/// What has less than this left is made anew rather than reused.
pub const RENEW_BEFORE: Duration = days(30);
/// How far back validity starts, for clocks that disagree.
const BACKDATED: Duration = Duration::from_secs(3600);

const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 24 * 3600)
}

/// Why a certificate could not be made or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is there but is not what it should be.
    #[error("{}: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate asked for cannot exist.
    #[error("cannot make a certificate for {subject}: {why}")]
    Issue {
        /// For whom it was.
        subject: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A certificate authority with its key.
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// TLS servers.
    Server,
    /// TLS clients.
    Client,
    /// Both, for servers that are each other's clients.
    Peer,
}

/// A certificate to be issued.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// CN: a server's main name, or the user name.
    pub common_name: String,
    /// O: the user's groups; two at most.
    pub organizations: Vec<String>,
    /// Subject alternative names: DNS names and IP addresses.
    pub names: Vec<String>,
    /// What it is for.
    pub usage: Usage,
    /// From when it is valid.
    pub not_before: SystemTime,
    /// Until when it is valid.
    pub not_after: SystemTime,
}

/// A certificate with its key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub certificate_pem: String,
    /// The key, PKCS #8.
    pub key_pem: String,
}

// === impl Authority ===

impl Authority {
    /// Makes an authority with a fresh key.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(common_name: &str) -> Result<Self, Error> {
        Self::lasting(common_name, AUTHORITY_LIFETIME)
    }

    /// As [`Authority::new`], valid for so long.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn lasting(common_name: &str, lifetime: Duration) -> Result<Self, Error> {
        let failed = |why| issue_error(common_name, why);
        let key = KeyPair::generate().map_err(failed)?;
        let params = authority_params(common_name, lifetime);
        let certificate_pem = params.self_signed(&key).map_err(failed)?.pem();
        Ok(Self {
            certificate_pem,
            issuer: Issuer::new(params, key),
        })
    }

    /// Takes up an authority that is there, whoever made it. The paths are for the errors alone.
    ///
    /// # Errors
    /// When either PEM is damaged, the two do not belong together, or what it would sign would not be believed.
    pub fn from_pem(pair: &Pair, certificate_path: &Path, key_path: &Path) -> Result<Self, Error> {
        Ok(Self {
            certificate_pem: pair.certificate_pem.clone(),
            issuer: issuer::issuer(pair, certificate_path, key_path)?,
        })
    }

    /// Takes up `ca.crt` and `ca.key` in `folder`, or makes them there when they are missing or nearly expired. A certificate
    /// without its key is not replaced.
    ///
    /// # Errors
    /// When the folder cannot be read or written, or holds something else under these names.
    pub fn load_or_create(folder: &Path, common_name: &str) -> Result<Self, Error> {
        let (certificate_path, key_path) = (folder.join("ca.crt"), folder.join("ca.key"));
        let pair = Pair::load(&certificate_path, &key_path)?;
        // A key alone is what a crash leaves behind; a certificate alone is somebody's, and clients trust it.
        if pair.is_none() && files::read(&certificate_path)?.is_some() {
            let key = key_path.display();
            return Err(Error::Damaged {
                path: certificate_path.clone(),
                why: format!(
                    "its key {key} is missing: put it there, or remove the certificate to have another authority"
                ),
            });
        }
        if let Some(pair) = pair {
            let authority = Self::from_pem(&pair, &certificate_path, &key_path)?;
            let facts = Facts::parse(&pair.certificate_pem).map_err(|why| Error::Damaged {
                path: certificate_path.clone(),
                why,
            })?;
            if facts.not_after > SystemTime::now() + RENEW_BEFORE {
                if let Some(mode) = files::open_to_others(&key_path)? {
                    let path = key_path.display();
                    tracing::warn!("{path} has mode {mode:o}: others can read the authority's key, chmod 600 it");
                }
                return Ok(authority);
            }
            let path = certificate_path.display();
            tracing::warn!(
                "{path} ends within thirty days or has ended: another authority takes its place, clients have to be given it"
            );
        }
        let authority = Self::new(common_name)?;
        authority.pair().save(&certificate_path, &key_path)?;
        Ok(authority)
    }

    /// The authority's own certificate.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Certificate and key, as [`Authority::from_pem`] takes them.
    pub fn pair(&self) -> Pair {
        Pair {
            certificate_pem: self.certificate_pem.clone(),
            key_pem: self.issuer.key().serialize_pem(),
        }
    }

    /// Issues a certificate with a fresh key.
    ///
    /// # Errors
    /// When a name is neither a DNS name nor an IP address, an organization is empty, or there are more than fit.
    pub fn issue(&self, leaf: &Leaf) -> Result<Pair, Error> {
        let failed = |why| issue_error(&leaf.common_name, why);
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = leaf.params()?.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(Pair {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn authority_params(common_name: &str, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let now = SystemTime::now();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + lifetime).into();
    params
}

fn issue_error(subject: &str, why: rcgen::Error) -> Error {
    Error::Issue {
        subject: subject.to_owned(),
        why: why.to_string(),
    }
}

// === impl Leaf ===

impl Leaf {
    /// A server's certificate for these DNS names and IP addresses, the first of which becomes its CN.
    pub fn server<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        Self {
            common_name: names.first().cloned().unwrap_or_default(),
            names,
            ..Self::valid_from_now(Usage::Server)
        }
    }

    /// A user's certificate: the user name and its groups, two at most.
    pub fn client(user: impl Into<String>, groups: &[&str]) -> Self {
        Self {
            common_name: user.into(),
            organizations: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..Self::valid_from_now(Usage::Client)
        }
    }

    /// The certificate of servers that are each other's clients: their common name, and all their DNS names and IP addresses.
    pub fn peer<N: Into<String>>(common_name: impl Into<String>, names: impl IntoIterator<Item = N>) -> Self {
        Self {
            common_name: common_name.into(),
            names: names.into_iter().map(Into::into).collect(),
            ..Self::valid_from_now(Usage::Peer)
        }
    }

    /// The same, valid until then.
    #[must_use]
    pub fn until(mut self, not_after: SystemTime) -> Self {
        self.not_after = not_after;
        self
    }

    fn valid_from_now(usage: Usage) -> Self {
        let now = SystemTime::now();
        Self {
            common_name: String::new(),
            organizations: Vec::new(),
            names: Vec::new(),
            usage,
            not_before: now - BACKDATED,
            not_after: now + LEAF_LIFETIME,
        }
    }

    fn params(&self) -> Result<CertificateParams, Error> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = self
            .names
            .iter()
            .map(|name| self.alt_name(name))
            .collect::<Result<_, _>>()?;
        params.distinguished_name = self.distinguished_name()?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        let (server, client) = (ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth);
        params.extended_key_usages = match self.usage {
            Usage::Server => vec![server],
            Usage::Client => vec![client],
            Usage::Peer => vec![server, client],
        };
        params.use_authority_key_identifier_extension = true;
        params.not_before = self.not_before.into();
        params.not_after = self.not_after.into();
        Ok(params)
    }

    fn alt_name(&self, name: &str) -> Result<SanType, Error> {
        if let Ok(address) = name.parse() {
            return Ok(SanType::IpAddress(address));
        }
        if !is_dns_name(name) {
            return Err(Error::Issue {
                subject: self.common_name.clone(),
                why: format!("{name:?} is neither a DNS name nor an IP address"),
            });
        }
        let dns_name = name.try_into().map_err(|why| issue_error(&self.common_name, why))?;
        Ok(SanType::DnsName(dns_name))
    }

    /// rcgen keeps one value a kind of attribute; the second organization goes in under the attribute's number.
    fn distinguished_name(&self) -> Result<DistinguishedName, Error> {
        let mut name = DistinguishedName::new();
        let slots = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
        if self.organizations.len() > slots.len() {
            return Err(Error::Issue {
                subject: self.common_name.clone(),
                why: format!("at most {} groups fit into a certificate made here", slots.len()),
            });
        }
        if self.organizations.iter().any(String::is_empty) {
            return Err(Error::Issue {
                subject: self.common_name.clone(),
                why: "a group has no name".to_owned(),
            });
        }
        for (slot, organization) in slots.into_iter().zip(&self.organizations) {
            name.push(slot, organization.as_str());
        }
        name.push(DnType::CommonName, self.common_name.as_str());
        Ok(name)
    }
}

/// As TLS clients compare it: a wildcard stands for a whole first label.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (1..=63).contains(&label.len()) && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.strip_prefix("*.").unwrap_or(name).split('.').all(label)
}

// === impl Pair ===

impl Pair {
    /// Reads both files; `None` when either is missing.
    ///
    /// # Errors
    /// When a file is there but cannot be read.
    pub fn load(certificate: &Path, key: &Path) -> Result<Option<Self>, Error> {
        let (Some(certificate_pem), Some(key_pem)) = (files::read(certificate)?, files::read(key)?) else {
            return Ok(None);
        };
        Ok(Some(Self {
            certificate_pem,
            key_pem,
        }))
    }

    /// Writes both files, the key readable for the owner alone.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, certificate: &Path, key: &Path) -> Result<(), Error> {
        files::write(key, self.key_pem.as_bytes(), files::Access::Private)?;
        files::write(certificate, self.certificate_pem.as_bytes(), files::Access::Public)
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}
