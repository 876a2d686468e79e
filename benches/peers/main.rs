//! Our server beside Kubernetes' own library, `k8s.io/sample-apiserver`, and beside a kube-apiserver with an equal
//! CustomResource: all on one etcd, asked by one client in alternating rounds. docs/benchmarks.md says how to run it and what
//! it found.
//!
//! `cargo bench --bench peers`, smaller with `-- --objects 500 --sizes 500 --watchers 100 --rounds 1 --seconds 0.5`.

mod client;
mod grants;
mod growth;
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
mod kept;
mod load;
mod machine;
mod objects;
mod peer;
mod plot;
mod program;
mod raw;
mod report;
mod seed;
mod settings;
mod stage;
mod watches;
mod works;

use it::harness;
use settings::Settings;
use tokio::time::Instant;

#[tokio::main]
async fn main() {
    let settings = match Settings::from_arguments() {
        Ok(settings) => settings,
        Err(why) => {
            eprintln!("{why}");
            std::process::exit(2);
        }
    };
    let began = Instant::now();
    let mut stage = stage::Stage::start(&settings).await;
    let mut found = report::Found::default();
    let wants = |names: &[&str]| !settings.long && names.iter().any(|name| settings.wants(name));
    let names = ["create", "GET", "LIST 10 of all", "LIST all", "grant"];
    if wants(&names) {
        found.works = Some(works::run(&stage, &settings).await);
    }
    if wants(&["grant"]) {
        found.grants = Some(grants::run(&stage, &settings).await);
    }
    stage.end_kube_apiserver();
    if wants(&["watches"]) {
        found.watches = Some(watches::run(&stage, &settings).await);
    }
    if settings.long || settings.wants("growth") {
        found.growth = Some(growth::run(&stage, &settings).await);
    }
    let run = report::run(&found, &settings, began.elapsed());
    println!("\n{}", run.text);
    match kept::keep(&run, &settings) {
        Ok(files) => println!("kept in {files}"),
        Err(why) => {
            eprintln!("{why}");
            std::process::exit(1);
        }
    }
}
