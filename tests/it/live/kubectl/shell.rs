//! Lines of bash in which `kubectl` is the program under test, acting as some user.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::harness::process::{Log, Process};
use crate::harness::{ControlPlane, eventually, guardian};

/// How long one command may take: kubectl itself waits for up to 30 seconds for a slow server, and garbage collection for
/// kube-controller-manager to learn of new kinds.
const PATIENCE: Duration = Duration::from_secs(180);

/// How many commands run at once, in all tests together: more would only wait for each other.
static AT_ONCE: Semaphore = Semaphore::const_new(3);

/// Runs lines with a folder of their own, which is also kubectl's home.
pub(super) struct Shell {
    plane: &'static ControlPlane,
    folder: TempDir,
}

/// What a line left.
#[derive(Clone)]
pub(super) struct Output {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// A line that goes on. Dropping it kills it.
pub(super) struct Running {
    line: String,
    process: Process,
    folder: TempDir,
}

impl Shell {
    /// `program` is the kubectl.
    pub(super) fn new(plane: &'static ControlPlane, program: &Path) -> Shell {
        let folder = guardian::temporary("flow");
        let programs = folder.path().join("bin");
        std::fs::create_dir(&programs).expect("create a folder");
        std::os::unix::fs::symlink(program, programs.join("kubectl")).expect("link kubectl");
        Shell { plane, folder }
    }

    /// Where the lines are run.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a line to its end.
    pub(super) async fn run(&self, user: &str, line: &str) -> Output {
        let _turn = AT_ONCE.acquire().await.expect("never closed");
        self.start(user, line).end().await
    }

    /// Starts a line.
    pub(super) fn start(&self, user: &str, line: &str) -> Running {
        let output = guardian::temporary("line");
        let mut command = Command::new("bash");
        let path = std::env::var("PATH").unwrap_or_default();
        let create = |name: &str| std::fs::File::create(output.path().join(name)).expect("create an output file");
        command
            .args(["-c", line])
            .current_dir(self.folder())
            .env("HOME", self.folder())
            .env("TMPDIR", self.folder())
            .env("PATH", format!("{}:{path}", self.folder().join("bin").display()))
            .env("KUBECONFIG", self.plane.kubeconfig(user))
            .env_remove("KUBECACHEDIR")
            // Hundreds of short programs: less work for each of them.
            .env("GOMAXPROCS", "1")
            .env("GOGC", "off")
            // Files, not pipes: nothing to drain while the process is waited for.
            .stdout(create("stdout"))
            .stderr(create("stderr"))
            .stdin(Stdio::null());
        Running {
            line: line.to_owned(),
            process: Process::spawn_as_set(line, &mut command, &Log::none()),
            folder: output,
        }
    }
}

impl Running {
    /// Waits until it has printed `text`.
    pub(super) async fn until(&self, text: &str) {
        let what = format!("{text:?} printed by {}", self.line);
        let printed = async || {
            let (stdout, stderr) = (self.read("stdout"), self.read("stderr"));
            if stdout.contains(text) || stderr.contains(text) {
                return Ok(());
            }
            Err(format!("ended: {:?}\n{stdout}\n{stderr}", self.process.ended()))
        };
        eventually(&what, PATIENCE, printed).await;
    }

    /// Waits until it ends.
    pub(super) async fn end(self) -> Output {
        match self.process.wait(PATIENCE).await {
            Ok(status) => self.output(status),
            Err(why) => panic!("{why}\n{}\n{}", self.read("stdout"), self.read("stderr")),
        }
    }

    /// Ends it.
    pub(super) async fn kill(self) -> Output {
        self.process.signal("KILL");
        self.end().await
    }

    fn output(&self, status: ExitStatus) -> Output {
        Output {
            status,
            stdout: self.read("stdout"),
            stderr: self.read("stderr"),
        }
    }

    fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.folder.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
