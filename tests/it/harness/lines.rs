//! The output of a running program, line by line.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout_at};

/// Lines as they come; every line seen is kept for the message of failure.
pub(crate) struct Lines {
    what: String,
    receiver: UnboundedReceiver<String>,
    seen: Vec<String>,
}

impl Lines {
    /// Reads `pipe` on a thread of its own until it ends: tests come and go with their runtimes, a thread does not.
    pub(crate) fn of(what: &str, pipe: impl Read + Send + 'static) -> Lines {
        let (sender, receiver) = unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Lines {
            what: what.to_owned(),
            receiver,
            seen: Vec::new(),
        }
    }

    /// The next line, or what went wrong: the output ended, or the deadline passed.
    pub(crate) async fn next(&mut self, end: Instant) -> Result<String, &'static str> {
        match timeout_at(end, self.receiver.recv()).await {
            Ok(Some(line)) => {
                self.seen.push(line.clone());
                Ok(line)
            }
            Ok(None) => Err("the output ended"),
            Err(_) => Err("the deadline passed"),
        }
    }

    /// Reads on until `wanted` answers something for a line; panics with all lines seen when none comes in time.
    pub(crate) async fn wait_for<T>(
        &mut self,
        event: &str,
        deadline: Duration,
        mut wanted: impl FnMut(&str) -> Option<T>,
    ) -> T {
        let end = Instant::now() + deadline;
        loop {
            match self.next(end).await {
                Ok(line) => {
                    if let Some(found) = wanted(&line) {
                        return found;
                    }
                }
                Err(why) => panic!(
                    "{}: waiting {deadline:?} for {event}: {why}; {} lines seen:\n{}",
                    self.what,
                    self.seen.len(),
                    self.seen.join("\n")
                ),
            }
        }
    }

    /// Every line read until now.
    pub(crate) fn seen(&self) -> &[String] {
        &self.seen
    }
}
