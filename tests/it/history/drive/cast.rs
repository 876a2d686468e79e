//! Who takes part, under which names, and what they ask for.

use std::sync::Arc;

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::super::model::is;
use super::super::record::{Fields, Key, Kind, Labels, Query, Shape, Who};
use crate::harness::tenancy::{group, service_account, user};

/// Everybody who has an identity is in it.
pub(super) const EVERYBODY: &str = "system:authenticated";
/// Whom nobody names, and who creates nothing.
pub(crate) const STRANGER: &str = "stranger";
const ORGANIZATIONS: usize = 10;
const NAMESPACES: usize = 5;
const PROJECTS: usize = 3;

/// Users, members of groups, one with three hundred of them, a service account, a stranger whom nobody names, and last an
/// administrator.
pub(crate) fn people() -> Vec<Who> {
    let who = |name: &str, groups: &[&str], everything| {
        let groups = groups.iter().chain(&[EVERYBODY]);
        Who {
            name: name.to_owned(),
            groups: groups.map(ToString::to_string).collect(),
            everything,
        }
    };
    let many: Vec<String> = (0..299).map(|number| format!("c{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).chain(["g2"]).collect();
    let robots = ["system:serviceaccounts", "system:serviceaccounts:n0"];
    vec![
        who("u0", &[], false),
        who("u1", &[], false),
        who("u2", &[], false),
        who("u3", &["g0"], false),
        who("u4", &["g0", "g1"], false),
        who("crowd", &many, false),
        who("system:serviceaccount:n0:robot", &robots, false),
        who(STRANGER, &[], false),
        who("admin", &["system:masters"], true),
    ]
}

/// Subjects of all kinds, among them such as look like a caller and are none.
fn subject(random: &mut StdRng) -> Value {
    match random.random_range(0..16) {
        number @ 0..5 => user(&format!("u{number}")),
        number @ 5..8 => group(&format!("g{}", number - 5)),
        8 => group("c7"),
        9 => user("crowd"),
        10 => service_account("n0", "robot"),
        11 => user("system:serviceaccount:n0:robot"),
        12 => group("system:serviceaccounts:n0"),
        13 => service_account("n1", "robot"),
        14 => user("g0"),
        _ => group("u1"),
    }
}

/// A few subjects, each once; sometimes among many that are nobody.
pub(super) fn subjects(random: &mut StdRng, at_least: usize) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let count = random.random_range(at_least..at_least + 5);
    while all.len() < count {
        let next = subject(random);
        if !all.contains(&next) {
            all.push(next);
        }
    }
    if random.random_bool(0.03) {
        all.extend((0..random.random_range(20..100)).map(|number| user(&format!("x{number}"))));
    }
    all
}

/// The caller as a subject: by its name, sometimes by a group.
pub(super) fn as_subject(who: &Who, random: &mut StdRng) -> Value {
    match who.groups.as_slice() {
        [own, _, ..] if random.random_bool(0.3) => group(own),
        _ => user(&who.name),
    }
}

/// Whether the caller owns an object as it was read.
pub(super) fn owns(who: &Who, object: &Value) -> bool {
    let owners = object["spec"]["owners"].as_array().into_iter().flatten();
    let mut names = owners.map(|owner| {
        let part = |field: &str| owner[field].as_str().unwrap_or_default();
        match owner["namespace"].as_str() {
            Some(namespace) => format!("{}/{namespace}/{}", part("kind"), part("name")),
            None => format!("{}/{}", part("kind"), part("name")),
        }
    });
    names.any(|name| is(who, &name))
}

pub(super) fn namespace(random: &mut StdRng) -> String {
    format!("n{}", random.random_range(0..NAMESPACES))
}

pub(super) fn key(random: &mut StdRng) -> Key {
    let all = keys();
    all[random.random_range(0..all.len())].clone()
}

/// All objects that ever are.
pub(super) fn keys() -> Vec<Key> {
    let organizations = (0..ORGANIZATIONS).map(|number| Key::new(Kind::Organizations, &format!("o{number}")));
    let projects = (0..NAMESPACES).flat_map(|namespace| {
        (0..PROJECTS).map(move |number| Key::new(Kind::Projects, &format!("n{namespace}/p{number}")))
    });
    organizations.chain(projects).collect()
}

/// A body with these owners, for either view.
pub(super) fn body(key: &Key, owners: &[Value], step: &str) -> Value {
    let (_, name) = key.split();
    let kind = match key.kind {
        Kind::Organizations => "Organization",
        Kind::Projects => "Project",
    };
    json!({
        "kind": kind,
        "metadata": {"name": name, "annotations": {"step": step}},
        "spec": {"owners": owners},
    })
}

/// Selectors leave no object out that has been closed.
pub(super) fn query(random: &mut StdRng) -> Query {
    let mut query = if random.random_bool(0.6) {
        Query::all(Kind::Organizations)
    } else {
        let mut query = Query::all(Kind::Projects);
        if random.random_bool(0.3) {
            query.namespace = Some(Arc::from(namespace(random)));
        }
        query
    };
    query.labels = match random.random_range(0..10) {
        0 => Labels::Has,
        1 => Labels::Is("yes"),
        2 => Labels::IsNot("no"),
        _ => Labels::Any,
    };
    query.fields = match random.random_range(0..10) {
        0 => Fields::Phase("Ready"),
        1 => {
            let keys: Vec<Key> = keys().into_iter().filter(|key| query.covers(key)).collect();
            Fields::Name(keys[random.random_range(0..keys.len())].split().1.into())
        }
        2 if query.kind == Kind::Projects && query.namespace.is_none() => {
            Fields::Namespace(Arc::from(namespace(random)))
        }
        _ => Fields::Any,
    };
    query
}

pub(super) fn shape(random: &mut StdRng) -> Shape {
    match random.random_range(0..10) {
        0 | 1 => Shape::Metadata,
        2 | 3 => Shape::Table,
        _ => Shape::Object,
    }
}
