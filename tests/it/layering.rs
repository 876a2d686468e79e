//! Arrows point down only: which module of the library may use which.

use std::collections::BTreeSet;

use crate::source::{code, files, line_of};

/// One row a module of `src/`: what it may use (`*`: everything), and why no more.
const ALLOWED: &str = "
    wire       |                                     | everything speaks this vocabulary, so it knows nobody
    storage    | wire                                | bytes and revisions under keys: it knows names, not objects
    visibility | wire                                | a pure function of what is stored: no input, no output
    watchcache | storage visibility wire             | fed by the store, asked by the verbs
    rest       | storage watchcache visibility wire  | what the verbs mean, without HTTP
    cluster    | telemetry wire                      | asks kube-apiserver what it is told to; it knows no requests
    authn      | certs cluster flowcontrol wire      | says who asks from a request's parts, whatever is asked for
    authz      | cluster wire                        | says yes or no to attributes, whatever serves them
    audit      | cluster telemetry wire              | follows a request through its stages, whatever serves it
    telemetry  | wire                                | used from many places, so it uses few
    flowcontrol | telemetry                          | seats and turns; it does not know what is done on a seat
    certs      | wire                                | makes and reads certificates for whoever needs some
    http       | audit authn authz certs flowcontrol telemetry wire | the way to an endpoint; it does not know what endpoints do
    endpoints  | rest watchcache visibility http authn authz telemetry wire | from HTTP to verbs; resources reach it as descriptors
    admission  | rest authz cluster telemetry wire   | the cluster's say in a write: it knows what rest hands it, and no HTTP
    controllers | cluster telemetry wire             | queues, stores, a lease: it does not know what is reconciled
    groups     | rest visibility controllers telemetry wire | an API group is data, strategy and reconcilers: it opens no socket, no store
    server     | *                                   | wiring
    config     | *                                   | the flags of everything
    cli        | *                                   | the commands
";

/// A row of the table: module, what it may use, why.
fn rows() -> Vec<(&'static str, Vec<&'static str>, &'static str)> {
    let cells = |line: &'static str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let lines = ALLOWED.lines().filter(|line| !line.trim().is_empty()).map(cells);
    lines
        .map(|cells| (cells[0], cells[1].split_whitespace().collect(), cells[2]))
        .collect()
}

/// A use of one top-level module in another, or of one group in another.
#[derive(Debug, PartialEq, Eq)]
struct Arrow {
    line: usize,
    /// The first two names of the path, or the first alone.
    to: String,
}

#[test]
fn arrows_point_down_only() {
    let sources = files("src", &[".rs"]);
    let modules: BTreeSet<&str> = sources
        .iter()
        .filter_map(|s| module_path(&s.path).first().copied())
        .collect();
    let rows = rows();
    let mut wrong = Vec::new();
    for source in &sources {
        let path = module_path(&source.path);
        let Some(from) = path.first() else { continue };
        let Some((_, allowed, why)) = rows.iter().find(|row| row.0 == *from) else {
            wrong.push(format!(
                "{}: module `{from}` has no row in ALLOWED (tests/it/layering.rs): add one with what it may use and why",
                source.path
            ));
            continue;
        };
        for arrow in arrows(&source.text, path.len(), &modules) {
            let place = format!("{}:{}", source.path, arrow.line);
            let (to, inner) = arrow.to.split_once("::").unwrap_or((&arrow.to, ""));
            if to != *from && !allowed.contains(&to) && !allowed.contains(&"*") {
                wrong.push(format!(
                    "{place}: `{from}` must not use `{to}` ({why}); it may use {allowed:?}. \
                     Move what is shared down, or hand it in from `server` as a value or a trait"
                ));
            }
            let group = path.get(1).filter(|_| *from == "groups" && to == "groups");
            if let Some(group) = group.filter(|group| inner != **group && !["", "self"].contains(&inner)) {
                wrong.push(format!(
                    "{place}: group `{group}` must not use group `{inner}`: share the fact through `visibility` or the store"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} arrows point up:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// `src/storage/etcd.rs` is `[storage, etcd]`; `lib.rs` and `main.rs` are the root, which may use everything.
fn module_path(file: &str) -> Vec<&str> {
    let inner = file
        .strip_prefix("src/")
        .and_then(|f| f.strip_suffix(".rs"))
        .expect("a source file");
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    if inner == "lib" || inner == "main" {
        Vec::new()
    } else {
        inner.split('/').collect()
    }
}

/// Every path that starts at the crate's root, written with `crate::` or with enough `super::` for a module at `depth`.
fn arrows(text: &str, depth: usize, modules: &BTreeSet<&str>) -> Vec<Arrow> {
    let code = code(text);
    let mut found = Vec::new();
    let mut starts: Vec<usize> = word_starts(&code, "crate::").map(|at| at + "crate::".len()).collect();
    for at in word_starts(&code, "super::") {
        let supers = code[at..]
            .split("super::")
            .take_while(|between| between.is_empty())
            .count();
        if supers >= depth && !code[..at].ends_with("super::") {
            starts.push(at + supers * "super::".len());
        }
    }
    starts.sort_unstable();
    for at in starts {
        for (offset, path) in paths(&code[at..]) {
            let names: Vec<&str> = path.split("::").take(2).collect();
            // Others are the root's own names (there are none) or, after `super::`, those of an inline module's parent.
            if modules.contains(names[0]) {
                found.push(Arrow {
                    line: line_of(&code, at + offset),
                    to: names.join("::"),
                });
            }
        }
    }
    // A tree of one module's names is one arrow.
    found.dedup();
    found
}

fn word_starts<'a>(code: &'a str, wanted: &'a str) -> impl Iterator<Item = usize> + 'a {
    let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    code.match_indices(wanted)
        .map(|(at, _)| at)
        .filter(move |at| !code[..*at].ends_with(inside))
}

/// Every path of a use tree, with its offset: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(tree: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    expand(tree, 0, "", &mut found);
    found
}

/// Appends the paths of the tree that starts at `at`, each after `prefix`, and returns where the tree ends.
fn expand(code: &str, mut at: usize, prefix: &str, found: &mut Vec<(usize, String)>) -> usize {
    at += code[at..].len() - code[at..].trim_start().len();
    if !code[at..].starts_with('{') {
        let name: String = code[at..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let path = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}::{name}")
        };
        let end = at + name.len();
        if name.is_empty() || !code[end..].starts_with("::") {
            // `a::*` and `a::<T>` are `a`.
            found.push((at, path.trim_end_matches("::").to_owned()));
            return end;
        }
        return expand(code, end + 2, &path, found);
    }
    loop {
        at = expand(code, at + 1, prefix, found);
        // Whatever else an element carries (`*`, `as name`), the next one is after a comma.
        at += code[at..].find([',', '}']).unwrap_or(code.len() - at);
        if code[at..].starts_with('}') {
            return at + 1;
        }
        if at >= code.len() {
            return at;
        }
    }
}

#[test]
fn arrows_are_found_however_they_are_written() {
    let modules = BTreeSet::from(["wire", "rest", "groups", "storage"]);
    let of = |text: &str, depth| {
        let found = arrows(text, depth, &modules);
        found
            .into_iter()
            .map(|a| format!("{}:{}", a.line, a.to))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("use crate::wire::names::{A, B};", 1), ["1:wire::names"]);
    let tree = "use crate::{\n    wire::{self, x::Y as W, z::*},\n    rest,\n};";
    assert_eq!(of(tree, 1), ["2:wire::self", "2:wire::x", "2:wire::z", "3:rest"]);
    let groups = ["1:groups::tenancy", "1:groups::perses"];
    assert_eq!(of("use crate::groups::{tenancy::{A, B}, perses};", 1), groups);
    assert_eq!(of("use crate::wire::*; use crate::rest", 1), ["1:wire", "1:rest"]);
    assert_eq!(of("fn f(g: crate::groups::tenancy::T) {}", 1), ["1:groups::tenancy"]);
    assert_eq!(of("\nuse super::super::rest::X;", 2), ["2:rest::X"]);
    assert_eq!(of("use super::rest::X;", 2), [""; 0], "a sibling, not the root");
    assert_eq!(of("use super::storage::X;", 1), ["1:storage::X"]);
    assert_eq!(
        of(
            "// crate::rest\nlet s = \"crate::rest\"; macro_rules! m { () => { $crate::rest } }",
            1
        ),
        [""; 0]
    );
}
