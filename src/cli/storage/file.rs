//! The file of an export: JSON lines. A head, one line an entry in the order of the keys, and a foot by which a file that
//! was cut or changed is known.

use std::io::{BufRead, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::storage::{Entry, Revision};

/// What the head says, so that no other file is taken for one.
const FORMAT: &str = "bulward.io/storage-export";
/// Of the format.
const VERSION: u32 = 1;

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Values {
    /// Readable, whether they are stored encrypted or not.
    Plain,
    /// As they are stored; encrypted values need the keys to be read.
    AsStored,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    version: u32,
    revision: Revision,
    values: Values,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    /// Its resourceVersion when it was exported; after an import it has another one.
    revision: Revision,
    /// The very bytes, where they are JSON in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    /// Anything else, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Foot {
    entries: usize,
    /// Of all lines before this one, line ends included.
    sha256: String,
}

/// A file that was read and is whole.
#[derive(Debug)]
pub(super) struct Export {
    /// When it was made.
    pub(super) revision: Revision,
    /// How its values are written.
    pub(super) values: Values,
    /// What it holds, in the order of the keys.
    pub(super) entries: Vec<Entry>,
    /// What tells it from any other.
    pub(super) digest: String,
}

/// Writes a file line by line.
pub(super) struct Writer<W> {
    out: W,
    digest: Sha256,
    entries: usize,
}

impl<W: Write> Writer<W> {
    pub(super) fn start(out: W, revision: Revision, values: Values) -> std::io::Result<Self> {
        let mut writer = Self {
            out,
            digest: Sha256::new(),
            entries: 0,
        };
        let format = FORMAT.to_owned();
        writer.line(&Head {
            format,
            version: VERSION,
            revision,
            values,
        })?;
        Ok(writer)
    }

    pub(super) fn entry(&mut self, entry: &Entry) -> std::io::Result<()> {
        let value = raw(&entry.value);
        let bytes = value.is_none().then(|| BASE64_STANDARD.encode(&entry.value));
        self.entries += 1;
        self.line(&Line {
            key: entry.key.clone(),
            revision: entry.revision,
            value,
            bytes,
        })
    }

    /// Writes the foot; answers how many entries there are.
    pub(super) fn finish(mut self) -> std::io::Result<usize> {
        let entries = self.entries;
        let sha256 = hex(&self.digest.finalize_reset());
        self.line(&Foot { entries, sha256 })?;
        self.out.flush()?;
        Ok(entries)
    }

    fn line(&mut self, line: &impl Serialize) -> std::io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.digest.update(&bytes);
        self.out.write_all(&bytes)
    }
}

/// Reads a file to its foot.
///
/// # Errors
/// One line with the number of the line that is wrong; nothing of a value is in it.
pub(super) fn read(reader: impl BufRead) -> Result<Export, String> {
    let mut lines = reader.split(b'\n').enumerate();
    let mut next = || -> Result<(usize, Vec<u8>), String> {
        let (index, line) = lines.next().ok_or("the file ends too early, it was cut")?;
        Ok((index + 1, line.map_err(|error| error.to_string())?))
    };
    let (_, line) = next()?;
    let head: Head = serde_json::from_slice(&line).map_err(|_| "line 1: not the head of an export")?;
    if head.format != FORMAT || head.version != VERSION {
        return Err(format!("line 1: not {FORMAT}, version {VERSION}"));
    }
    let mut digest = Sha256::new();
    let mut add = |line: &[u8]| {
        digest.update(line);
        digest.update(b"\n");
        hex(&digest.clone().finalize())
    };
    let mut sum = add(&line);
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let (number, line) = next()?;
        if let Ok(foot) = serde_json::from_slice::<Foot>(&line) {
            if foot.entries != entries.len() || foot.sha256 != sum {
                return Err(format!("line {number}: the file was changed since it was exported"));
            }
            return match next() {
                Ok((number, _)) => Err(format!("line {number}: something follows the foot")),
                Err(_) => Ok(Export {
                    revision: head.revision,
                    values: head.values,
                    entries,
                    digest: sum,
                }),
            };
        }
        let entry = entry(&line).ok_or_else(|| format!("line {number}: not an entry of an export"))?;
        if entries.last().is_some_and(|last| last.key >= entry.key) {
            return Err(format!("line {number}: the key {} is out of order", entry.key));
        }
        sum = add(&line);
        entries.push(entry);
    }
}

fn entry(line: &[u8]) -> Option<Entry> {
    let line: Line = serde_json::from_slice(line).ok()?;
    let value = match (line.value, line.bytes) {
        (Some(raw), None) => Bytes::copy_from_slice(raw.get().as_bytes()),
        (None, Some(text)) => BASE64_STANDARD.decode(text).ok()?.into(),
        _ => return None,
    };
    let (key, revision) = (line.key, line.revision);
    (!key.is_empty()).then_some(Entry { key, value, revision })
}

/// The bytes as they are, if they are JSON that survives in a line.
fn raw(value: &[u8]) -> Option<Box<RawValue>> {
    let raw: &RawValue = serde_json::from_slice(value).ok()?;
    // A null would be read as nothing.
    let whole = raw.get().len() == value.len() && !value.contains(&b'\n') && raw.get() != "null";
    whole.then(|| raw.to_owned())
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
