//! Further servers with the flags of one that runs, but for a few: on other objects, or again after their end.

use std::process::Command;
use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, sleep};

use crate::client::{Ask, Connector};
use crate::harness::ports;
use crate::harness::process::{Log, Process};
use crate::machine::Watched;
use crate::objects::OWNER;

/// Time between two looks whether a server answers: small beside what a start takes.
const PAUSE: Duration = Duration::from_millis(5);
/// Matters only in a failure.
const DEADLINE: Duration = Duration::from_secs(600);

/// A server that can be started more than once. Dropping it kills it.
pub(crate) struct Program {
    name: String,
    command_line: Vec<String>,
    port: u16,
    log: Log,
    running: Option<Process>,
    pub(crate) connector: Connector,
}

/// How long a start took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    /// From the program's start to the first 200 of `/readyz`.
    pub(crate) ready: Duration,
    /// From the program's start to the end of a list of everything.
    pub(crate) listed: Duration,
}

impl Program {
    /// A server like the one that `running` is, reached as that is, but on a port of its own and with these flags. It does
    /// not run yet.
    pub(crate) fn like(running: Watched, connector: &Connector, name: &str, flags: &[(&str, &str)]) -> Program {
        let port = ports::free();
        let own_port = port.to_string();
        let mut command_line = running.command_line();
        for (flag, value) in flags.iter().copied().chain([("secure-port", own_port.as_str())]) {
            let start = format!("--{flag}=");
            command_line.retain(|argument| !argument.starts_with(&start));
            command_line.push(format!("{start}{value}"));
        }
        let name = format!("peers-{name}");
        Program {
            log: Log::create(&name),
            name,
            command_line,
            port,
            running: None,
            connector: connector.at(port),
        }
    }

    /// Starts it, after killing it where it runs, and waits until it is ready.
    pub(crate) async fn start(&mut self) -> Duration {
        self.running = None;
        let mut command = Command::new(&self.command_line[0]);
        command.args(&self.command_line[1..]);
        let started = Instant::now();
        self.running = Some(Process::spawn(&self.name, &mut command, &self.log));
        loop {
            if let Ok(mut connection) = self.connector.try_connect(OWNER.0, OWNER.1).await
                && let Ok((StatusCode::OK, _)) = connection.try_text(Ask::get("/readyz".to_owned())).await
            {
                return started.elapsed();
            }
            let ended = self.running.as_ref().and_then(Process::ended);
            assert!(
                ended.is_none() && started.elapsed() < DEADLINE,
                "{} is not ready: {}",
                self.name,
                self.log.tail()
            );
            sleep(PAUSE).await;
        }
    }

    /// Starts it and lists everything.
    pub(crate) async fn start_and_list(&mut self, collection: &str, bytes: usize) -> Started {
        let began = Instant::now();
        let ready = self.start().await;
        self.list(collection, bytes).await;
        let listed = began.elapsed();
        Started { ready, listed }
    }

    /// Lists everything, which has at least `bytes` bytes, as soon as that is answered.
    pub(crate) async fn list(&self, collection: &str, bytes: usize) {
        let began = Instant::now();
        loop {
            let answer = match self.connector.try_connect(OWNER.0, OWNER.1).await {
                Ok(mut connection) => connection.try_measure(Ask::get(collection.to_owned())).await,
                Err(error) => panic!("{}: {error}", self.name),
            };
            if let Ok((StatusCode::OK, length)) = answer {
                assert!(length >= bytes, "{}: a list of only {length} bytes", self.name);
                return;
            }
            assert!(began.elapsed() < DEADLINE, "{}: {answer:?}", self.name);
            sleep(PAUSE).await;
        }
    }

    /// Its process, which runs.
    pub(crate) fn process(&self) -> Watched {
        Watched::find(&format!("--secure-port={}", self.port))
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }
}
