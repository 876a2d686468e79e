//! The serving certificates: read or made, looked at again while we run.

use std::sync::Arc;
use std::time::Duration;

use rustls::server::ResolvesServerCert;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::certs;
use crate::config::{Apiserver, Certificate};
use crate::http::tls::{NamedCertificates, ServingCertificate};

/// How often a certificate of our own making is asked whether it ends soon.
const OWN: Duration = Duration::from_secs(3600);

/// What the listener presents, and the certificate that everybody gets who asks for no name.
pub(super) struct Serving {
    pub(super) everybody: Arc<ServingCertificate>,
    pub(super) presented: Arc<dyn ResolvesServerCert>,
}

/// Reads what the configuration names, and follows it until `stop`.
pub(super) fn establish(config: &Apiserver, stop: &CancellationToken) -> Result<Serving, Error> {
    let interval = config.serving.certificate_refresh;
    let everybody = certificate(&config.serving.certificate, &config.tls.names)?;
    follow(&config.serving.certificate, &everybody, interval, stop);
    let mut named = Vec::new();
    for pair in &config.tls.named {
        let certificate = ServingCertificate::load_for(&pair.certificate, &pair.key, pair.names.clone());
        let certificate = certificate.map_err(Error::Certificate)?;
        tokio::spawn(certificate.clone().follow(interval, stop.clone()));
        named.push((pair.names.clone(), certificate));
    }
    let presented: Arc<dyn ResolvesServerCert> = match named.is_empty() {
        true => everybody.clone(),
        false => Arc::new(NamedCertificates::new(everybody.clone(), named)),
    };
    Ok(Serving { everybody, presented })
}

/// Reads or makes a serving certificate. One from files must have all of `names`.
pub(crate) fn certificate(source: &Certificate, names: &[String]) -> Result<Arc<ServingCertificate>, Error> {
    match source {
        Certificate::Files { certificate, key } => Ok(ServingCertificate::load_for(certificate, key, names.to_vec())?),
        Certificate::SelfSigned { folder, names } => {
            let files = certs::self_signed_serving(folder, names)?;
            Ok(ServingCertificate::load(files.certificate, files.key)?)
        }
    }
}

/// Looks at the files every `interval` until `stop`, and makes those of our own anew before they end.
pub(crate) fn follow(
    source: &Certificate,
    certificate: &Arc<ServingCertificate>,
    interval: Duration,
    stop: &CancellationToken,
) {
    tokio::spawn(certificate.clone().follow(interval, stop.clone()));
    if let Certificate::SelfSigned { folder, names } = source.clone() {
        let stop = stop.clone();
        tokio::spawn(async move {
            while stop.run_until_cancelled(tokio::time::sleep(OWN)).await.is_some() {
                let (folder, names) = (folder.clone(), names.clone());
                let kept = tokio::task::spawn_blocking(move || certs::self_signed_serving(&folder, &names)).await;
                match kept {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "serving certificate not made anew, trying again"),
                    Err(error) => tracing::error!(%error, "serving certificate not looked at"),
                }
            }
        });
    }
}
