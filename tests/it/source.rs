//! Reads the project's own sources, for the tests that hold its rules.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file below the repository's root.
pub(crate) struct Source {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    /// As it is.
    pub(crate) text: String,
}

/// Every file below `folder` (relative to the root) whose name ends in one of `endings`, sorted; none if there is no such folder.
pub(crate) fn files(folder: &str, endings: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join(folder), &mut paths);
    paths.sort();
    let wanted = paths
        .iter()
        .filter(|p| endings.iter().any(|e| p.to_string_lossy().ends_with(e)));
    wanted
        .map(|path| {
            let relative = path.strip_prefix(root).expect("found below the root");
            let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()));
            Source {
                path: relative.to_string_lossy().replace('\\', "/"),
                text,
            }
        })
        .collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("read a folder of the repository").path();
        if path.is_dir() {
            collect(&path, paths);
        } else {
            paths.push(path);
        }
    }
}

/// `text` with the insides of comments, strings and characters blanked, so that what is left is code; lines stay lines.
pub(crate) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment, string or character that begins at `at` ends; `at` itself if none begins there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let get = |i: usize| chars.get(i).copied();
    let find = |from: usize, wanted: &[char]| {
        (from..chars.len())
            .find(|i| chars[*i..].starts_with(wanted))
            .map_or(chars.len(), |i| i + wanted.len())
    };
    let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match (chars[at], get(at + 1)) {
        // Up to the newline, which stays.
        ('/', Some('/')) => (at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len()),
        ('/', Some('*')) => find(at + 2, &['*', '/']),
        ('"', _) => string_end(chars, at + 1, '"'),
        ('r', Some('"' | '#')) if !in_word || chars[at - 1] == 'b' => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if get(at + 1 + hashes) != Some('"') {
                return at;
            }
            let mut closing = vec!['"'];
            closing.resize(hashes + 1, '#');
            find(at + 2 + hashes, &closing)
        }
        ('\'', Some('\\')) => string_end(chars, at + 1, '\''),
        ('\'', Some(_)) if get(at + 2) == Some('\'') => at + 3,
        // A lifetime, or just code.
        _ => at,
    }
}

fn string_end(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// The line, counted from 1, of a byte position.
pub(crate) fn line_of(text: &str, position: usize) -> usize {
    text[..position].matches('\n').count() + 1
}

#[test]
fn code_is_what_is_left_without_comments_and_literals() {
    let text = "a // crate::x\nb /* y\n*/ \"c\\\" d\" e r#\"f \" g\"# h '\"' 'i '\\'' j<'k>";
    let left = code(text);
    assert_eq!(
        left.split_whitespace().collect::<Vec<_>>(),
        ["a", "b", "e", "h", "'i", "j<'k>"]
    );
    assert_eq!(left.matches('\n').count(), text.matches('\n').count());
}
