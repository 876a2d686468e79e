//! Numbers and tables as people read them.

use std::fmt::Write;
use std::time::Duration;

use crate::load::Sample;

/// The rounds of one work on one server as one line.
pub(crate) struct Median {
    pub(crate) rate: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    processor: Duration,
}

impl Median {
    pub(crate) fn of(samples: &[Sample]) -> Median {
        let time = |part: fn(&Sample) -> Duration| middle(samples.iter().map(part), Duration::cmp);
        Median {
            rate: median(samples.iter().map(|sample| sample.rate)),
            p50: time(|sample| sample.p50),
            p99: time(|sample| sample.p99),
            processor: time(|sample| sample.processor),
        }
    }

    pub(crate) fn cell(&self) -> String {
        format!(
            "{}/s, p50 {}, p99 {}, CPU {}",
            thousands(self.rate),
            short(self.p50),
            short(self.p99),
            short(self.processor)
        )
    }
}

/// The median over the rounds of what the first is of the second in the same round.
pub(crate) fn ratio(first: &[Sample], second: &[Sample], part: impl Fn(&Sample) -> f64) -> f64 {
    median(first.iter().zip(second).map(|(a, b)| part(a) / part(b)))
}

/// The middle one.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    middle(values, f64::total_cmp)
}

/// The middle one of times.
pub(crate) fn middle_time(values: impl Iterator<Item = Duration>) -> Duration {
    middle(values, Duration::cmp)
}

fn middle<T>(values: impl Iterator<Item = T>, order: impl Fn(&T, &T) -> std::cmp::Ordering) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_by(order);
    let at = values.len() / 2;
    values.into_iter().nth(at).expect("at least one round")
}

/// A Markdown table; none where there are no rows.
pub(crate) fn table<const N: usize>(out: &mut String, head: [&str; N], rows: &[[String; N]]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "| {} |\n|{}", head.join(" | "), "---|".repeat(N));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out.push('\n');
}

/// Whether a target was met.
pub(crate) fn verdict(target: &str, met: bool) -> String {
    format!("{target}: {}", if met { "met" } else { "**missed**" })
}

/// A ratio below one as a fraction, above as a factor.
pub(crate) fn fraction(ratio: f64) -> String {
    match ratio {
        _ if ratio < 0.7 => format!("1/{:.1}", 1.0 / ratio),
        _ => format!("{ratio:.2} ×"),
    }
}

/// 12345 as `12,345`.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Three digits and a unit.
pub(crate) fn short(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        _ if micros < 1_000.0 => format!("{micros:.0} µs"),
        _ if micros < 10_000.0 => format!("{:.2} ms", micros / 1e3),
        _ if micros < 1_000_000.0 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

/// Bytes as MiB.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
