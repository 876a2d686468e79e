//! What the watch cache, its index and its watchers cost in memory, and what an edit, a list and a load cost in time.
//!
//! `cargo bench --bench memory`, one part of it with `-- edits`. Each part runs in a process of its own, so that one
//! cannot use memory that another has left behind. docs/benchmarks.md holds the figures.

mod edits;
mod lists;
mod loading;
mod machine;
mod objects;
mod streams;
mod subscriptions;

use std::process::Command;

type Part = (&'static str, fn());

const PARTS: [Part; 8] = [
    ("objects", objects::plain),
    ("subjects", objects::subjects),
    ("common-subjects", objects::common_subjects),
    ("edits", edits::run),
    ("lists", lists::run),
    ("loading", loading::run),
    ("subscriptions", subscriptions::run),
    ("streams", streams::run),
];

fn main() {
    // cargo adds `--bench`
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [marker, name] = wanted.as_slice()
        && marker == "--part"
    {
        let part = PARTS.iter().find(|(own, _)| own == name);
        return part.expect("the caller is this program").1();
    }
    let own = std::env::current_exe().expect("a program knows its path");
    println!("| what | figure |\n|---|---|");
    for (name, _) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            let status = Command::new(&own).args(["--part", name]).status();
            assert!(status.expect("this program starts").success(), "{name} failed");
        }
    }
}
