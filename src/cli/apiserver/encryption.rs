//! The flag for encryption at rest.

use std::path::PathBuf;
use std::time::Duration;

use super::{given, path};
use crate::config::Encryption;

/// How often the file is looked at: soon enough for an operator who waits for a new key on every replica.
const REFRESH: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EncryptionArgs {
    /// EncryptionConfiguration with the keys that encrypt what is stored (aesgcm, identity; resources "*.*"); read again
    /// when it changes
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_ENCRYPTION_PROVIDER_CONFIG")]
    encryption_provider_config: Option<PathBuf>,
}

impl EncryptionArgs {
    pub(in crate::cli) fn config(self) -> Option<Encryption> {
        given(self.encryption_provider_config).map(|file| Encryption { file, refresh: REFRESH })
    }
}
