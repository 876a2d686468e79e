//! What the kernel says of processes and of the machine.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// A process of this run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    pid: u32,
}

/// What a process has used at a moment, by thread.
pub(crate) struct Used(HashMap<u32, u64>);

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

    /// The processor time used until now, in nanoseconds and not in the ticks of /proc/<pid>/stat.
    pub(crate) fn used(self) -> Used {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).expect("the process runs");
        let spent = |entry: fs::DirEntry| {
            let thread = entry.file_name().to_str()?.parse().ok()?;
            // Absent once the thread has ended.
            let text = fs::read_to_string(entry.path().join("schedstat")).ok()?;
            let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
            Some((thread, nanoseconds))
        };
        Used(tasks.flatten().filter_map(spent).collect())
    }

    /// The processor time used since, in user and kernel mode; what a thread used that has ended meanwhile is lost.
    pub(crate) fn since(self, before: &Used) -> Duration {
        let now = self.used();
        let spent = now.0.iter().map(|(thread, now)| {
            let before = before.0.get(thread).copied().unwrap_or_default();
            now.saturating_sub(before)
        });
        Duration::from_nanos(spent.sum())
    }

    /// The value of a flag that it was started with as `--name=value`.
    pub(crate) fn flag(self, name: &str) -> String {
        let start = format!("--{name}=");
        let line = self.command_line();
        let value = line.iter().find_map(|argument| argument.strip_prefix(&start));
        value.unwrap_or_else(|| panic!("no {start} in {line:?}")).to_owned()
    }

    /// The program and its arguments.
    pub(crate) fn command_line(self) -> Vec<String> {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).expect("the process runs");
        let parts = line.split(|byte| *byte == 0).filter(|part| !part.is_empty());
        parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect()
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
