//! Trust from files, read at start and again while we run.

use std::{fs, path::Path, sync::Arc, time::Duration};

use super::{CaPool, HeaderNames, RequestHeader, Source, TrustBundle, TrustError, TrustFlags};

/// Reads what the flags name.
pub(super) fn read(flags: &TrustFlags) -> Result<Source, TrustError> {
    let mut source = Source::default();
    if let Some(path) = &flags.client_ca_file {
        source.client_ca = pool("--client-ca-file", path)?;
    }
    if let Some(path) = &flags.request_header_ca_file {
        source.request_header = Some(RequestHeader {
            ca: pool("--requestheader-client-ca-file", path)?,
            allowed_names: flags.allowed_names.clone(),
            headers: HeaderNames::parse(
                "--requestheader-*-headers",
                &flags.username_headers,
                &flags.uid_headers,
                &flags.group_headers,
                &flags.extra_headers_prefix,
            )?,
        });
    }
    Ok(source)
}

fn pool(flag: &'static str, path: &Path) -> Result<CaPool, TrustError> {
    let pem = fs::read(path).map_err(|source| TrustError::Read {
        flag,
        path: path.to_owned(),
        source,
    })?;
    CaPool::from_pem(&format!("{flag} {}", path.display()), &pem)
}

impl TrustBundle {
    /// Reads the files again every `interval`, for ever; a bad file leaves in force what was read before. Polling by
    /// content sees the symlink swaps of mounted Secrets, which file notification does not.
    pub async fn follow_files(self: Arc<Self>, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            let trust = self.clone();
            let outcome = tokio::task::spawn_blocking(move || trust.reload_files()).await;
            match outcome {
                Ok(Ok(true)) => tracing::info!("certificate authorities reloaded from files"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::error!(%error, "certificate authorities not reloaded, keeping the old ones"),
                Err(error) => tracing::error!(%error, "certificate authorities not reloaded, keeping the old ones"),
            }
        }
    }
}
