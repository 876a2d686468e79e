//! kubectl as people use it: the command lines in `kubectl/flows`, each a line of shell, run on our kinds and on equal
//! CustomResources at the same time, and compared. `script.rs` says how a flow is written.

mod normal;
mod run;
mod script;
mod shell;

use std::path::PathBuf;

use script::{Flow, Step};

/// One test a flow. The texts are read when the tests run: a change of one needs no compiler.
macro_rules! flows {
    ($($name:ident)*) => {
        const FLOWS: &[&str] = &[$(stringify!($name)),*];

        $(
            #[tokio::test]
            async fn $name() {
                run::flow(&read(stringify!($name))).await;
            }
        )*
    };
}

flows! {
    access
    apply
    apply_server_side
    create
    delete
    diff_edit
    discover
    everyday
    explain
    get
    grants
    label
    members
    patch
    replace
    status
    wait
    watch
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/live/kubectl/flows")
}

fn read(name: &str) -> Flow {
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Flow::parse(name, &text)
}

/// The number of command lines that the issue of this test asks for.
const COMMANDS: usize = 120;

#[test]
fn every_flow_runs_and_they_are_many() {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    files.sort();
    let mut listed: Vec<String> = FLOWS.iter().map(|name| format!("{name}.txt")).collect();
    listed.sort();
    assert_eq!(files, listed);

    let flows: Vec<Flow> = FLOWS.iter().map(|name| read(name)).collect();
    let count = |compared: bool| {
        let steps = flows
            .iter()
            .filter(|flow| flow.compared == compared)
            .flat_map(|flow| &flow.steps);
        steps
            .filter(|step| matches!(step, Step::Run(..) | Step::Start(..)))
            .count()
    };
    println!(
        "{} command lines are compared with CustomResources, {} are ours alone",
        count(true),
        count(false)
    );
    assert!(count(true) >= COMMANDS);
}
