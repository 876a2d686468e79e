//! Files that are whole or not there, and keys that only their owner can read.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use super::Error;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The owner: mode 0600.
    Private,
    /// Everyone: mode 0644.
    Public,
}

/// Writes a file under another name and renames it, so that readers see the old or the new contents, and a crash
/// leaves either. The folder must exist.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, contents: &[u8], access: Access) -> Result<(), Error> {
    let failed = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path
        .file_name()
        .ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    let temporary = folder.join(format!(".{}.{}", name.to_string_lossy(), uuid::Uuid::new_v4()));
    let mode = match access {
        Access::Private => 0o600,
        Access::Public => 0o644,
    };
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // What failed is reported; that its remains may stay is not worth a second error.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(failed)
}

/// Reads a text file; `None` when there is none.
///
/// # Errors
/// When it is there but cannot be read.
pub fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The mode of a file that others than its owner can read or write.
///
/// # Errors
/// When it cannot be looked at.
pub fn open_to_others(path: &Path) -> Result<Option<u32>, Error> {
    let metadata = fs::metadata(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    let mode = metadata.permissions().mode() & 0o777;
    Ok((mode & 0o077 != 0).then_some(mode))
}

/// Makes a folder (and those above it) that only the owner may enter. One that exists keeps its mode: it may be shared
/// on purpose, and what has to be secret in it has modes of its own.
///
/// # Errors
/// When it cannot be made, or is not a folder.
pub fn private_folder(path: &Path) -> Result<(), Error> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Error::File {
        path: path.to_owned(),
        source: match source.kind() {
            io::ErrorKind::AlreadyExists => io::ErrorKind::NotADirectory.into(),
            _ => source,
        },
    })
}
