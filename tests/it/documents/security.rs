//! docs/security.md names the test that holds each boundary; here each of them is looked for.

use crate::source::files;

/// Everything of the form `module::path::test` in backticks.
fn named(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | ':');
    quoted
        .filter(|code| code.contains("::") && code.chars().all(plain))
        .collect()
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let document = files("docs", &["security.md"]).pop().expect("docs/security.md");
    let mut sources = files("tests/it", &[".rs"]);
    sources.extend(files("src", &[".rs"]));
    let tests = named(&document.text);
    assert!(tests.len() > 40, "{tests:?}");
    let mut lost = Vec::new();
    for test in tests {
        let (module, name) = test.rsplit_once("::").expect("a path");
        let file = module.replace("::", "/");
        let places = [format!("tests/it/{file}.rs"), format!("src/{file}.rs")];
        let found = sources.iter().filter(|source| places.contains(&source.path));
        let word = |source: &str| {
            let inside = |c: char| c.is_alphanumeric() || c == '_';
            let mut places = source.match_indices(name);
            // `fn name(`, or its place in a macro that makes tests of names.
            places.any(|(at, _)| {
                let before = source[..at].trim_end();
                let after = &source[at + name.len()..];
                let declared = before.ends_with("fn") || before.ends_with(['(', ',', '[']);
                declared && !after.starts_with(inside)
            })
        };
        if !found.into_iter().any(|source| word(&source.text)) {
            lost.push(test);
        }
    }
    assert!(
        lost.is_empty(),
        "docs/security.md names tests that are not there: {lost:?}"
    );
}

/// Boundaries that the document has to speak of, and rows without a test are no rows.
#[test]
fn every_boundary_has_a_test() {
    let document = files("docs", &["security.md"]).pop().expect("docs/security.md");
    let rows: Vec<&str> = document
        .text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| what"))
        .collect();
    assert!(rows.len() > 25, "{}", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 3, "{row}");
        assert!(!named(cells[2]).is_empty(), "no test: {row}");
    }
}
