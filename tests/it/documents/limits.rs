//! docs/limits.md names the test that holds each bound; here each of them is looked for.

use super::security::{has_test, places};
use crate::source::{Source, files};

/// A bound of the HTTP library's own, which no test here reaches.
const WITHOUT: [&str; 1] = ["an upload that nobody reads"];

/// The first cell of each bound, and the names in backticks of its last.
fn bounds(document: &str) -> Vec<(&str, Vec<&str>)> {
    // Tables of figures are none of bounds.
    let tables = document.split("\n| bound ").skip(1);
    let rows = tables.flat_map(|table| table.lines().skip(2).take_while(|line| line.starts_with("| ")));
    let cells = rows.map(|row| row.trim_matches('|').split(" |").map(str::trim).collect::<Vec<_>>());
    cells
        .map(|cells| {
            assert_eq!(cells.len(), 4, "{cells:?}");
            (cells[0], cells[3].split('`').skip(1).step_by(2).collect())
        })
        .collect()
}

#[test]
fn every_bound_is_held_by_a_test() {
    let document = files("docs", &["limits.md"]).pop().expect("docs/limits.md").text;
    let mut sources: Vec<Source> = files("tests/it", &[".rs"]);
    sources.extend(files("src", &[".rs"]));
    let bounds = bounds(&document);
    assert!(bounds.len() > 25, "{bounds:?}");
    for (at, (bound, tests)) in bounds.iter().enumerate() {
        for test in tests {
            // A test, or a file of them.
            let there = sources.iter().any(|source| places(test).contains(&source.path))
                || sources.iter().any(|source| has_test(&source.text, test));
            assert!(there, "docs/limits.md: {bound}: there is no test `{test}`");
        }
        let as_before = at > 0
            && document
                .lines()
                .any(|line| line.starts_with(&format!("| {bound} ")) && line.ends_with("| the same |"));
        assert!(
            !tests.is_empty() || as_before || WITHOUT.contains(bound),
            "docs/limits.md: {bound}: no test"
        );
    }
}
