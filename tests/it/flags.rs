//! The flags of Kubernetes' own extension API servers: each is here, or docs/flags.md says why it is not.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::harness::programs;

/// Flags that kube-apiserver has on top, and operators know (k8s.io/apiserver pkg/server/options/server_run_options.go).
const SERVER_RUN: [&str; 12] = [
    "cors-allowed-origins",
    "external-hostname",
    "goaway-chance",
    "livez-grace-period",
    "max-mutating-requests-inflight",
    "max-requests-inflight",
    "min-request-timeout",
    "request-timeout",
    "shutdown-delay-duration",
    "shutdown-send-retry-after",
    "shutdown-watch-termination-grace-period",
    "strict-transport-security-directives",
];

/// What `--help` names at the beginning of a line.
async fn flags(mut command: Command) -> BTreeSet<String> {
    let output = tokio::task::spawn_blocking(move || command.arg("--help").output()).await;
    let output = output.unwrap().expect("it can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let name = |line: &str| {
        let line = line.trim_start();
        // One letter may stand before it.
        let line = line
            .split_once(", ")
            .filter(|(short, _)| short.len() == 2)
            .map_or(line, |(_, long)| long);
        let name = line.strip_prefix("--")?.split([' ', '=', '[']).next()?;
        Some(name.to_owned())
    };
    text.lines().filter_map(name).collect()
}

/// The names in the first column of docs/flags.md.
fn excused() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/flags.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut names = BTreeSet::new();
    for row in text.lines().filter_map(|line| line.strip_prefix("| `--")) {
        let [first, why] = row.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("no reason, or more than two columns: {row}");
        };
        assert!(why.trim_end_matches([' ', '|']).len() > 10, "no reason: {row}");
        for name in format!("`--{first}").split(' ') {
            let name = name.strip_prefix("`--").and_then(|name| name.strip_suffix('`'));
            let name = name.unwrap_or_else(|| panic!("no flag: {first}"));
            assert!(names.insert(name.to_owned()), "--{name} twice");
        }
    }
    names
}

#[tokio::test]
async fn every_flag_is_here_or_it_is_said_why_not() {
    let sample = programs::find("sample-apiserver").await.expect("a sample-apiserver");
    let mut theirs = flags(Command::new(sample)).await;
    assert!(theirs.len() > 80, "{theirs:?}");
    theirs.extend(SERVER_RUN.map(str::to_owned));
    let mut bulward = Command::new(env!("CARGO_BIN_EXE_bulward"));
    bulward.arg("apiserver");
    let ours = flags(bulward).await;
    let excused = excused();
    let list = |names: Vec<&String>| {
        names
            .iter()
            .map(|name| format!("--{name}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let neither = theirs
        .iter()
        .filter(|name| !ours.contains(*name) && !excused.contains(*name));
    assert_eq!(list(neither.collect()), "", "neither here nor in docs/flags.md");
    assert_eq!(
        list(excused.intersection(&ours).collect()),
        "",
        "docs/flags.md says that they are not here"
    );
    assert_eq!(
        list(excused.difference(&theirs).collect()),
        "",
        "Kubernetes has no such flags either"
    );
    println!(
        "{} flags of Kubernetes: {} here, {} not",
        theirs.len(),
        theirs.intersection(&ours).count(),
        excused.len()
    );
}
