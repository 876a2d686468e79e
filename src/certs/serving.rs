//! The serving certificate that a server makes for itself when it is given none.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{Authority, Error, Facts, Leaf, Pair, RENEW_BEFORE, covers, files, issuer};

/// A serving certificate on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServingFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority that clients are to trust.
    pub authority: PathBuf,
}

/// Keeps a serving certificate for `names` (DNS names, IP addresses) in `folder`: `bulward.crt`, `bulward.key`, and the
/// authority `ca.crt`, `ca.key` that issued it. What is there and good for these names for another thirty days is
/// reused; the authority outlives the certificates, so that clients need to be told once.
///
/// # Errors
/// When the folder cannot be written, or holds something else under these names.
pub fn self_signed_serving(folder: &Path, names: &[String]) -> Result<ServingFiles, Error> {
    files::private_folder(folder)?;
    let authority = Authority::load_or_create(folder, "bulward-ca")?;
    let serving = ServingFiles {
        certificate: folder.join("bulward.crt"),
        key: folder.join("bulward.key"),
        authority: folder.join("ca.crt"),
    };
    let leaf = Leaf::server(names);
    keep(&authority, &leaf, &serving.certificate, &serving.key)?;
    Ok(serving)
}

/// Issues `leaf` into the two files unless a pair is there that does for it. Answers the pair.
pub(crate) fn keep(authority: &Authority, leaf: &Leaf, certificate: &Path, key: &Path) -> Result<Pair, Error> {
    if let Some(pair) = Pair::load(certificate, key)? {
        match reusable(
            &pair,
            authority.certificate_pem(),
            leaf,
            SystemTime::now() + RENEW_BEFORE,
        ) {
            Ok(()) => return Ok(pair),
            Err(why) => tracing::info!(path = %certificate.display(), %why, "certificate made anew"),
        }
    }
    let pair = authority.issue(leaf)?;
    pair.save(certificate, key)?;
    Ok(pair)
}

/// Whether a pair does for `leaf` until then, by this authority's certificate; else why not.
pub(crate) fn reusable(pair: &Pair, authority: &str, leaf: &Leaf, until: SystemTime) -> Result<(), String> {
    let facts = Facts::parse(&pair.certificate_pem)?;
    let key = issuer::key(&pair.key_pem)?;
    if facts.public_key != rcgen::PublicKeyData::subject_public_key_info(&key) {
        return Err("the key is of another certificate".to_owned());
    }
    if (&facts.common_name, &facts.organizations) != (&leaf.common_name, &leaf.organizations) {
        return Err("it names another subject".to_owned());
    }
    let certificate = &pair.certificate_pem;
    // Now as well: what begins tomorrow does not do today.
    covers(certificate, authority, leaf.usage, &leaf.names, SystemTime::now())?;
    covers(certificate, authority, leaf.usage, &leaf.names, until)
}
