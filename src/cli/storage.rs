//! `bulward storage`: looks after what is stored, beside the servers or without them.

mod check;
mod compact;
mod export;
mod file;
mod findings;
mod import;
mod reencrypt;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::Failure;
use super::apiserver::{StorageArgs, encryption::EncryptionArgs};
use crate::server;
use crate::storage::encrypted::{Encrypted, Keys, is_encrypted};
use crate::storage::{Entry, Error, ListRequest, Revision, Storage};

/// Entries read at once.
const PAGE: usize = 1_000;

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write everything, as it was at one revision, to a file that import reads
    Export(export::Args),
    /// Store what a file of export holds
    Import(import::Args),
    /// Look for values that cannot be read and for references that lead nowhere; exit code 1 if there are any
    Check(check::Args),
    /// Forget what is needed only to read and to watch from old revisions
    Compact(compact::Args),
    /// Write every value again that is not encrypted with the first key of the configuration
    Reencrypt(reencrypt::Args),
}

/// Does what is asked for.
pub(super) async fn run(arguments: Args) -> Result<(), Failure> {
    match arguments.what {
        What::Export(arguments) => export::run(arguments).await,
        What::Import(arguments) => import::run(arguments).await,
        What::Check(arguments) => check::run(arguments).await,
        What::Compact(arguments) => compact::run(arguments).await,
        What::Reencrypt(arguments) => reencrypt::run(arguments).await,
    }
}

/// The storage in question: the flags of `bulward apiserver`.
#[derive(Debug, clap::Args)]
struct Place {
    #[command(flatten, next_help_heading = "Storage")]
    storage: StorageArgs,
    #[command(flatten, next_help_heading = "Storage")]
    encryption: EncryptionArgs,
}

/// An open storage.
struct Opened {
    /// Values as they are stored.
    stored: Arc<dyn Storage>,
    /// What opens them, where a configuration is given.
    keys: Option<Arc<Keys>>,
    /// Whether other programs may keep their keys there, too.
    shared: bool,
}

impl Place {
    async fn open(self) -> Result<Opened, Failure> {
        let config = self.storage.config()?;
        let encryption = self.encryption.config();
        let keys = encryption
            .as_ref()
            .map(server::storage::keys)
            .transpose()
            .map_err(failed)?;
        let stored = server::storage::open_plain(&config, server::storage::Patience::None).await;
        Ok(Opened {
            stored: stored.map_err(failed)?,
            keys: keys.map(Arc::new),
            shared: matches!(config, crate::config::Storage::Etcd(_)),
        })
    }
}

impl Opened {
    /// The storage with its values as the server sees them.
    fn plain(&self) -> Arc<dyn Storage> {
        match &self.keys {
            Some(keys) => Arc::new(Encrypted::new(self.stored.clone(), keys.clone())),
            None => self.stored.clone(),
        }
    }

    /// An entry's value as the server sees it, or `key <its key>: <why it cannot>`.
    fn open(&self, entry: &Entry) -> Result<bytes::Bytes, String> {
        match &self.keys {
            Some(keys) => match keys.ring().open(&entry.key, entry.value.clone()) {
                Err(Error::Failed(why)) => Err(why),
                opened => opened.map_err(|error| error.to_string()),
            },
            None if is_encrypted(&entry.value) => Err(format!(
                "key {}: its value is encrypted, give --encryption-provider-config",
                entry.key
            )),
            None => Ok(entry.value.clone()),
        }
    }
}

/// Hands over everything that is stored at one revision, in the order of the keys; answers that revision.
async fn snapshot(
    storage: &dyn Storage,
    mut each: impl FnMut(Entry) -> Result<(), Failure>,
) -> Result<Revision, Failure> {
    let mut request = ListRequest {
        limit: PAGE,
        ..ListRequest::default()
    };
    loop {
        let page = storage.list(request.clone()).await.map_err(failed)?;
        request.revision = Some(page.revision);
        request.after = page.entries.last().map(|last| last.key.clone());
        let more = page.more && request.after.is_some();
        page.entries.into_iter().try_for_each(&mut each)?;
        if !more {
            return Ok(page.revision);
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Runtime(error.to_string())
}

/// How a failure of the storage is told.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        failed(error)
    }
}
