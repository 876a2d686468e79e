//! docs/security.md names the test that holds each boundary; here each of them is looked for.

use crate::source::{Source, files};

/// What the document has to speak of: a boundary that is taken out with its row would not be missed otherwise.
const BOUNDARIES: [&str; 30] = [
    "front proxy",
    "confused deputy",
    "`Impersonate-",
    "by selector",
    "by sort",
    "continue token",
    "A watch",
    "Table",
    "metadata alone",
    "apply",
    "error text",
    "The time until a 404",
    "Labels of metrics",
    "audit record",
    "Logs",
    "Traces",
    "Events",
    "Webhooks and policies see",
    "URL of a webhook",
    "Expressions",
    "Disks and backups",
    "certificate",
    "memory or time",
    "limits.md",
    "path",
    "where it ends",
    "claim",
    "old revision",
    "namespaces",
    "token",
];

/// Everything of the form `module::path::test` in backticks.
fn named(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | ':');
    quoted
        .filter(|code| code.contains("::") && code.chars().all(plain))
        .collect()
}

fn document() -> String {
    files("docs", &["security.md"]).pop().expect("docs/security.md").text
}

/// Whether a file has a test of this name: a function under `#[test]`, or a name in a macro that makes tests of names.
pub(super) fn has_test(source: &str, name: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let mut places = source.match_indices(name).filter(|(at, _)| {
        let after = &source[at + name.len()..];
        !after.starts_with(inside) && !source[..*at].ends_with(inside)
    });
    places.any(|(at, _)| {
        let before = source[..at].trim_end();
        if let Some(head) = before.strip_suffix("fn") {
            // Up to the attributes and comments of this item.
            let item = head.rsplit_once('}').map_or(head, |(_, item)| item);
            return ["#[test]", "#[tokio::test"].iter().any(|mark| item.contains(mark));
        }
        // `each_storage!(name)`, `replays!(one, name)`
        let listed = before.trim_end_matches(|c: char| inside(c) || c == ',' || c.is_whitespace());
        listed.ends_with("!(")
    })
}

/// Where a test may be: `tests/it/module.rs`, `src/module.rs`, or a module of tests within such a file.
pub(super) fn places(module: &str) -> [String; 3] {
    let file = module.replace("::", "/");
    let around = file.strip_suffix("/tests").unwrap_or(&file);
    [
        format!("tests/it/{file}.rs"),
        format!("src/{file}.rs"),
        format!("src/{around}.rs"),
    ]
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let document = document();
    let mut sources: Vec<Source> = files("tests/it", &[".rs"]);
    sources.extend(files("src", &[".rs"]));
    let tests = named(&document);
    assert!(tests.len() > 60, "{tests:?}");
    let there = |test: &&str| {
        let (module, name) = test.rsplit_once("::").expect("a path");
        let places = places(module);
        let mut files = sources.iter().filter(|source| places.contains(&source.path));
        files.any(|source| has_test(&source.text, name))
    };
    let lost: Vec<&str> = tests.into_iter().filter(|test| !there(test)).collect();
    assert!(
        lost.is_empty(),
        "docs/security.md names tests that are not there: {lost:?}"
    );
}

/// The looking itself: a name that is no test, or a part of another name, is not found.
#[test]
fn what_is_no_test_is_not_found() {
    let source = "fn helper() {}\n#[test]\nfn one() {}\nfn two() { one(); }\n#[tokio::test(flavor = \"x\")]\nasync fn three() {}\n\
                  async fn four(opened: Opened) {}\neach_storage!(four);\nreplays!(five,\n    six);\n";
    let found = |name| has_test(source, name);
    assert!(["one", "three", "four", "five", "six"].into_iter().all(found));
    assert!(!["helper", "two", "on", "ne", "seven", "opened"].into_iter().any(found));
}

/// Rows without a test are no rows, and none of the boundaries may be missing.
#[test]
fn every_boundary_has_a_test() {
    let document = document();
    let rows: Vec<&str> = document
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| what"))
        .collect();
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 3, "{row}");
        assert!(!named(cells[2]).is_empty(), "no test: {row}");
    }
    let missing: Vec<&&str> = BOUNDARIES
        .iter()
        .filter(|boundary| !rows.iter().any(|row| row.contains(**boundary)))
        .collect();
    assert!(missing.is_empty(), "docs/security.md says nothing of {missing:?}");
}
