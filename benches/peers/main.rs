//! Our server beside Kubernetes' own library, `k8s.io/sample-apiserver`: both on one etcd, asked by one client in
//! alternating rounds; prints a table of ratios. docs/benchmarks.md says how to run it and what it found.
//!
//! `cargo bench --bench peers`, smaller with `-- --objects 500 --rounds 1 --seconds 0.5`.

mod client;
#[expect(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "shared with the tests; a benchmark needs a part of it"
)]
#[path = "../../tests/it"]
mod it {
    pub(crate) mod harness;
}
mod load;
mod machine;
mod objects;
mod peer;
mod raw;
mod report;
mod settings;
mod stage;
mod works;

use it::harness;
use settings::Settings;

#[tokio::main]
async fn main() {
    let settings = match Settings::from_arguments() {
        Ok(settings) => settings,
        Err(why) => {
            eprintln!("{why}");
            std::process::exit(2);
        }
    };
    let stage = stage::Stage::start(&settings).await;
    let results = works::run(&stage, &settings).await;
    println!("\n{}", report::markdown(&results, &settings));
}
