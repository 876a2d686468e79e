//! The table: medians over the rounds, and the ratio of ours to theirs.

use std::fmt::Write;
use std::time::Duration;

use crate::load::Sample;
use crate::machine;
use crate::settings::Settings;
use crate::works::{Results, Target};

/// The rounds of one work on one server as one line.
struct Median {
    rate: f64,
    p50: Duration,
    p99: Duration,
    processor: Duration,
}

impl Median {
    fn of(samples: &[Sample]) -> Median {
        Median {
            rate: middle(samples.iter().map(|sample| sample.rate), f64::total_cmp),
            p50: middle(samples.iter().map(|sample| sample.p50), Duration::cmp),
            p99: middle(samples.iter().map(|sample| sample.p99), Duration::cmp),
            processor: middle(samples.iter().map(|sample| sample.processor), Duration::cmp),
        }
    }

    fn cell(&self) -> String {
        format!(
            "{}/s, p50 {}, p99 {}, CPU {}",
            thousands(self.rate),
            short(self.p50),
            short(self.p99),
            short(self.processor)
        )
    }
}

fn middle<T>(values: impl Iterator<Item = T>, order: impl Fn(&T, &T) -> std::cmp::Ordering) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_by(order);
    let at = values.len() / 2;
    values.into_iter().nth(at).expect("at least one round")
}

/// The results as Markdown.
pub(crate) fn markdown(results: &Results, settings: &Settings) -> String {
    let mut out = String::new();
    let line = |out: &mut String, cells: [String; 6]| {
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    };
    let _ = writeln!(
        out,
        "{}; {} objects of {} bytes on each server, {} rounds; medians of the rounds; CPU is the server's processor time \
         for one request, its etcd's not counted\n",
        machine::describe(),
        thousands(settings.objects as f64),
        thousands(settings.bytes as f64),
        settings.rounds
    );
    let _ = writeln!(
        out,
        "| work | bulward | sample-apiserver | ratio | CPU ratio | target |"
    );
    let _ = writeln!(out, "|---|---|---|---|---|---|");
    let (ours, theirs) = (Median::of(&results.create[0]), Median::of(&results.create[1]));
    let raw = Median::of(&results.raw);
    let create = compare(
        &format!("create, {} clients", settings.clients),
        &ours,
        &theirs,
        Target::Rate(1.5),
    );
    line(&mut out, create);
    let part = ours.rate / raw.rate;
    line(
        &mut out,
        [
            "create, of raw etcd transactions".to_owned(),
            format!("{}/s", thousands(ours.rate)),
            format!("etcd alone: {}", raw.cell()),
            format!("{:.0} %", part * 100.0),
            String::new(),
            verdict("≥ 60 %", part >= 0.6),
        ],
    );
    for (read, pair) in &results.reads {
        let (ours, theirs) = (Median::of(&pair[0]), Median::of(&pair[1]));
        let clients = match read.clients {
            0 => settings.clients,
            count => count,
        };
        let plural = if clients == 1 { "" } else { "s" };
        let name = format!("{}, {clients} client{plural}", read.name);
        line(&mut out, compare(&name, &ours, &theirs, read.target));
    }
    let _ = writeln!(out, "\n| resident memory | bulward | sample-apiserver | ratio | etcd |");
    let _ = writeln!(out, "|---|---|---|---|---|");
    let memory_line = |out: &mut String, moment: &str, [ours, theirs, etcd]: [u64; 3]| {
        let ratio = ours as f64 / theirs.max(1) as f64;
        let (ours, theirs, etcd) = (mebibytes(ours), mebibytes(theirs), mebibytes(etcd));
        let _ = writeln!(out, "| {moment} | {ours} | {theirs} | {ratio:.2} | {etcd} |");
    };
    for (moment, bytes) in &results.memory {
        memory_line(&mut out, moment, *bytes);
    }
    if let [(_, before), (_, with), ..] = results.memory.as_slice() {
        let growth = |at: usize| with[at].saturating_sub(before[at]) as f64 / settings.objects as f64;
        let _ = writeln!(
            out,
            "| growth for an object, bytes | {} | {} | {:.2} | {} |",
            thousands(growth(0)),
            thousands(growth(1)),
            growth(0) / growth(1).max(1.0),
            thousands(growth(2))
        );
    }
    out
}

fn compare(name: &str, ours: &Median, theirs: &Median, target: Target) -> [String; 6] {
    let faster = ours.rate / theirs.rate;
    let shorter = ours.p50.as_secs_f64() / theirs.p50.as_secs_f64();
    let (ratio, target) = match target {
        Target::Rate(least) => (
            format!("{faster:.2} × the rate"),
            verdict(&format!("≥ {least} ×"), faster >= least),
        ),
        Target::Latency(most) => (
            format!("1/{:.1} of p50", 1.0 / shorter),
            verdict(&format!("≤ 1/{:.0}", 1.0 / most), shorter <= most),
        ),
        Target::None => (format!("1/{:.1} of p50", 1.0 / shorter), String::new()),
    };
    let processor = ours.processor.as_secs_f64() / theirs.processor.as_secs_f64();
    [
        name.to_owned(),
        ours.cell(),
        theirs.cell(),
        ratio,
        format!("1/{:.1}", 1.0 / processor),
        target,
    ]
}

fn verdict(target: &str, met: bool) -> String {
    format!("{target}: {}", if met { "met" } else { "missed" })
}

/// 12345 as `12,345`.
fn thousands(number: f64) -> String {
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
fn short(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        _ if micros < 1_000.0 => format!("{micros:.0} µs"),
        _ if micros < 10_000.0 => format!("{:.2} ms", micros / 1e3),
        _ if micros < 1_000_000.0 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
