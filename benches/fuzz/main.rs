//! The fuzz targets for as long as one likes: `cargo bench --profile dev --bench fuzz -- --minutes 5 [--target NAME] [--seed N]`.
//! fuzz/README.md says what it does and what it has done.

#[path = "../../tests/it/fuzz/mutator.rs"]
mod mutator;
#[path = "../../tests/it/fuzz/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mutator::{Mutator, corpus};

/// An input that takes longer is a finding, too.
const SLOW: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let minutes: f64 = given("--minutes").map_or(0.05, |text| text.parse().expect("minutes"));
    let seed: u64 = given("--seed").map_or(1, |text| text.parse().expect("a number"));
    let only = given("--target");
    let mut clean = true;
    for (name, target) in targets::ALL {
        if only
            .as_deref()
            .is_none_or(|only| only.split(',').any(|one| one == name))
        {
            clean &= fuzz(name, target, minutes, seed);
        }
    }
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fuzz(name: &str, target: targets::Target, minutes: f64, seed: u64) -> bool {
    let corpus = corpus(name);
    let mut stored = corpus.clone().into_iter();
    let mut mutator = Mutator::new(seed, corpus);
    let end = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let (mut runs, mut understood, mut slowest) = (0_u64, 0_u64, Duration::ZERO);
    while Instant::now() < end {
        let input = stored.next().unwrap_or_else(|| mutator.bend());
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| target(&input)));
        let took = start.elapsed();
        runs += 1;
        slowest = slowest.max(took);
        match result {
            Ok(meaning) if took < SLOW => understood += u64::from(meaning),
            other => {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz/findings");
                std::fs::create_dir_all(&folder).expect("a folder");
                let file = folder.join(format!("{name}-{seed}-{runs}"));
                std::fs::write(&file, &input).expect("a file");
                let what = if other.is_err() { "a panic" } else { "too slow" };
                println!("{name}: {what} at execution {runs}, see {}", file.display());
                return false;
            }
        }
    }
    println!("{name}: {runs} executions, {understood} understood, the slowest took {slowest:?}, no finding");
    true
}
