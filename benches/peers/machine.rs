//! What the kernel says of processes and of the machine.

use std::fs;
use std::time::Duration;

/// Ticks of a second in /proc/<pid>/stat; Linux has 100 everywhere.
const TICKS: u32 = 100;

/// A process of this run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    pid: u32,
}

impl Watched {
    /// The one whose command line holds `argument`, such as a port that only this run gave away.
    pub(crate) fn find(argument: &str) -> Watched {
        let numbers = fs::read_dir("/proc").expect("read /proc").flatten();
        let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let own = std::process::id();
        let mut found = pids.filter(|pid| *pid != own).filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|part| part == argument.as_bytes())
        });
        let pid = found.next().unwrap_or_else(|| panic!("no process has {argument}"));
        Watched { pid }
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.expect("VmRSS is a number") * 1024
    }

    /// Processor time that it has used, in user and kernel mode.
    pub(crate) fn processor(self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).expect("the process runs");
        // The name in parentheses may hold anything; utime and stime are the 14th and 15th field of all.
        let after = stat.rsplit_once(')').map(|(_, rest)| rest).expect("a name");
        let ticks = after.split_whitespace().skip(11).take(2);
        let ticks: u32 = ticks.filter_map(|field| field.parse::<u32>().ok()).sum();
        Duration::from_secs(1) * ticks / TICKS
    }
}

/// One line about the machine.
pub(crate) fn describe() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| line.split_once(':').map(|(_, value)| value.trim().to_owned()))
            .unwrap_or_else(|| "?".to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal");
    let memory: u64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} × {}, {} GiB, Linux {}",
        field("/proc/cpuinfo", "model name"),
        memory >> 20,
        kernel.split('-').next().unwrap_or_default().trim()
    )
}
