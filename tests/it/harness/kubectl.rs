//! kubectl as a user.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::guardian;
use super::lines::Lines;
use super::process::{Log, Process};

/// How long one kubectl command may take; more than kubectl's own patience with a slow server.
const PATIENCE: Duration = Duration::from_secs(120);

/// A kubectl program with a kubeconfig.
#[derive(Clone, Debug)]
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    stdin: Option<String>,
    environment: Vec<(String, String)>,
}

/// What a finished kubectl left.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) command: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A kubectl that goes on (`get --watch`). Dropping it kills it.
pub(crate) struct Running {
    pub(crate) stdout: Lines,
    pub(crate) process: Process,
    _home: TempDir,
}

impl Kubectl {
    /// `program` acting through `kubeconfig`.
    pub(crate) fn new(program: &Path, kubeconfig: &Path) -> Kubectl {
        Kubectl {
            program: program.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            stdin: None,
            environment: Vec::new(),
        }
    }

    /// Sets an environment variable, such as `KUBE_EDITOR`.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Kubectl {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What `-f -` reads.
    pub(crate) fn stdin(mut self, text: &str) -> Kubectl {
        self.stdin = Some(text.to_owned());
        self
    }

    /// Runs it to its end, whatever that is.
    pub(crate) async fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Finished {
        let home = home();
        let mut command = self.command(&home, args);
        let line = printed(&command);
        // Files, not pipes: nothing to drain while waiting, so that the process can be watched and killed in time.
        let (stdout, stderr) = (home.path().join("stdout"), home.path().join("stderr"));
        let create = |path: &Path| std::fs::File::create(path).expect("create an output file");
        command.stdout(create(&stdout)).stderr(create(&stderr));
        if let Some(text) = &self.stdin {
            let path = home.path().join("stdin");
            std::fs::write(&path, text).expect("write kubectl's input");
            command.stdin(std::fs::File::open(path).expect("open kubectl's input"));
        }
        let process = Process::spawn_as_set(&line, &mut command, &Log::none());
        let waited = process.wait(PATIENCE).await;
        let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
        let (stdout, stderr) = (read(&stdout), read(&stderr));
        match waited {
            Ok(status) => Finished {
                command: line,
                status,
                stdout,
                stderr,
            },
            Err(why) => panic!("{why}\nstdout:\n{stdout}\nstderr:\n{stderr}"),
        }
    }

    /// Starts it and lets it run, for watches; its errors go to `target/it-logs/kubectl-<n>.log`.
    pub(crate) fn spawn(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Running {
        let home = home();
        let mut command = self.command(&home, args);
        let line = printed(&command);
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let log = Log::create(&format!("kubectl-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        command.stdout(Stdio::piped()).stderr(log.appender());
        let process = Process::spawn_as_set(&line, &mut command, &log);
        let stdout = process.take_stdout();
        Running {
            stdout: Lines::of(&line, stdout),
            process,
            _home: home,
        }
    }

    fn command(&self, home: &TempDir, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(&self.program);
        // A home of its own for each command: kubectl keeps what it discovered there for hours, and a test must not see
        // what was served for another one.
        command
            .env("HOME", home.path())
            .env("KUBECONFIG", &self.kubeconfig)
            .env_remove("KUBECACHEDIR")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).args(args);
        command
    }
}

impl Finished {
    /// Standard output of a command that has to succeed.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert!(self.status.success(), "{self}");
        self.stdout
    }

    /// Standard error of a command that has to fail.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert!(!self.status.success(), "should have failed: {self}");
        self.stderr
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {}\nstdout:\n{}\nstderr:\n{}",
            self.command, self.status, self.stdout, self.stderr
        )
    }
}

fn home() -> TempDir {
    guardian::temporary("kubectl")
}

fn printed(command: &Command) -> String {
    let args: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
    format!("kubectl {}", args.join(" "))
}
