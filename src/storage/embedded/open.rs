//! Finding and checking the file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Builder, Database, DatabaseError, StorageError};

use super::Options;
use crate::storage::Error;

/// The file's name in its folder.
const FILE: &str = "bulward.redb";

/// Opens the file in `folder`; both are created, for this user alone, if need be.
pub(super) fn database(folder: &Path, options: &Options) -> Result<Database, Error> {
    let unusable = |error: io::Error| {
        let folder = folder.display();
        Error::Failed(format!("cannot keep data in {folder}: {error}"))
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(unusable)?;
    let file = folder.join(FILE);
    if !file.exists() {
        let private = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file);
        private.and_then(|created| created.sync_all()).map_err(unusable)?;
        // The file's name is part of the folder.
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(unusable)?;
    }
    let mut builder = Builder::new();
    builder
        .set_cache_size(options.cache_bytes)
        .set_check_integrity_on_open(options.verify);
    // In a damaged file redb may run into what it takes for impossible.
    let opened = catch_unwind(AssertUnwindSafe(|| builder.create(&file)));
    let file = file.display();
    let failed = |why: String| Error::Failed(format!("cannot open the storage {file}: {why}"));
    match opened {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => Err(failed("another process has it open".to_owned())),
        Ok(Err(DatabaseError::Storage(StorageError::Io(error)))) if error.kind() == io::ErrorKind::InvalidData => {
            Err(failed(format!("the file is damaged, or not a storage: {error}")))
        }
        Ok(Err(DatabaseError::Storage(StorageError::Corrupted(error)))) => {
            Err(failed(format!("the file is damaged: {error}")))
        }
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("the file is damaged".to_owned())),
    }
}
