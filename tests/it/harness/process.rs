//! A program that the tests started: its log, its signals, its end.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::{guardian, programs};

/// A started program. Dropping it kills it.
pub(crate) struct Process {
    name: String,
    child: Mutex<Child>,
    log: Log,
}

/// A file below `target/it-logs/`, so that a failed run can be read afterwards.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// Empty for a program whose output the test itself reads.
    path: PathBuf,
}

impl Log {
    /// An empty log called `<name>.log`; one of an earlier run is overwritten.
    pub(crate) fn create(name: &str) -> Log {
        let folder = programs::target().join("it-logs");
        std::fs::create_dir_all(&folder).expect("create the log folder");
        let path = folder.join(format!("{name}.log"));
        File::create(&path).expect("create the log file");
        Log { path }
    }

    /// For a program whose output the test itself reads.
    pub(crate) fn none() -> Log {
        Log { path: PathBuf::new() }
    }

    /// A handle that appends, for a child's output.
    pub(crate) fn appender(&self) -> File {
        OpenOptions::new()
            .append(true)
            .open(&self.path)
            .expect("open the log file")
    }

    /// Everything logged until now.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.path).unwrap_or_default()).into_owned()
    }

    /// The last 20 lines and where the rest is, for a message of failure.
    pub(crate) fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(20)..];
        format!("the end of {}:\n{}", self.path.display(), last.join("\n"))
    }
}

impl Process {
    /// Starts `command` with both outputs going to `log`.
    pub(crate) fn spawn(name: &str, command: &mut Command, log: &Log) -> Process {
        command
            .stdin(Stdio::null())
            .stdout(log.appender())
            .stderr(log.appender());
        Process::spawn_as_set(name, command, log)
    }

    /// Starts `command` with input and outputs as the caller has set them; `log` is only named in messages.
    pub(crate) fn spawn_as_set(name: &str, command: &mut Command, log: &Log) -> Process {
        guardian::watch();
        let program = command.get_program().to_owned();
        let child = command.spawn();
        let child = child.unwrap_or_else(|e| panic!("start {name} ({}): {e}", program.display()));
        guardian::kill_at_end(child.id());
        Process {
            name: name.to_owned(),
            child: Mutex::new(child),
            log: log.clone(),
        }
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The end of its log, for a message of failure.
    pub(crate) fn log_tail(&self) -> String {
        self.log.tail()
    }

    /// Everything it logged until now.
    pub(crate) fn log_text(&self) -> String {
        self.log.text()
    }

    /// Its standard output, once, of a program that was started with a pipe there.
    pub(crate) fn take_stdout(&self) -> ChildStdout {
        self.child.lock().stdout.take().expect("a pipe, not taken before")
    }

    /// How it ended, or `None` while it runs.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        let mut child = self.child.lock();
        let ended = child.try_wait().expect("ask for the state of a child");
        if ended.is_some() {
            guardian::forget(child.id());
        }
        ended
    }

    /// SIGKILL, and waits until it is gone: nothing is flushed, no connection is closed in good order.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock();
        guardian::forget(child.id());
        // An error means that it has ended already.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Its resident memory in bytes, as the kernel has it.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.lock().id()));
        let status = status.expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.expect("VmRSS is a number") * 1024
    }

    /// Sends a signal by name (`TERM`, `STOP`, `CONT`).
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.lock().id().to_string();
        // Through the shell, whose `kill` is built in: the standard library knows SIGKILL only.
        let sent = Command::new("sh")
            .args(["-c", r#"kill -"$1" "$2""#, "kill", signal, &pid])
            .status();
        assert!(sent.is_ok_and(|s| s.success()), "send SIG{signal} to {}", self.name);
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn wait(&self, deadline: Duration) -> Result<ExitStatus, String> {
        let end = Instant::now() + deadline;
        loop {
            match self.ended() {
                Some(status) => return Ok(status),
                None if Instant::now() >= end => return Err(format!("{} still runs after {deadline:?}", self.name)),
                None => sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
