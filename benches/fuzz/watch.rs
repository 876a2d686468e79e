//! A look at a target from the side: one that never comes back, or eats up the memory, cannot tell so itself.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Longer than any input takes on a busy machine.
const HANGS: Duration = Duration::from_secs(90);
/// More than any input needs.
const MEBIBYTES: u64 = 1_024;

/// What is under way.
pub(crate) struct Watch {
    current: Arc<Mutex<(Instant, Vec<u8>)>>,
    _until: Sender<()>,
}

impl Watch {
    /// Watches until it is dropped; ends the process when something is wrong.
    pub(crate) fn over(name: &'static str, seed: u64) -> Self {
        let current = Arc::new(Mutex::new((Instant::now(), Vec::new())));
        let (until, ended) = channel::<()>();
        let watched = current.clone();
        std::thread::spawn(move || {
            while ended.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
                let (since, input) = watched.lock().clone();
                let wrong = match since.elapsed() {
                    took if took > HANGS => "no end",
                    _ if resident() > MEBIBYTES => "too much memory",
                    _ => continue,
                };
                println!("{name}: {wrong}, see {}", keep(name, seed, &input));
                std::process::exit(1);
            }
        });
        Self { current, _until: until }
    }

    /// Notes what is tried now.
    pub(crate) fn begins(&self, input: &[u8]) {
        let mut current = self.current.lock();
        current.0 = Instant::now();
        current.1.clear();
        current.1.extend_from_slice(input);
    }
}

/// Keeps an input for the corpus.
pub(crate) fn keep(name: &str, seed: u64, input: &[u8]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz/findings");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join(format!("{name}-{seed}"));
    std::fs::write(&file, input).expect("a file");
    file.display().to_string()
}

/// Memory of this process in MiB; 0 where that cannot be told.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1_024
}

/// How long this process has been at work, all threads together, in steps of 10 ms; the time that others had does not count.
/// Nothing where that cannot be told.
pub(crate) fn worked() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything: the state, ten numbers, user time, system time.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
