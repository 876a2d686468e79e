//! The tables: medians over the rounds, ratios within a round, and what the targets say.

mod form;
mod others;
mod own;

use std::fmt::Write;
use std::time::Duration;

use crate::settings::Settings;
use crate::{grants, growth, machine, watches, works};
use form::{mebibytes, short, table, thousands};

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) works: Option<works::Results>,
    pub(crate) grants: Option<grants::Results>,
    pub(crate) watches: Option<watches::Results>,
    pub(crate) growth: Option<growth::Results>,
}

/// One run, as it is kept.
pub(crate) struct Run {
    /// In Markdown.
    pub(crate) text: String,
    pub(crate) points: Vec<Point>,
}

/// Latency at a number of objects, in microseconds.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Point {
    pub(crate) server: String,
    pub(crate) clients: usize,
    pub(crate) objects: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Makes the tables.
pub(crate) fn run(found: &Found, settings: &Settings, took: Duration) -> Run {
    let mut text = String::new();
    let scope = if settings.long {
        "Ours alone".to_owned()
    } else {
        let objects = thousands(settings.objects as f64);
        format!("{objects} objects on each server where nothing else is said")
    };
    let _ = writeln!(
        text,
        "{}; {scope}, of {} bytes each; {} rounds; {} in all.\n",
        machine::describe(),
        thousands(settings.bytes as f64),
        settings.rounds,
        minutes(took)
    );
    let head = [
        "work",
        "bulward",
        "sample-apiserver",
        "kube-apiserver",
        "ratio",
        "CPU",
        "target",
    ];
    table(&mut text, head, &others::rows(found, settings));
    let head = ["work", "bulward", "beside", "ratio", "target"];
    table(&mut text, head, &own::rows(found, settings));
    if let Some(growth) = &found.growth {
        let head = ["LIST 10 of", "server", "1 client", "8 clients"];
        table(&mut text, head, &sizes(growth));
    }
    if let Some(works) = &found.works {
        let head = [
            "resident memory",
            "bulward",
            "sample-apiserver",
            "kube-apiserver",
            "etcd",
        ];
        let rows = works.memory.iter().filter_map(|(moment, bytes)| {
            let [ours, theirs, custom, etcd] = <[u64; 4]>::try_from(bytes.as_slice()).ok()?;
            Some([
                (*moment).to_owned(),
                mebibytes(ours),
                mebibytes(theirs),
                mebibytes(custom),
                mebibytes(etcd),
            ])
        });
        table(&mut text, head, &rows.collect::<Vec<_>>());
    }
    let text = format!("{}\n", text.trim_end());
    Run {
        text,
        points: points(found),
    }
}

fn sizes(growth: &growth::Results) -> Vec<[String; 4]> {
    let cell = |samples: &[_]| form::Median::of(samples).cell();
    let row = |size: &growth::Size| {
        let [one, eight] = &size.rounds;
        [
            thousands(size.objects as f64),
            size.server.to_owned(),
            cell(one),
            cell(eight),
        ]
    };
    growth.sizes.iter().map(row).collect()
}

fn points(found: &Found) -> Vec<Point> {
    let sizes = found.growth.iter().flat_map(|growth| &growth.sizes);
    let points = sizes.flat_map(|size| {
        size.rounds.iter().zip(growth::CLIENTS).map(|(rounds, clients)| {
            let median = form::Median::of(rounds);
            Point {
                server: size.server.to_owned(),
                clients,
                objects: size.objects,
                p50: median.p50.as_secs_f64() * 1e6,
                p99: median.p99.as_secs_f64() * 1e6,
            }
        })
    });
    points.collect()
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        ..120 => short(time),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}
