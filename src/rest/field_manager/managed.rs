//! `metadata.managedFields`: who owns what (k8s.io/apimachinery pkg/util/managedfields/internal/managedfields.go).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::set::Set;
use crate::wire::json as go_json;
use crate::wire::meta;
use crate::wire::quote::go_quote;

/// Who wrote, and how. Entries that agree in it are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The name of the manager.
    pub name: String,
    /// Whether by server-side apply.
    pub applied: bool,
    /// Group and version that were written through; empty for appliers, which keep their entry whatever the version.
    pub api_version: String,
    /// The subresource; empty for the object itself.
    pub subresource: String,
}

/// What a writer owns.
#[derive(Clone, Debug, PartialEq)]
pub struct Owned {
    /// Who.
    pub writer: Writer,
    /// Group and version of the last write.
    pub api_version: String,
    /// When something was written last.
    pub time: Option<String>,
    /// The fields.
    pub fields: Set,
}

/// All entries, by the text that Go makes of their writers: the order of messages and of ties.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Managed {
    entries: BTreeMap<String, Owned>,
}

impl Writer {
    /// The JSON by which Go tells writers apart.
    pub fn identifier(&self) -> String {
        let mut text = String::from("{");
        let operation = if self.applied { "Apply" } else { "Update" };
        let members = [
            ("manager", self.name.as_str()),
            ("operation", operation),
            ("apiVersion", if self.applied { "" } else { &self.api_version }),
            ("subresource", &self.subresource),
        ];
        for (name, value) in members.into_iter().filter(|(_, value)| !value.is_empty()) {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&format!(
                "\"{name}\":{}",
                String::from_utf8_lossy(&go_json::to_vec(value))
            ));
        }
        text.push('}');
        text
    }

    /// For the message about a conflict: `"m" with subresource "status" using g/v`.
    pub fn describe(&self) -> String {
        let mut text = go_quote(&self.name);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {}", go_quote(&self.subresource)));
        }
        if !self.applied {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

impl Managed {
    /// The entries of an object.
    ///
    /// # Errors
    /// What is malformed.
    pub fn decode(object: &Value) -> Result<Self, String> {
        let mut managed = Self::default();
        let list = meta::metadata(object).get("managedFields").and_then(Value::as_array);
        for (at, entry) in list.into_iter().flatten().enumerate() {
            let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let applied = match text("operation").as_str() {
                "Apply" => true,
                "Update" => false,
                _ => return Err("operation must be `Apply` or `Update`".to_owned()),
            };
            let api_version = text("apiVersion");
            if api_version.is_empty() {
                return Err("apiVersion must not be empty".to_owned());
            }
            match text("fieldsType").as_str() {
                "FieldsV1" => {}
                "" => return Err(format!("missing fieldsType in managed fields entry {at}")),
                other => {
                    return Err(format!(
                        "invalid fieldsType {} in managed fields entry {at}",
                        go_quote(other)
                    ));
                }
            }
            let fields = entry.get("fieldsV1").unwrap_or(&Value::Null);
            let fields = Set::from_fields(fields).map_err(|why| format!("error decoding set: {why}"))?;
            let writer = Writer {
                name: text("manager"),
                applied,
                api_version: if applied { String::new() } else { api_version.clone() },
                subresource: text("subresource"),
            };
            let time = Some(text("time")).filter(|time| !time.is_empty());
            managed.insert(Owned {
                writer,
                api_version,
                time,
                fields,
            });
        }
        Ok(managed)
    }

    /// Writes the entries into an object: appliers before updaters, older before newer.
    pub fn encode(&self, object: &mut Value) {
        let mut entries: Vec<&Owned> = self.entries.values().collect();
        entries.sort_by(|a, b| {
            let order = |owned: &Owned| (!owned.writer.applied, seconds(owned));
            let ties = |owned: &Owned| {
                (
                    owned.writer.name.clone(),
                    owned.api_version.clone(),
                    owned.writer.subresource.clone(),
                )
            };
            order(a).cmp(&order(b)).then_with(|| ties(a).cmp(&ties(b)))
        });
        let entries: Vec<Value> = entries.into_iter().map(entry).collect();
        meta::set(object, "managedFields", entries);
    }

    /// Whether nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of a writer.
    pub fn get(&self, writer: &Writer) -> Option<&Owned> {
        self.entries.get(&writer.identifier())
    }

    /// Adds or replaces an entry.
    pub fn insert(&mut self, owned: Owned) {
        self.entries.insert(owned.writer.identifier(), owned);
    }

    /// Removes an entry.
    pub fn remove(&mut self, writer: &Writer) -> Option<Owned> {
        self.entries.remove(&writer.identifier())
    }

    /// The entries in the order of their writers.
    pub fn iter(&self) -> impl Iterator<Item = &Owned> {
        self.entries.values()
    }

    /// Changes the fields of entries; those that own nothing then go.
    pub fn edit(&mut self, mut edit: impl FnMut(&Owned) -> Option<Set>) {
        self.entries.retain(|_, owned| {
            if let Some(fields) = edit(owned) {
                owned.fields = fields;
            }
            !owned.fields.is_empty()
        });
    }

    /// Everything that anybody owns.
    pub fn all_fields(&self) -> Set {
        let mut all = Set::default();
        self.iter().for_each(|owned| all.extend(&owned.fields));
        all
    }

    /// Merges the oldest updaters of each version into one entry, `ancient-changes`, until there are at most `limit`
    /// updaters (capmanagers.go).
    pub fn cap_updaters(&mut self, limit: usize) {
        let mut updaters: Vec<String> = self
            .entries
            .iter()
            .filter(|(_, owned)| !owned.writer.applied)
            .map(|(identifier, _)| identifier.clone())
            .collect();
        let mut count = updaters.len();
        updaters.sort_by_key(|identifier| self.entries.get(identifier).and_then(seconds));
        let mut firsts: BTreeMap<String, String> = BTreeMap::new();
        for identifier in updaters {
            if count <= limit {
                return;
            }
            let Some(api_version) = self.entries.get(&identifier).map(|owned| owned.api_version.clone()) else {
                continue;
            };
            let Some(first) = firsts.get(&api_version) else {
                firsts.insert(api_version, identifier);
                continue;
            };
            let writer = Writer {
                name: "ancient-changes".to_owned(),
                applied: false,
                api_version: api_version.clone(),
                subresource: String::new(),
            };
            count -= 1;
            let Some(owned) = self.entries.remove(&identifier) else {
                continue;
            };
            // As in Go, a bucket that was there and is not the oldest of its version is forgotten.
            if identifier == writer.identifier() {
                continue;
            }
            let bucket = self.remove(&writer).or_else(|| self.entries.remove(first));
            let mut fields = bucket.map(|bucket| bucket.fields).unwrap_or_default();
            fields.extend(&owned.fields);
            self.insert(Owned {
                writer,
                api_version,
                time: owned.time,
                fields,
            });
        }
    }
}

/// Whether a request asks for the entries to be forgotten: an empty list, or one empty entry.
pub fn asks_for_reset(object: &Value) -> bool {
    match meta::metadata(object).get("managedFields").and_then(Value::as_array) {
        Some(list) => match list.as_slice() {
            [] => true,
            [only] => only.as_object().is_some_and(Map::is_empty),
            _ => false,
        },
        None => false,
    }
}

/// Seconds since 1970; those without a time come first.
fn seconds(owned: &Owned) -> Option<i64> {
    let time = meta::parse_time(owned.time.as_deref()?)?;
    Some(time.as_second())
}

fn entry(owned: &Owned) -> Value {
    let mut entry = json!({
        "apiVersion": owned.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": owned.fields.to_fields(),
        "manager": owned.writer.name,
        "operation": if owned.writer.applied { "Apply" } else { "Update" },
    });
    if let Some(time) = &owned.time {
        entry["time"] = time.clone().into();
    }
    if !owned.writer.subresource.is_empty() {
        entry["subresource"] = owned.writer.subresource.clone().into();
    }
    entry
}
