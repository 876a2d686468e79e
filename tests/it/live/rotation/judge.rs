//! OpenSSL's opinion of what lies in Secrets.

use std::collections::BTreeMap;

use bulward::certs::blocks;
use openssl::pkey::PKey;
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyParam;
use openssl::x509::{X509, X509PurposeId, X509StoreContext};

/// A Secret's texts.
pub(in crate::live) type Texts = BTreeMap<String, String>;

/// A Secret with a certificate, and who judges that: its name, what it is for, and a name that it has to cover.
pub(in crate::live) type Leaf = (&'static str, X509PurposeId, Option<&'static str>);

pub(super) const SERVING: Leaf = (
    "bulward-apiserver-tls",
    X509PurposeId::SSL_SERVER,
    Some("bulward-apiserver.bulward-system.svc"),
);
const MEMBER: &str = "bulward-etcd-1.bulward-etcd.bulward-system.svc";
/// Those of an installation with an etcd of its own.
pub(in crate::live) const ALL: [Leaf; 4] = [
    SERVING,
    ("bulward-apiserver-etcd", X509PurposeId::SSL_CLIENT, None),
    ("bulward-etcd-tls", X509PurposeId::SSL_SERVER, Some(MEMBER)),
    ("bulward-etcd-tls", X509PurposeId::SSL_CLIENT, None),
];

/// Chain, purpose, name and time.
fn verify(certificate: &str, bundle: &str, purpose: X509PurposeId, host: Option<&str>) -> Result<(), String> {
    let mut store = X509StoreBuilder::new().unwrap();
    for authority in blocks(bundle) {
        store.add_cert(X509::from_pem(authority.as_bytes()).unwrap()).unwrap();
    }
    let mut param = X509VerifyParam::new().unwrap();
    param.set_purpose(purpose).unwrap();
    if let Some(host) = host {
        param.set_host(host).unwrap();
    }
    store.set_param(&param).unwrap();
    let leaf = X509::from_pem(certificate.as_bytes()).unwrap();
    let mut context = X509StoreContext::new().unwrap();
    let verify = |context: &mut openssl::x509::X509StoreContextRef| {
        let good = context.verify_cert()?;
        Ok((good, context.error().to_string()))
    };
    let (good, why) = context
        .init(&store.build(), &leaf, &Stack::new().unwrap(), verify)
        .unwrap();
    if good { Ok(()) } else { Err(why) }
}

/// These certificates as their users judge them: by the authorities beside them, which is what they read, and by those that
/// the keepers have. Answers how many chains were verified.
pub(in crate::live) fn judge(secrets: &BTreeMap<String, Texts>, leaves: &[Leaf]) -> Result<usize, String> {
    let bundle = &secrets.get("bulward-ca").ok_or("no authority")?["ca.crt"];
    let mut verified = 0;
    for (name, purpose, host) in leaves {
        let secret = secrets.get(*name).ok_or_else(|| format!("no {name}"))?;
        let certificate = &secret["tls.crt"];
        for (whose, trusted) in [("its own", &secret["ca.crt"]), ("the keepers'", bundle)] {
            verify(certificate, trusted, *purpose, *host)
                .map_err(|why| format!("{name}, by {whose} authorities: {why}"))?;
            verified += 1;
        }
        PKey::private_key_from_pem(secret["tls.key"].as_bytes())
            .and_then(|key| Ok(X509::from_pem(certificate.as_bytes())?.public_key()?.public_eq(&key)))
            .map_err(|why| why.to_string())?
            .then_some(())
            .ok_or_else(|| format!("{name}: the key is another's"))?;
    }
    Ok(verified)
}
