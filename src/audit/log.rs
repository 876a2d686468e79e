//! Events as lines of a file, or of standard output (k8s.io/apiserver plugin/pkg/audit/log).

use std::io::{self, Write};
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use super::backend::{Delivery, Failure};
use super::rotate::{Rotating, Rotation};

/// A line for every event.
pub struct LogFile(Mutex<Out>);

enum Out {
    Stdout,
    File(Rotating),
}

impl LogFile {
    /// `-` is standard output. A file and its folder are made if need be, for nobody else to read.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let out = match path.as_os_str() == "-" {
            true => Out::Stdout,
            false => Out::File(Rotating::open(path, rotation)?),
        };
        Ok(Self(Mutex::new(out)))
    }

    fn write(&self, lines: &[u8]) -> io::Result<()> {
        match &mut *self.0.lock() {
            Out::File(file) => file.write(lines),
            Out::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(lines)?;
                stdout.flush()
            }
        }
    }
}

#[async_trait]
impl Delivery for LogFile {
    fn name(&self) -> &'static str {
        "log"
    }

    /// Writes at once: what a request waits for is the system's own buffer, which outlives this process.
    async fn deliver(&self, events: &[Bytes]) -> Result<(), Failure> {
        let mut lines = Vec::with_capacity(events.iter().map(|event| event.len() + 1).sum());
        for event in events {
            lines.extend_from_slice(event);
            lines.push(b'\n');
        }
        self.write(&lines).map_err(|error| Failure(error.to_string()))
    }
}
