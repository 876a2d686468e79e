//! What one change of a membership costs the single writer.

use bulward::storage::{Batch, Event};
use bulward::watchcache::log::Bounds;
use bulward::watchcache::written::Written;

use crate::machine::{median, row};
use crate::objects::{COUNT, name, organization, owners, snapshot, specs};

pub(crate) fn run() {
    let specs = specs();
    let mut current = snapshot(&specs);
    let bounds = Bounds::default();
    let written = Written::default();
    let mut revision = 1;
    for members in [1, 10, 300, 1_000] {
        let everybody: Vec<String> = (0..=members)
            .map(|one| format!("person-{one:06}@example.com"))
            .collect();
        let with = organization(COUNT / 2, &owners(COUNT / 2), &everybody);
        let without = organization(COUNT / 2, &owners(COUNT / 2), &everybody[1..]);
        let mut flip = false;
        let time = median(301, || {
            flip = !flip;
            revision += 1;
            let batch = Batch {
                revision,
                events: vec![Event {
                    key: format!("organizations/{}", name(COUNT / 2)),
                    value: Some(if flip { with.clone() } else { without.clone() }.into()),
                }],
            };
            current = current.apply(&specs, &batch, &bounds, &written).0;
        });
        let parse = median(301, || {
            let object = bulward::watchcache::Object::parse(&specs[0], "x".into(), 1, &with);
            std::hint::black_box(object.expect("an object"));
        });
        row(
            format!(
                "one member joins or leaves an object of {members}, {} bytes",
                with.len()
            ),
            format!(
                "{:.1} µs, of which reading the object {:.1} µs",
                micros(time),
                micros(parse)
            ),
        );
    }
}

pub(crate) fn micros(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
