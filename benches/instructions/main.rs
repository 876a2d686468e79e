//! Instructions of the hottest paths, counted by callgrind: unlike times they hardly depend on the machine and on what else
//! it does. Fails when one has grown by more than a twentieth since it was recorded. docs/benchmarks.md says more.
//!
//! `cargo bench --bench instructions`; `-- --record` writes what was counted into `recorded.txt`.

mod counts;
mod server;
mod works;

use std::process::ExitCode;

use works::WORKS;

const USAGE: &str = "usage: cargo bench --bench instructions -- [--record] [<part of a work's name>]…";

fn main() -> ExitCode {
    // cargo says `--bench` to every benchmark.
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [flag, name] = arguments.as_slice()
        && flag == counts::MEASURE
    {
        // Below callgrind, started by the other branch. Spans are made where logs are written, as in a server.
        bulward::telemetry::logging::start(bulward::telemetry::logging::Format::Text, 0);
        let work = WORKS.iter().find(|work| work.name == name).expect("a work's name");
        (work.run)();
        return ExitCode::SUCCESS;
    }
    let record = arguments.iter().any(|argument| argument == "--record");
    arguments.retain(|argument| argument != "--record");
    if let Some(flag) = arguments.iter().find(|argument| argument.starts_with('-')) {
        eprintln!("unknown flag {flag}\n{USAGE}");
        return ExitCode::from(2);
    }
    match counts::run(&arguments, record) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
