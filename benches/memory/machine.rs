//! Memory as the kernel sees it, and time.

use std::time::Duration;

use tokio::time::Instant;

/// Resident bytes of a process; `self` is this one.
pub(crate) fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.expect("VmRSS is a number") * 1024
}

/// How much this process grows while `make` makes what it returns, for each of `count`.
pub(crate) fn growth<T>(count: usize, make: impl FnOnce() -> T) -> (T, u64) {
    let before = resident("self");
    let made = make();
    let grown = resident("self").saturating_sub(before);
    (made, grown / u64::try_from(count).expect("a count"))
}

/// The median time of one `run`.
pub(crate) fn median(rounds: usize, mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[rounds / 2]
}

/// One line of the table.
pub(crate) fn row(what: impl std::fmt::Display, figure: impl std::fmt::Display) {
    println!("| {what} | {figure} |");
}
