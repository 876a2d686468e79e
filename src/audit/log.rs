//! Events as lines of a file, or of standard output (k8s.io/apiserver plugin/pkg/audit/log).

use std::io::{self, Write};
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::backend::{Delivery, Failure};
use super::rotate::{Rotating, Rotation};

/// Deliveries that may stand before the one thread that writes; whoever comes then waits for a place.
const QUEUE: usize = 64;

/// A line for every event. Written by a thread of its own: a disk that hangs, or a pipe that nobody empties, holds up those who
/// wait for their events, and nobody else.
pub struct LogFile(mpsc::Sender<Lines>);

struct Lines {
    text: Vec<u8>,
    written: oneshot::Sender<io::Result<()>>,
}

/// What lines are written to.
trait Out: Send + 'static {
    /// All of these lines, or an error.
    fn write(&mut self, lines: &[u8]) -> io::Result<()>;
}

impl Out for Rotating {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        Rotating::write(self, lines)
    }
}

impl Out for io::Stdout {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut stdout = self.lock();
        stdout.write_all(lines)?;
        stdout.flush()
    }
}

impl LogFile {
    /// `-` is standard output. A file and its folder are made if need be, for nobody else to read.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        match path.as_os_str() == "-" {
            true => Self::over(io::stdout()),
            false => Self::over(Rotating::open(path, rotation)?),
        }
    }

    fn over(mut out: impl Out) -> io::Result<Self> {
        let (sender, mut receiver) = mpsc::channel::<Lines>(QUEUE);
        std::thread::Builder::new()
            .name("audit-log".to_owned())
            .spawn(move || {
                while let Some(lines) = receiver.blocking_recv() {
                    // Who does not wait any more need not know.
                    let _ = lines.written.send(out.write(&lines.text));
                }
            })?;
        Ok(Self(sender))
    }
}

#[async_trait]
impl Delivery for LogFile {
    fn name(&self) -> &'static str {
        "log"
    }

    /// What is waited for is the system's own buffer, which outlives this process.
    async fn deliver(&self, events: &[Bytes]) -> Result<(), Failure> {
        let mut text = Vec::with_capacity(events.iter().map(|event| event.len() + 1).sum());
        for event in events {
            text.extend_from_slice(event);
            text.push(b'\n');
        }
        let gone = || Failure("the thread that writes is gone".to_owned());
        let (written, outcome) = oneshot::channel();
        self.0.send(Lines { text, written }).await.map_err(|_| gone())?;
        let outcome = outcome.await.map_err(|_| gone())?;
        outcome.map_err(|error| Failure(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as std_mpsc;
    use std::time::Duration;

    use super::*;

    /// Writes when it is let, and fails when that takes too long.
    struct Hanging(std_mpsc::Receiver<()>);

    impl Out for Hanging {
        fn write(&mut self, _: &[u8]) -> io::Result<()> {
            let let_through = self.0.recv_timeout(Duration::from_secs(60));
            let_through.map_err(|_| io::ErrorKind::TimedOut.into())
        }
    }

    #[tokio::test]
    async fn a_log_that_hangs_holds_up_those_alone_who_wait_for_it() {
        let (let_through, held) = std_mpsc::channel();
        let log = LogFile::over(Hanging(held)).unwrap();
        let event = [Bytes::from_static(b"{}")];
        let mut delivery = std::pin::pin!(log.deliver(&event));
        assert!(futures::poll!(&mut delivery).is_pending());
        // This test's only thread goes on.
        tokio::task::yield_now().await;
        let_through.send(()).unwrap();
        delivery.await.unwrap();
        drop(let_through);
        log.deliver(&event).await.unwrap_err();
    }
}
