//! `process_*`, read from `/proc` when asked.

use std::fs;

use prometheus::{
    Counter, Gauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// Clock ticks a second as `/proc` counts them: part of Linux' interface, the same on all machines.
const TICKS: f64 = 100.0;
/// As Go's collector writes "no limit".
const UNLIMITED: f64 = 18_446_744_073_709_551_615.0;

/// The standard process metrics; what cannot be read is left at its last value.
pub(super) struct ProcessCollector {
    /// Describes what is counted elsewhere, and counts nothing itself.
    cpu_seconds: Counter,
    open_fds: Gauge,
    max_fds: Gauge,
    resident_bytes: Gauge,
    virtual_bytes: Gauge,
    max_virtual_bytes: Gauge,
    start_time: Gauge,
    threads: Gauge,
}

/// What `/proc/self/stat` says.
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    /// Seconds from boot to the process' start.
    started: f64,
}

impl ProcessCollector {
    pub(super) fn new() -> Self {
        let gauge = |name: &str, help: &str| Gauge::new(name, help).expect("the names below are well-formed");
        Self {
            cpu_seconds: cpu_seconds(),
            open_fds: gauge("process_open_fds", "Open file descriptors."),
            max_fds: gauge("process_max_fds", "The most file descriptors that may be open."),
            resident_bytes: gauge("process_resident_memory_bytes", "Resident memory."),
            virtual_bytes: gauge("process_virtual_memory_bytes", "Virtual memory."),
            max_virtual_bytes: gauge(
                "process_virtual_memory_max_bytes",
                "The most virtual memory that there may be; 2^64 where there is no limit.",
            ),
            start_time: gauge(
                "process_start_time_seconds",
                "When the process started, since the epoch.",
            ),
            threads: gauge("process_threads", "Threads of the operating system."),
        }
    }

    fn gauges(&self) -> [&Gauge; 7] {
        [
            &self.open_fds,
            &self.max_fds,
            &self.resident_bytes,
            &self.virtual_bytes,
            &self.max_virtual_bytes,
            &self.start_time,
            &self.threads,
        ]
    }

    /// The CPU time is returned, if it can be read.
    fn update(&self) -> Option<f64> {
        let stat = read("/proc/self/stat").and_then(|text| Stat::parse(&text));
        if let Some(stat) = &stat {
            self.threads.set(stat.threads);
            if let Some(boot) = read("/proc/stat").and_then(|text| field(&text, "btime ")) {
                self.start_time.set(boot + stat.started);
            }
        }
        if let Some(status) = read("/proc/self/status") {
            for (key, gauge) in [("VmRSS:", &self.resident_bytes), ("VmSize:", &self.virtual_bytes)] {
                if let Some(kibibytes) = field(&status, key) {
                    gauge.set(kibibytes * 1024.0);
                }
            }
        }
        if let Some(limits) = read("/proc/self/limits") {
            if let Some(limit) = field(&limits, "Max open files") {
                self.max_fds.set(limit);
            }
            // It is a word where there is none.
            let limit = field(&limits, "Max address space");
            self.max_virtual_bytes.set(limit.unwrap_or(UNLIMITED));
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // The descriptor that reads the folder is not counted. Exact: there are never 2^52 of them.
            #[expect(clippy::cast_precision_loss)]
            self.open_fds.set(open.count().saturating_sub(1) as f64);
        }
        stat.map(|stat| stat.cpu_seconds)
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = self.gauges().into_iter().flat_map(Collector::desc);
        self.cpu_seconds.desc().into_iter().chain(gauges).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Vec::new();
        if let Some(seconds) = self.update() {
            // A counter cannot be set, and two that look at once would each add what is new.
            let counter = cpu_seconds();
            counter.inc_by(seconds);
            families = counter.collect();
        }
        families.extend(self.gauges().into_iter().flat_map(Collector::collect));
        families
    }
}

fn cpu_seconds() -> Counter {
    let counter = Counter::new("process_cpu_seconds_total", "User and system CPU time spent.");
    counter.expect("the name is well-formed")
}

impl Stat {
    /// proc_pid_stat(5); the second field is a name in parentheses that may hold anything.
    fn parse(text: &str) -> Option<Self> {
        let (_, after_name) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        // The first field here is number 3 there.
        let number = |at: usize| fields.get(at - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (number(14)? + number(15)?) / TICKS,
            threads: number(20)?,
            started: number(22)? / TICKS,
        })
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The first number after `key` at the start of a line.
fn field(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_a_counter_that_goes_on() {
        let collector = ProcessCollector::new();
        let spent = || {
            let families = collector.collect();
            let cpu = families
                .iter()
                .find(|family| family.name() == "process_cpu_seconds_total");
            let cpu = cpu.expect("it is told");
            assert_eq!(cpu.get_field_type(), prometheus::proto::MetricType::COUNTER);
            cpu.get_metric()[0].get_counter().get_value()
        };
        let before = spent();
        while spent() <= before {
            std::hint::black_box((0..100_000_u64).sum::<u64>());
        }
    }

    #[test]
    fn a_name_may_hold_anything() {
        let text = "7 (a ) (b) R 1 7 7 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 9 0 12300 1 1";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.cpu_seconds, stat.threads, stat.started), (3.0, 9.0, 123.0));
        assert!(Stat::parse("7 (x").is_none());
        assert!(Stat::parse("7 (x) R 1").is_none());
    }
}
