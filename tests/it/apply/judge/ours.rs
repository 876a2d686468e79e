//! Our answers, by the public parts of the field manager.

use std::collections::HashMap;

use bulward::rest::conventions::Conventions;
use bulward::rest::field_manager::compare::Comparison;
use bulward::rest::field_manager::merge::merge;
use bulward::rest::field_manager::reconcile::reconcile;
use bulward::rest::field_manager::set::Set;
use bulward::rest::field_manager::shape::{Shape, ShapeRef};
use bulward::rest::field_manager::typed::{error_text, field_set, remove, validate};
use bulward::rest::field_manager::{Configuration, FieldManager, Versions, Write};
use bulward::wire::names::GroupVersion;
use bulward::wire::schema::Schema;
use bulward::wire::status::Status;
use serde_json::{Value, json};

pub(super) const VERSION: &str = "merge.example.com/v1";
pub(super) const KIND: &str = "Thing";

/// Registered kinds.
#[derive(Default)]
pub(super) struct Kinds {
    kinds: HashMap<String, Kind>,
}

struct Kind {
    shape: Shape,
    fields: FieldManager,
}

impl Kinds {
    pub(super) fn answer(&mut self, question: &Value) -> Value {
        let name = question["type"].as_str().unwrap_or_default();
        match question["op"].as_str().unwrap() {
            "type" => {
                let schema = Schema::parse(&question["schema"]).expect("structural");
                let kind = Kind {
                    shape: Shape::of_object(&schema),
                    fields: FieldManager::new(Versions::new(&schema, Conventions::CustomResource), true),
                };
                self.kinds.insert(name.to_owned(), kind);
                json!({})
            }
            "sets" => sets(question).unwrap_or_else(|error| json!({"error": error})),
            _ => self.kinds[name]
                .answer(question)
                .unwrap_or_else(|error| json!({"error": error})),
        }
    }
}

fn sets(question: &Value) -> Result<Value, String> {
    let (left, right) = (
        Set::from_fields(&question["set"])?,
        Set::from_fields(&question["right"])?,
    );
    let paths = left.paths().into_iter();
    let paths = paths.map(|path| path.iter().map(ToString::to_string).collect::<String>());
    Ok(json!({
        "union": left.union(&right).to_fields(),
        "intersection": left.intersection(&right).to_fields(),
        "difference": left.difference(&right).to_fields(),
        "recursive": left.recursive_difference(&right).to_fields(),
        "equal": left == right,
        "paths": paths.collect::<Vec<_>>(),
    }))
}

impl Kind {
    fn valid(&self, object: &Value, duplicates: bool) -> Result<(), String> {
        let errors = validate(ShapeRef::Own(&self.shape), object, duplicates);
        if errors.is_empty() {
            Ok(())
        } else {
            Err(error_text(&errors))
        }
    }

    fn answer(&self, question: &Value) -> Result<Value, String> {
        let shape = ShapeRef::Own(&self.shape);
        let (live, object) = (&question["live"], &question["object"]);
        let set = || Set::from_fields(&question["set"]);
        match question["op"].as_str().unwrap() {
            "validate" => {
                self.valid(object, question["duplicates"] == true)?;
                Ok(json!({}))
            }
            "fields" => {
                self.valid(object, true)?;
                Ok(json!({"set": field_set(shape, object).to_fields()}))
            }
            "compare" => {
                self.valid(live, true)?;
                self.valid(object, true)?;
                let found = Comparison::of(shape, live, object)?;
                Ok(json!({
                    "removed": found.removed.to_fields(),
                    "modified": found.modified.to_fields(),
                    "added": found.added.to_fields(),
                }))
            }
            "merge" => {
                self.valid(live, true)?;
                self.valid(object, false)?;
                Ok(json!({"object": merge(shape, live, object)?}))
            }
            "remove" => {
                let set = set()?;
                self.valid(object, true)?;
                Ok(json!({"object": remove(shape, object, &set)}))
            }
            "reconcile" => {
                let set = set()?;
                self.valid(object, true)?;
                Ok(json!({"set": reconcile(shape, &set).to_fields()}))
            }
            "named" => {
                let set = set()?;
                self.valid(object, true)?;
                Ok(json!({"set": set.with_named_fields(Some(shape)).to_fields()}))
            }
            "update" => Ok(self.update(question)),
            "apply" => Ok(self.apply(question)),
            other => panic!("no question is called {other:?}"),
        }
    }

    fn update(&self, question: &Value) -> Value {
        let version: GroupVersion = group_version();
        let mut new = question["object"].clone();
        // an object without a uid is none yet
        let exists = question["live"]["metadata"].get("uid").is_some();
        let live = if exists { &question["live"] } else { &Value::Null };
        self.fields.update(live, &mut new, &write(question, &version));
        json!({"object": new})
    }

    fn apply(&self, question: &Value) -> Value {
        let version = group_version();
        let config = Configuration {
            object: &question["object"],
            force: question["force"] == true,
        };
        match self
            .fields
            .apply(&question["live"], &config, &write(question, &version), &|_| {})
        {
            Ok(object) => json!({"object": object}),
            Err(status) => refused(&status),
        }
    }
}

fn group_version() -> GroupVersion {
    GroupVersion::new("merge.example.com", "v1")
}

fn write<'a>(question: &'a Value, version: &'a GroupVersion) -> Write<'a> {
    Write {
        manager: question["manager"].as_str().unwrap(),
        group_version: version,
        kind: KIND,
        status: question["status"] == true,
    }
}

fn refused(status: &Status) -> Value {
    let mut answer = json!({"error": status.message});
    if !status.reason.is_empty() {
        answer["code"] = json!(status.code);
    }
    let causes = status.details.as_ref().map(|details| &details.causes);
    let causes = causes.into_iter().flatten();
    let causes: Vec<Value> = causes
        .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
        .collect();
    if !causes.is_empty() {
        answer["causes"] = json!(causes);
    }
    answer
}
