//! What is wrong with what is stored: a pure function of all keys and values.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use bytes::Bytes;
use serde_json::Value;

use super::import::MARK;
use crate::groups::{self, Options};
use crate::rest::resource::{Edge, Kind};
use crate::rest::store;
use crate::rest::{claim, paging};
use crate::watchcache::Object;
use crate::watchcache::snapshot::locate;
use crate::wire::meta;
use crate::wire::schema::Schema;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Something that a server cannot make good use of.
    Fault,
    /// Something that is allowed and seldom meant.
    Note,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) key: String,
    pub(super) what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Fault => "fault",
            Level::Note => "note",
        };
        write!(f, "{level}: {}: {}", self.key, self.what)
    }
}

/// What was read of an object.
struct Known {
    key: String,
    uid: String,
    /// The namespace that it says is its own.
    claims: Option<String>,
    /// The namespace that it lives in, where only members of that namespace's owner may make it.
    parent: Option<String>,
}

/// Looks at every entry by itself, then at what they say of each other.
pub(super) fn findings(entries: BTreeMap<String, Result<Bytes, String>>) -> Vec<Finding> {
    let registry = groups::registry(&Options {
        cluster: true,
        ..Options::default()
    });
    let kinds = registry.kinds();
    let specs = match store::specs(&registry) {
        Ok(specs) => specs,
        Err(what) => return vec![fault("", what)],
    };
    let mut found = Vec::new();
    let mut objects = Vec::new();
    let mut claims: HashMap<String, (String, Value)> = HashMap::new();
    for (key, value) in entries {
        let value = match value {
            Ok(value) => value,
            Err(why) => {
                found.push(fault(&key, why.strip_prefix(&format!("key {key}: ")).unwrap_or(&why)));
                continue;
            }
        };
        let json: Value = match serde_json::from_slice(&value) {
            Ok(json) => json,
            Err(error) => {
                // Its words may quote the value.
                found.push(fault(&key, format!("not JSON, from column {} on", error.column())));
                continue;
            }
        };
        if let Some(namespace) = claim::namespace(&key) {
            claims.insert(namespace.to_owned(), (key.clone(), json));
        } else if let Some((id, own)) = locate(&specs, &key) {
            let (at, kind) = (usize::from(id.0), &kinds[usize::from(id.0)]);
            match Object::from_value(&specs[at], own, 1, &json) {
                Err(why) => found.push(fault(&key, why)),
                Ok(object) => {
                    found.extend(identity(&key, &object, &json));
                    found.extend(shape(&key, kind, &json));
                    objects.push(known(key, kind, &object));
                }
            }
        } else if key == MARK {
            found.push(fault(&key, "an import was broken off: begin it again"));
        } else if key != paging::KEY {
            found.push(fault(&key, "belongs to no kind"));
        }
    }
    found.extend(uids(&objects));
    found.extend(references(&objects, &claims));
    found.sort_by(|a, b| (a.level, &a.key).cmp(&(b.level, &b.key)));
    found
}

fn known(key: String, kind: &Kind, object: &Object) -> Known {
    let parent = matches!(&kind.edge, Edge::Members { parent: Some(_), .. });
    Known {
        key,
        uid: object.uid.to_string(),
        claims: object.facts.namespace.as_deref().map(str::to_owned),
        parent: parent.then(|| object.namespace().to_owned()),
    }
}

/// Whether the object is what its key says.
fn identity(key: &str, object: &Object, json: &Value) -> Option<Finding> {
    let named = (meta::namespace(json), meta::name(json)) == (object.namespace(), object.name());
    match (named, object.uid.is_empty()) {
        (false, _) => Some(fault(key, "its metadata has another name or namespace")),
        (true, true) => Some(fault(key, "it has no uid")),
        (true, false) => None,
    }
}

/// Whether the object is as its schema says: an old one need not be, and is shown nevertheless.
fn shape(key: &str, kind: &Kind, json: &Value) -> Option<Finding> {
    let schema = Schema::parse(&kind.schema).ok()?;
    let wrong = schema.validate(json).into_iter().next()?;
    Some(note(key, format!("not as its schema says, at {}", wrong.field)))
}

fn uids(objects: &[Known]) -> Vec<Finding> {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    let twice = objects.iter().filter(|one| !one.uid.is_empty()).filter_map(|one| {
        let other = seen.insert(&one.uid, &one.key)?;
        Some(fault(&one.key, format!("has the uid of {other}")))
    });
    twice.collect()
}

fn references(objects: &[Known], claims: &HashMap<String, (String, Value)>) -> Vec<Finding> {
    let mut found = Vec::new();
    let by_key: HashMap<&str, &Known> = objects.iter().map(|one| (one.key.as_str(), one)).collect();
    for (namespace, (key, json)) in claims {
        let text = |name: &str| json[name].as_str().unwrap_or_default();
        let owner = format!("{}/{}", text("resource"), text("key"));
        match by_key.get(owner.as_str()) {
            None => found.push(fault(key, format!("its owner {owner} is not there"))),
            Some(one) if one.uid != text("uid") => {
                found.push(fault(key, format!("{owner} is another object now, with another uid")));
            }
            Some(one) if one.claims.as_ref() != Some(namespace) => {
                found.push(fault(key, format!("{owner} does not have this namespace")));
            }
            Some(_) => {}
        }
    }
    for one in objects {
        if let Some(namespace) = &one.claims {
            let claim = claims.get(namespace).map(|(_, json)| json["uid"].as_str());
            match claim {
                Some(uid) if uid == Some(one.uid.as_str()) => {}
                Some(_) => found.push(fault(
                    &one.key,
                    format!("its namespace {namespace} is claimed by another"),
                )),
                None => found.push(fault(&one.key, format!("its namespace {namespace} is not claimed"))),
            }
        }
        if let Some(namespace) = one.parent.as_ref().filter(|namespace| !claims.contains_key(*namespace)) {
            found.push(note(&one.key, format!("no Organization has the namespace {namespace}")));
        }
    }
    found
}

fn fault(key: &str, what: impl Into<String>) -> Finding {
    finding(Level::Fault, key, what)
}

fn note(key: &str, what: impl Into<String>) -> Finding {
    finding(Level::Note, key, what)
}

fn finding(level: Level, key: &str, what: impl Into<String>) -> Finding {
    Finding {
        level,
        key: key.to_owned(),
        what: what.into(),
    }
}
