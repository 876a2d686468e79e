//! Certificate authorities and certificates for tests. Authorities are made with rcgen, leaves with OpenSSL, so that
//! neither judges its own work.

use openssl::{
    asn1::{Asn1Integer, Asn1Time},
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::PKey,
    x509::{X509, X509NameBuilder, extension::ExtendedKeyUsage},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls_pki_types::CertificateDer;

use super::trust::CaPool;

/// The subject attribute that carries a uid.
pub(crate) const UID: &str = "1.3.6.1.4.1.57683.2";

/// An authority with its key.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    key: String,
}

/// What a leaf says; the default is a valid client certificate that names nobody.
pub(crate) struct Leaf {
    /// Attributes of the subject, in order.
    pub(crate) subject: Vec<(&'static str, &'static str)>,
    pub(crate) client_auth: bool,
    /// Valid from and until the first of January.
    pub(crate) years: (i32, i32),
}

impl Default for Leaf {
    fn default() -> Self {
        Self {
            subject: Vec::new(),
            client_auth: true,
            years: (2020, 2090),
        }
    }
}

impl Leaf {
    pub(crate) fn named(name: &'static str) -> Self {
        Self {
            subject: vec![("CN", name)],
            ..Self::default()
        }
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::valid(name, (2020, 2090))
    }

    pub(crate) fn valid(name: &str, years: (i32, i32)) -> Self {
        let (key, pem) = key();
        Self {
            issuer: CertifiedIssuer::self_signed(Self::params(name, years), key).expect("an authority"),
            key: pem,
        }
    }

    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let (key, pem) = key();
        let params = Self::params(name, (2020, 2090));
        Self {
            issuer: CertifiedIssuer::signed_by(params, key, &self.issuer).expect("an intermediate"),
            key: pem,
        }
    }

    fn params(name: &str, (from, until): (i32, i32)) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    pub(crate) fn pool(&self) -> CaPool {
        CaPool::from_pem("test", self.pem().as_bytes()).expect("a pool")
    }

    /// A chain of one.
    pub(crate) fn issue(&self, leaf: Leaf) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from(self.sign(leaf).expect("a leaf"))]
    }

    fn sign(&self, leaf: Leaf) -> Result<Vec<u8>, openssl::error::ErrorStack> {
        let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        let key = PKey::from_ec_key(EcKey::generate(&curve)?)?;
        let mut subject = X509NameBuilder::new()?;
        for (attribute, value) in leaf.subject {
            subject.append_entry_by_text(attribute, value)?;
        }
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        let serial = Asn1Integer::from_bn(&*BigNum::from_u32(7)?)?;
        builder.set_serial_number(&serial)?;
        builder.set_subject_name(&subject.build())?;
        builder.set_issuer_name(X509::from_der(self.issuer.der())?.subject_name())?;
        let (from, until) = leaf.years;
        let (from, until) = (format!("{from}0101000000Z"), format!("{until}0101000000Z"));
        builder.set_not_before(&*Asn1Time::from_str(&from)?)?;
        builder.set_not_after(&*Asn1Time::from_str(&until)?)?;
        builder.set_pubkey(&key)?;
        let mut usage = ExtendedKeyUsage::new();
        let usage = if leaf.client_auth {
            usage.client_auth()
        } else {
            usage.server_auth()
        };
        builder.append_extension(usage.build()?)?;
        builder.sign(
            &*PKey::private_key_from_pem(self.key.as_bytes())?,
            MessageDigest::sha256(),
        )?;
        builder.build().to_der()
    }
}

fn key() -> (KeyPair, String) {
    let key = KeyPair::generate().expect("a key");
    let pem = key.serialize_pem();
    (key, pem)
}
