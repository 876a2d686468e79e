//! `bulward storage export`.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::file::{Values, Writer};
use super::{Failure, Place, failed, snapshot};
use crate::storage::Entry;

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// Where to write, readable for the own user alone; standard output without it. It appears once it is whole
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write encrypted values as they are stored, not as plain text: whoever imports needs their keys
    #[arg(long)]
    as_stored: bool,
}

/// Writes everything at one revision.
pub(super) async fn run(arguments: Args) -> Result<(), Failure> {
    let opened = arguments.place.open().await?;
    let values = match arguments.as_stored {
        true => Values::AsStored,
        false => Values::Plain,
    };
    let mut entries: Vec<Entry> = Vec::new();
    let revision = snapshot(&*opened.stored, |mut entry| {
        if values == Values::Plain {
            entry.value = opened.open(&entry).map_err(failed)?;
        }
        entries.push(entry);
        Ok(())
    })
    .await?;
    if entries.is_empty() {
        let why = "nothing is stored there, so nothing was exported; see --etcd-prefix and --data-dir";
        return Err(Failure::Runtime(why.to_owned()));
    }
    let written = match &arguments.output {
        Some(path) => {
            let at = |error: io::Error| Failure::Runtime(format!("{}: {error}", path.display()));
            whole(path, |file| write(file, revision, values, &entries)).map_err(at)?
        }
        None => write(io::stdout().lock(), revision, values, &entries)
            .map_err(|error| Failure::Runtime(format!("standard output: {error}")))?,
    };
    eprintln!("exported {written} entries at revision {revision}");
    Ok(())
}

fn write(out: impl Write, revision: u64, values: Values, entries: &[Entry]) -> io::Result<usize> {
    let mut writer = Writer::start(BufWriter::new(out), revision, values)?;
    entries.iter().try_for_each(|entry| writer.entry(entry))?;
    writer.finish()
}

/// A file that is there whole or not at all: written beside its place, and moved there.
fn whole<T>(path: &Path, write: impl FnOnce(&fs::File) -> io::Result<T>) -> io::Result<T> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.partial", std::process::id()));
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    let written = write(&file).and_then(|written| file.sync_all().map(|()| written));
    let moved = written.and_then(|written| fs::rename(&beside, path).map(|()| written));
    if moved.is_err() {
        let _ = fs::remove_file(&beside);
    }
    moved
}
