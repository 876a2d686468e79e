//! Kills what the tests started and removes their folders when the test process ends, also by SIGKILL.
//!
//! Statics are never dropped and the test runner may exit at any point, so `Drop` alone would leave servers behind.
//! One shell reads a pipe whose other end only this process holds: at its end of file this process is gone.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;

use parking_lot::Mutex;
use tempfile::TempDir;

/// Signals from the terminal are ignored: the guardian has to outlive the test process by a moment.
const SCRIPT: &str = r#"
trap '' INT TERM HUP QUIT
pids=
while read -r verb what; do
    case "$verb" in
    pid) pids="$pids $what" ;;
    folder) set -- "$@" "$what" ;;
    forget)
        kept=
        for pid in $pids; do [ "$pid" = "$what" ] || kept="$kept $pid"; done
        pids=$kept
        ;;
    esac
done
[ -z "$pids" ] || kill -KILL $pids
# What was just killed may still have been writing.
[ $# -eq 0 ] || rm -rf -- "$@" || { sleep 1; rm -rf -- "$@"; }
"#;

struct Guardian {
    pipe: ChildStdin,
    folder: PathBuf,
    _shell: Child,
}

static GUARDIAN: LazyLock<Mutex<Guardian>> = LazyLock::new(|| {
    let mut shell = Command::new("sh")
        .args(["-c", SCRIPT, "guardian"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start the guardian shell");
    let mut pipe = shell.stdin.take().expect("stdin was asked to be a pipe");
    let folder = TempDir::with_prefix("bulward-it-")
        .expect("create the tests' temporary folder")
        .keep();
    tell(&mut pipe, &format!("folder {}\n", folder.display()));
    Mutex::new(Guardian {
        pipe,
        folder,
        _shell: shell,
    })
});

fn tell(pipe: &mut ChildStdin, line: &str) {
    // One write for the whole line; the shell reads for as long as this process lives.
    pipe.write_all(line.as_bytes()).expect("the guardian shell reads");
}

/// Starts the guardian, if it is not there yet: to be called before anything is started that it has to kill.
pub(super) fn watch() {
    LazyLock::force(&GUARDIAN);
}

/// Kill this process at the end.
pub(super) fn kill_at_end(pid: u32) {
    tell(&mut GUARDIAN.lock().pipe, &format!("pid {pid}\n"));
}

/// The process is about to be reaped, after which its number may belong to another one.
pub(super) fn forget(pid: u32) {
    tell(&mut GUARDIAN.lock().pipe, &format!("forget {pid}\n"));
}

/// A temporary folder, removed when dropped and at the latest at the end.
pub(crate) fn temporary(name: &str) -> TempDir {
    let within = GUARDIAN.lock().folder.clone();
    TempDir::with_prefix_in(format!("{name}-"), within).expect("create a temporary folder")
}

/// The same below `target/`, which is on a real disk where the system's temporary folder may be in memory.
pub(super) fn on_disk(name: &str) -> TempDir {
    let folder = TempDir::with_prefix_in(format!("{name}-"), env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.expect("create a temporary folder below target/");
    tell(
        &mut GUARDIAN.lock().pipe,
        &format!("folder {}\n", folder.path().display()),
    );
    folder
}
