//! The fuzz targets for as long as one likes: `cargo bench --profile dev --bench fuzz -- --minutes 5 [--target NAME] [--seed N]`.
//! fuzz/README.md says what it does and what it has done.

#[path = "../../tests/it/fuzz/mutator.rs"]
mod mutator;
#[path = "../../tests/it/fuzz/targets.rs"]
mod targets;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;

use mutator::{Mutator, corpus};
use watch::{Watch, keep, worked};

/// An input on which this process works for longer is a finding, too.
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

fn fuzz(name: &'static str, target: targets::Target, minutes: f64, seed: u64) -> bool {
    let corpus = corpus(name);
    let mut stored = corpus.clone().into_iter();
    let mut mutator = Mutator::new(seed, corpus);
    let watch = Watch::over(name, seed);
    let end = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let (mut runs, mut understood, mut slowest) = (0_u64, 0_u64, Duration::ZERO);
    while Instant::now() < end {
        let input = stored.next().unwrap_or_else(|| mutator.bend());
        watch.begins(&input);
        runs += 1;
        let start = worked();
        let result = catch_unwind(AssertUnwindSafe(|| target(&input)));
        let took = worked().saturating_sub(start);
        slowest = slowest.max(took);
        match result {
            Ok(meaning) => understood += u64::from(meaning),
            Err(_) => {
                println!("{name}: a panic at execution {runs}, see {}", keep(name, seed, &input));
                return false;
            }
        }
        if took >= SLOW {
            println!("{name}: {took:?} at execution {runs}, see {}", keep(name, seed, &input));
            return false;
        }
    }
    println!("{name}: {runs} executions, {understood} understood, the slowest took {slowest:?}, no finding");
    true
}
