//! The project's rules of form that neither rustfmt nor clippy holds.

use crate::source::{Source, code, files};

/// Lines of a source file, without tests: the median, nine in ten, and every one.
const MEDIAN: usize = 150;
const NINE_IN_TEN: usize = 450;
const LARGEST: usize = 800;

/// Forms that are refused in code, with the way out.
const REFUSED: &[(&str, &str)] = &[
    (
        "#[ignore",
        "a test that does not run proves nothing: repair or remove it",
    ),
    ("todo!", "leave it out until it is there"),
    ("unimplemented!", "leave it out until it is there"),
    (
        "thread::sleep",
        "wait on a condition with a deadline (harness::eventually)",
    ),
    (
        "#[allow(",
        "use #[expect(.., reason = \"..\")]: it says why, and says so when it is no longer needed",
    ),
    (
        "#![allow(",
        "use #![expect(.., reason = \"..\")]: it says why, and says so when it is no longer needed",
    ),
];

fn rust_files() -> Vec<Source> {
    let mut all: Vec<Source> = ["src", "tests", "benches", "examples", "fuzz"]
        .iter()
        .flat_map(|f| files(f, &[".rs"]))
        .collect();
    all.retain(|s| !s.path.contains("/target/"));
    assert!(
        all.iter().any(|s| s.path == "tests/it/tidy.rs"),
        "the sources were not found"
    );
    all
}

#[test]
fn source_files_stay_small() {
    let mut sizes: Vec<(usize, String)> = Vec::new();
    for source in files("src", &[".rs"]) {
        let is_test = source.path.ends_with("/tests.rs") || source.path.contains("/tests/");
        if !is_test {
            sizes.push((lines_without_tests(&source.text), source.path));
        }
    }
    sizes.sort();
    let at = |percent: usize| sizes[(sizes.len() - 1) * percent / 100].0;
    let (median, nine_in_ten) = (at(50), at(90));
    let largest: Vec<String> = sizes
        .iter()
        .rev()
        .take(5)
        .map(|(lines, path)| format!("{lines:5} {path}"))
        .collect();
    let report = format!(
        "{} files; median {median} (at most {MEDIAN}), nine in ten {nine_in_ten} (at most {NINE_IN_TEN}), the largest:\n{}",
        sizes.len(),
        largest.join("\n")
    );
    println!("{report}");
    assert!(
        sizes.iter().all(|s| s.0 <= LARGEST),
        "a file has more than {LARGEST} lines: split it by purpose\n{report}"
    );
    assert!(
        median <= MEDIAN && nine_in_ten <= NINE_IN_TEN,
        "files have grown too long: split them by purpose\n{report}"
    );
}

/// Up to an inline test module, which stands last.
fn lines_without_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{'));
    tests.unwrap_or(lines.len())
}

#[test]
fn refused_forms_are_not_used() {
    let mut found = Vec::new();
    for source in rust_files() {
        for (number, line) in code(&source.text).lines().enumerate() {
            for (form, remedy) in REFUSED {
                if line.contains(form) {
                    found.push(format!("{}:{}: `{form}`: {remedy}", source.path, number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// deny.toml's bans, held where cargo-deny is not installed: what is linked into the server on this machine.
#[test]
fn banned_crates_are_not_linked() {
    let deny = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).unwrap();
    let banned: Vec<(&str, &str)> = deny
        .lines()
        .filter_map(|line| line.trim().strip_prefix("{ name = \"")?.split_once('"'))
        .collect();
    assert!(banned.iter().any(|(name, _)| *name == "ring"), "{banned:?}");
    let tree = |arguments: &[&str]| {
        let mut tree = std::process::Command::new(env!("CARGO"));
        tree.args(["tree", "--locked", "--edges=normal", "--prefix=none", "--format={p}"]);
        let output = tree
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let linked = tree(&[]);
    assert!(linked.lines().any(|line| line.starts_with("rustls v")), "{linked}");
    for (name, rest) in banned {
        let found = linked.lines().find(|line| line.split(' ').next() == Some(name));
        let wrappers = rest
            .split_once("wrappers = [")
            .and_then(|(_, rest)| rest.split_once(']'));
        let wrappers: Vec<&str> = wrappers.map_or(Vec::new(), |(names, _)| names.split('"').collect());
        let Some(_) = found.filter(|_| wrappers.len() > 1) else {
            assert_eq!(found, None, "deny.toml says why {name} must not be linked");
            continue;
        };
        for user in tree(&["--depth=1", "--invert", name]).lines().skip(1) {
            let user = user.split(' ').next().unwrap_or_default();
            assert!(
                wrappers.contains(&user),
                "{user} links {name}: deny.toml says why it must not"
            );
        }
    }
}

#[test]
fn modules_are_files_beside_their_folders() {
    let wrong: Vec<String> = rust_files()
        .into_iter()
        .map(|source| source.path)
        // An API group is one folder, so that its root lies inside of it.
        .filter(|path| path.ends_with("/mod.rs") && !path.starts_with("src/groups/"))
        .collect();
    assert!(wrong.is_empty(), "write foo.rs + foo/ and not foo/mod.rs: {wrong:?}");
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    // Put together here, so that this file does not find itself.
    let folders = ["home", "root", "Users", "work", "tmp/bash"].map(|name| format!("/{name}/"));
    let endings = [
        ".rs", ".md", ".toml", ".sh", ".yaml", ".yml", ".json", ".go", ".mod", "/run", "/protoc",
    ];
    let places = [
        "src",
        "tests",
        "docs",
        "benches",
        "fuzz",
        "apiservice",
        "deploy",
        "tools",
        ".ci",
        ".cargo",
    ];
    let mut sources: Vec<Source> = places.iter().flat_map(|place| files(place, &endings)).collect();
    for name in ["README.md", "ARCHITECTURE.md", "Cargo.toml", "clippy.toml", "deny.toml"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {name}: {e}"));
        sources.push(Source {
            path: name.to_owned(),
            text,
        });
    }
    let mut found = Vec::new();
    for source in sources.iter().filter(|s| !s.path.contains("/target/")) {
        for (number, line) in source.text.lines().enumerate() {
            for folder in &folders {
                // Only where a path starts: `docs/work/` is no folder of a machine.
                let starts = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}~/*".contains(c));
                if line.match_indices(folder.as_str()).any(|(at, _)| starts(at)) {
                    found.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "paths of one machine:\n{}", found.join("\n"));
}
