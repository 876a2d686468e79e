//! Ours beside other servers.

use std::time::Duration;

use super::Found;
use super::form::{Median, fraction, mebibytes, median, middle_time, ratio, short, thousands, verdict};
use crate::load::Sample;
use crate::program::Started;
use crate::settings::Settings;
use crate::works::Target;

type Row = [String; 7];

/// One row a work.
pub(super) fn rows(found: &Found, settings: &Settings) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(works) = &found.works {
        if !works.create.is_empty() {
            let name = format!("create, {} clients", settings.clients);
            rows.extend(compare(&name, &works.create, Target::Rate(1.5)));
        }
        for (read, rounds) in &works.reads {
            let clients = match read.clients {
                0 => settings.clients,
                count => count,
            };
            let plural = if clients == 1 { "" } else { "s" };
            let name = format!("{}, {clients} client{plural}", read.name);
            rows.extend(compare(&name, rounds, read.target));
        }
    }
    if let Some(growth) = &found.growth {
        let objects = thousands(growth.objects as f64);
        let moments = ["loaded, idle", "right after a LIST of all", "idle again"];
        for (at, moment) in moments.into_iter().enumerate() {
            let bytes: Vec<u64> = growth.memory.iter().map(|memory| memory[at]).collect();
            rows.push(memory(&format!("resident memory, {objects} objects: {moment}"), &bytes));
        }
        let name = format!("start with {objects} objects: ");
        let ready = format!("{name}`/readyz` is 200");
        rows.push(start(&ready, &growth.starts, |started| started.ready));
        let listed = format!("{name}and the first LIST of all is read");
        rows.push(start(&listed, &growth.starts, |started| started.listed));
    }
    rows
}

/// Ours, theirs, and the CustomResource.
fn compare(name: &str, rounds: &[Vec<Sample>], target: Target) -> Option<Row> {
    let [ours, theirs, custom] = rounds else { return None };
    let rate = |other: &[Sample]| ratio(ours, other, |sample| sample.rate);
    let latency = |other: &[Sample]| ratio(ours, other, |sample| sample.p50.as_secs_f64());
    let (ratios, target) = match target {
        Target::Rate(least) => {
            let faster = rate(theirs);
            let text = format!("{faster:.2} × the rate (kube-apiserver {:.2} ×)", rate(custom));
            (text, verdict(&format!("≥ {least} ×"), faster >= least))
        }
        Target::Latency(most) => {
            let shorter = latency(theirs);
            (
                shares(shorter, latency(custom)),
                verdict(&format!("≤ 1/{:.0}", 1.0 / most), shorter <= most),
            )
        }
        Target::None => (shares(latency(theirs), latency(custom)), String::new()),
    };
    let processor = |other: &[Sample]| ratio(ours, other, |sample| sample.processor.as_secs_f64());
    Some([
        name.to_owned(),
        Median::of(ours).cell(),
        Median::of(theirs).cell(),
        Median::of(custom).cell(),
        ratios,
        format!("{}, {}", fraction(processor(theirs)), fraction(processor(custom))),
        target,
    ])
}

fn shares(theirs: f64, custom: f64) -> String {
    format!("{} of p50 (kube-apiserver {})", fraction(theirs), fraction(custom))
}

fn memory(name: &str, bytes: &[u64]) -> Row {
    let cell = |at: usize| bytes.get(at).map(|bytes| mebibytes(*bytes)).unwrap_or_default();
    let share = match bytes {
        [ours, theirs] => Some(*ours as f64 / *theirs as f64),
        _ => None,
    };
    let target = share.map(|share| verdict("≤ 1/3", share <= 1.0 / 3.0));
    of_two(name, [cell(0), cell(1)], share, target)
}

fn start(name: &str, starts: &[Vec<Started>], part: fn(&Started) -> Duration) -> Row {
    let cell = |at: usize| {
        let times = starts.get(at).map(|rounds| middle_time(rounds.iter().map(part)));
        times.map(short).unwrap_or_default()
    };
    let share = match starts {
        [ours, theirs] => {
            let seconds = |started| part(started).as_secs_f64();
            let rounds = ours.iter().zip(theirs);
            Some(median(rounds.map(|(ours, theirs)| seconds(ours) / seconds(theirs))))
        }
        _ => None,
    };
    let target = share.map(|share| verdict("≤ 1/2", share <= 0.5));
    of_two(name, [cell(0), cell(1)], share, target)
}

/// What ours and sample-apiserver alone are compared in, without processor time.
fn of_two(name: &str, [ours, theirs]: [String; 2], share: Option<f64>, target: Option<String>) -> Row {
    [
        name.to_owned(),
        ours,
        theirs,
        String::new(),
        share.map(fraction).unwrap_or_default(),
        String::new(),
        target.unwrap_or_default(),
    ]
}
