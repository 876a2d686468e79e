//! Discovery, OpenAPI, `/version` and manifests: what is derived from descriptors, against golden files and against what Go servers send.
//!
//! `BLESS=1 cargo test --test it documents` rewrites the golden files.

mod custom_resource;
mod discovery;
mod limits;
mod manifests;
mod openapi;
mod registry;
mod security;
mod sentences;
mod validators;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bulward::endpoints::discovery::{Answer, Conditions, Documents, Question, Surroundings};
use bulward::rest::resource::Registry;
use serde_json::Value;

/// Generous: it matters only in a failure.
const SOON: Duration = Duration::from_secs(60);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents(registry: &Registry) -> Documents {
    let paths = ["/metrics", "/healthz", "/livez", "/readyz"]
        .map(str::to_owned)
        .to_vec();
    let server_address = ":443".to_owned();
    Documents::new(registry, &Surroundings { paths, server_address })
}

/// Asks for `path` (with a query) with an `Accept` header.
fn get(documents: &Documents, path: &str, accept: Option<&str>) -> Answer {
    ask(documents, path, accept, Conditions::default())
}

fn ask(documents: &Documents, path: &str, accept: Option<&str>, conditions: Conditions<'_>) -> Answer {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let question = Question {
        path,
        query,
        accept,
        conditions,
        pretty: false,
    };
    documents
        .respond(&question)
        .unwrap_or_else(|| panic!("{path} is a document"))
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let found = answer.headers.iter().find(|(candidate, _)| candidate == name);
    found.map_or("", |(_, value)| value.to_str().expect("headers are ASCII"))
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("the body is JSON")
}

/// What kube-apiserver or sample-apiserver 1.36 sent, captured with curl; descriptions are left out of the OpenAPI paths.
fn upstream(name: &str) -> Value {
    let path = root().join("tests/it/documents/upstream").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("the capture is JSON")
}

/// Compares `actual` with the file at `path` below the repository's root, or writes it there.
fn golden(path: impl Into<PathBuf>, actual: &str) {
    let path = root().join(path.into());
    if std::env::var_os("BLESS").is_some_and(|bless| bless == "1") {
        std::fs::create_dir_all(path.parent().expect("the path has a parent")).expect("the folder can be made");
        std::fs::write(&path, actual).expect("the file can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if expected != actual {
        let line = expected
            .lines()
            .zip(actual.lines())
            .position(|(expected, actual)| expected != actual);
        let line = line.unwrap_or_else(|| expected.lines().count().min(actual.lines().count()));
        let at = |text: &str| text.lines().nth(line).unwrap_or("<end>").to_owned();
        panic!(
            "{}:{} differs (BLESS=1 accepts the change)\n  in the file: {}\n  now:         {}",
            path.display(),
            line + 1,
            at(&expected),
            at(actual)
        );
    }
}

fn golden_json(path: &str, actual: &Value) {
    let text = serde_json::to_string_pretty(actual).expect("a value serializes");
    golden(path, &format!("{text}\n"));
}
