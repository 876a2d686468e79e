//! Where the programs come from: `$KUBEBUILDER_ASSETS`, or built once from Go modules into `target/controlplane/bin`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::process::Log;

/// The folder with the Go module that pins every program's version.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/controlplane");

/// Cargo's target folder, also when it is not `./target`.
pub(crate) fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("cargo puts its temporary folder below the target folder")
}

/// The program called `name`, building it first when there is none of the present sources.
///
/// `Err` carries the end of the build's output.
pub(crate) async fn find(name: &'static str) -> Result<PathBuf, String> {
    if let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS") {
        // These folders hold a part of what is needed; the rest is built.
        let given = Path::new(&assets).join(name);
        if given.is_file() {
            return Ok(given);
        }
    }
    // The build takes minutes and the file lock blocks: neither belongs on a thread that runs tests.
    let built = tokio::task::spawn_blocking(move || build(name)).await;
    built.map_err(|e| e.to_string())?
}

fn build(name: &str) -> Result<PathBuf, String> {
    let folder = target().join("controlplane");
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).map_err(|e| format!("create {}: {e}", bin.display()))?;
    let program = bin.join(name);
    let stamp = bin.join(format!(".{name}.sources"));
    let sources = fingerprint(name)?;

    // Held until the function returns; another test process waits here and then finds the program built.
    let lock = File::create(folder.join("build.lock")).map_err(|e| format!("open the build lock: {e}"))?;
    lock.lock().map_err(|e| format!("lock the build: {e}"))?;
    if program.is_file() && fs::read_to_string(&stamp).is_ok_and(|built_from| built_from == sources) {
        return Ok(program);
    }
    eprintln!("building {name} for the tests; from nothing all of them take about 8 minutes on 2 cores");
    let log = Log::create(&format!("build-{name}"));
    let script = Path::new(SOURCES).join("build.sh");
    let run = Command::new(&script)
        .arg(&bin)
        .arg(name)
        .stdout(log.appender())
        .stderr(log.appender())
        .status();
    match run {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("{} {name}: {status}; {}", script.display(), log.tail())),
        Err(error) => return Err(format!("run {}: {error} (bash and Go are needed)", script.display())),
    }
    fs::write(&stamp, sources).map_err(|e| format!("write {}: {e}", stamp.display()))?;
    Ok(program)
}

/// What a program is built from, so that a new version in go.mod is not hidden by an old binary.
fn fingerprint(name: &str) -> Result<String, String> {
    let sources = Path::new(SOURCES);
    let mut files = vec![sources.join("build.sh")];
    let own = sources.join(name);
    if own.is_dir() {
        let entries = fs::read_dir(&own).map_err(|e| format!("read {}: {e}", own.display()))?;
        files.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
    }
    if !own.join("go.mod").is_file() {
        files.extend(["go.mod", "go.sum"].map(|file| sources.join(file)));
    }
    files.sort();
    let mut hash = Sha256::new();
    for path in files.iter().filter(|path| path.is_file()) {
        hash.update(fs::read(path).map_err(|e| format!("read {}: {e}", path.display()))?);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
