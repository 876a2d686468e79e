//! Ours beside etcd, and beside itself with less to do.

use super::Found;
use super::form::{Median, fraction, median, middle_time, ratio, short, thousands, verdict};
use crate::load::at;
use crate::settings::Settings;
use crate::{grants, growth, watches};

type Row = [String; 5];

/// The number of objects with which lists at more of them are compared.
const BASE: usize = 10_000;

/// One row a work.
pub(super) fn rows(found: &Found, settings: &Settings) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(works) = &found.works
        && let Some(ours) = works.create.first()
    {
        let part = ratio(ours, &works.raw, |sample| sample.rate);
        rows.push([
            format!(
                "create, {} clients, of transactions by as many clients",
                settings.clients
            ),
            format!("{}/s", thousands(Median::of(ours).rate)),
            format!("etcd alone: {}", Median::of(&works.raw).cell()),
            format!("{:.0} %", part * 100.0),
            verdict("≥ 60 %", part >= 0.6),
        ]);
    }
    if let Some(growth) = &found.growth {
        rows.extend(larger(growth));
    }
    if let Some(grants) = &found.grants {
        rows.push(grant(grants));
    }
    if let Some(watches) = &found.watches {
        rows.extend(fan_out(watches));
    }
    rows
}

/// A list of ten among most objects beside one among [`BASE`], or among the least that there were.
fn larger(growth: &growth::Results) -> Vec<Row> {
    let ours: Vec<&growth::Size> = growth.sizes.iter().filter(|size| size.server == "bulward").collect();
    let base = ours.iter().find(|size| size.objects == BASE).or(ours.first());
    let (Some(base), Some(most)) = (base, ours.last()) else {
        return Vec::new();
    };
    if base.objects == most.objects {
        return Vec::new();
    }
    let row = |(at, clients): (usize, usize)| {
        let longer = ratio(&most.rounds[at], &base.rounds[at], |sample| sample.p50.as_secs_f64());
        let plural = if clients == 1 { "" } else { "s" };
        let objects = |size: &growth::Size| thousands(size.objects as f64);
        [
            format!("LIST 10 of {}, {clients} client{plural}", objects(most)),
            Median::of(&most.rounds[at]).cell(),
            format!("of {}: {}", objects(base), Median::of(&base.rounds[at]).cell()),
            format!("{longer:.2} × of p50"),
            verdict("≤ 1.3 ×", longer <= 1.3),
        ]
    };
    growth::CLIENTS.into_iter().enumerate().map(row).collect()
}

fn grant(grants: &grants::Results) -> Row {
    let times = |times: &[_]| format!("p50 {}, p99 {}", short(at(times, 50)), short(at(times, 99)));
    let names = ["bulward", "sample-apiserver", "kube-apiserver"];
    let others = grants.grants.iter().zip(names).skip(1);
    let others = others.map(|(grant, name)| format!("; {name}: {}", times(grant)));
    let ours = grants.grants.first().map_or(&[][..], Vec::as_slice);
    let longer = at(ours, 99).as_secs_f64() / at(&grants.raw, 99).as_secs_f64();
    [
        "grant sent → ADDED at the watcher, idle system".to_owned(),
        times(ours),
        format!(
            "one write to etcd: {}{}",
            times(&grants.raw),
            others.collect::<String>()
        ),
        format!("{longer:.2} × of p99"),
        verdict("≤ 2 ×", longer <= 2.0),
    ]
}

fn fan_out(watches: &watches::Results) -> [Row; 3] {
    let memory = &watches.memory;
    let each = memory.after.saturating_sub(memory.before) as f64 / memory.watches.max(1) as f64;
    let watchers = thousands((memory.watches + watches::SEEING) as f64);
    let delivery = |fanned: &watches::Fanned| {
        let part = |times: &[_]| format!("p50 {}, p99 {}", short(at(times, 50)), short(at(times, 99)));
        format!(
            "{} (since it was sent to etcd: {})",
            part(&fanned.acknowledged),
            part(&fanned.sent)
        )
    };
    let (few, many) = (&watches.few, &watches.many);
    let p99 = at(&many.acknowledged, 99);
    let rounds = many.processor.iter().zip(&few.processor);
    let more = median(rounds.map(|(many, few)| many.as_secs_f64() / few.as_secs_f64()));
    let processor = |fanned: &watches::Fanned| {
        let middle = |times: &[_]| short(middle_time(times.iter().copied()));
        format!(
            "CPU {} a change (idle {})",
            middle(&fanned.processor),
            middle(&fanned.idle)
        )
    };
    [
        [
            format!("a change that 10 of {watchers} watchers see: committed → delivered"),
            delivery(many),
            format!("10 watchers in all: {}", delivery(few)),
            String::new(),
            verdict("p99 ≤ 10 ms", p99.as_secs_f64() <= 0.010),
        ],
        [
            format!("the same: server CPU, {} changes", thousands(watches.changes as f64)),
            processor(many),
            format!("10 watchers in all: {}", processor(few)),
            fraction(more),
            verdict("≤ 1.10 ×", more <= 1.1),
        ],
        [
            format!(
                "resident memory for an idle watch, {} of them",
                thousands(memory.watches as f64)
            ),
            format!("{} bytes", thousands(each)),
            "100 connections without watches".to_owned(),
            String::new(),
            verdict("≤ 8 KiB", each <= 8192.0),
        ],
    ]
}
