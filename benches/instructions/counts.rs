//! Runs each work below callgrind and compares what it counted with what was recorded.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::works::{TIMES, WORKS};

/// Tells this program that it runs below callgrind.
pub(crate) const MEASURE: &str = "--measure";
/// More than this much of what was recorded is a failure.
const LIMIT: f64 = 1.05;

/// Counts the works whose names have one of these parts; all where there are none.
///
/// # Errors
/// valgrind cannot be run, or a count has grown too much.
pub(crate) fn run(parts: &[String], record: bool) -> Result<(), String> {
    let mut recorded = read_recorded()?;
    let mut grown = Vec::new();
    println!("| work, instructions each | counted | recorded | ratio |\n|---|---|---|---|");
    for work in WORKS {
        if !parts.is_empty() && !parts.iter().any(|part| work.name.contains(part.as_str())) {
            continue;
        }
        let count = count(work.name)? / TIMES as u64;
        let before = recorded.get(work.name).copied();
        let ratio = before.map(|before| count as f64 / before as f64);
        println!(
            "| {} | {count} | {} | {} |",
            work.what,
            before.map(|before| before.to_string()).unwrap_or_default(),
            ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default()
        );
        if ratio.is_some_and(|ratio| ratio > LIMIT) {
            grown.push(work.name);
        }
        if record {
            recorded.insert(work.name.to_owned(), count);
        } else if before.is_none() {
            return Err(format!("{} was never recorded: `-- --record` does", work.name));
        }
    }
    if record {
        return write_recorded(&recorded);
    }
    match grown.as_slice() {
        [] => Ok(()),
        grown => Err(format!(
            "more than {LIMIT} × the instructions recorded: {}. callgrind_annotate on target/callgrind/<work>.out says \
             where; `-- --record` accepts them",
            grown.join(", ")
        )),
    }
}

/// All instructions of the measured part of a work.
fn count(name: &str) -> Result<u64, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("callgrind");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let out = folder.join(format!("{name}.out"));
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("valgrind");
    command
        .args([
            "--tool=callgrind",
            "--collect-atstart=no",
            "--toggle-collect=*measured_part*",
        ])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(own)
        .args([MEASURE, name]);
    let ran = command.output();
    let ran = ran.map_err(|error| format!("valgrind (3.19 or later, Debian's package `valgrind`): {error}"))?;
    if !ran.status.success() {
        return Err(format!(
            "{name}: {}\n{}",
            ran.status,
            String::from_utf8_lossy(&ran.stderr)
        ));
    }
    let text = fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total
        .and_then(|total| total.trim().parse().ok())
        .filter(|total| *total > 0);
    total.ok_or_else(|| format!("{}: nothing was counted", out.display()))
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/recorded.txt")
}

fn read_recorded() -> Result<BTreeMap<String, u64>, String> {
    let file = file();
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    let all = lines.map(|line| entry(line).ok_or_else(|| format!("{}: {line:?}", file.display())));
    all.collect()
}

fn write_recorded(counts: &BTreeMap<String, u64>) -> Result<(), String> {
    let mut text =
        "# Instructions of each work, written by `cargo bench --bench instructions -- --record`.\n".to_owned();
    for (name, count) in counts {
        let _ = writeln!(text, "{name} {count}");
    }
    let file = file();
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}
