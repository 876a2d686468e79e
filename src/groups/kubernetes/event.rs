//! Event: one stored kind that the core group and `events.k8s.io` serve, each in its own words
//! (k8s.io/api core/v1 and events/v1 types.go, k8s.io/kubernetes pkg/apis/events/v1/conversion.go).

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{age_column, column, name_column, object, text};
use crate::rest::resource::{Cell, Conventions, Conversion, Edge, Kind, Strategy, Version};
use crate::wire::meta;
use crate::wire::validation::FieldError;

/// The newer group of the two.
pub const GROUP: &str = "events.k8s.io";

/// What the core group and the newer one call the same.
const NAMES: [(&str, &str); 7] = [
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("involvedObject", "regarding"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
];

/// The descriptor; stored is the core group's form.
pub fn kind() -> Kind {
    let name = name_column();
    let columns = vec![
        name,
        column(
            "Type",
            "Normal or Warning.",
            0,
            Cell::Object(|event| event["type"].clone()),
        ),
        column(
            "Reason",
            "Why, in one word.",
            0,
            Cell::Object(|event| event["reason"].clone()),
        ),
        column("Object", "What the event is about.", 0, Cell::Object(about)),
        column(
            "Message",
            "What happened.",
            0,
            Cell::Object(|event| event["message"].clone()),
        ),
        age_column(),
    ];
    Kind {
        kind: "Event".to_owned(),
        singular: "event".to_owned(),
        plural: "events".to_owned(),
        description:
            "Event is a report of an event somewhere in the cluster. Events should be treated as informative, \
                      best-effort, supplemental data."
                .to_owned(),
        namespaced: true,
        schema: schema(|(core, _)| core, "involvedObject"),
        strategy: Arc::new(Rules {
            about: "involvedObject",
        }),
        selectable_fields: [
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "type",
        ]
        .map(str::to_owned)
        .to_vec(),
        columns,
        edge: Edge::Unrestricted,
        conventions: Conventions::Typed,
    }
}

/// The same in the newer group's words.
pub fn version() -> Version {
    Version {
        schema: schema(|(_, newer)| newer, "regarding"),
        strategy: Arc::new(Rules { about: "regarding" }),
        conversion: Arc::new(Names),
    }
}

fn about(event: &Value) -> Value {
    let text = |name: &str| event["involvedObject"][name].as_str().unwrap_or_default();
    format!("{}/{}", text("kind").to_lowercase(), text("name")).into()
}

fn schema(named: fn((&'static str, &'static str)) -> &'static str, about: &str) -> Value {
    let time = |description: &str| json!({"type": "string", "format": "date-time", "description": description});
    let number = |description: &str| json!({"type": "integer", "format": "int32", "description": description});
    let reference = |description: &str| {
        object(
            description,
            &[],
            &json!({
                "apiVersion": text("API version of the object."),
                "fieldPath": text("A part of the object."),
                "kind": text("Kind of the object."),
                "name": text("Name of the object."),
                "namespace": text("Namespace of the object."),
                "resourceVersion": text("The resourceVersion of the object that the event is about."),
                "uid": text("UID of the object."),
            }),
        )
    };
    let series = object(
        "What is known of events like this one that came after it.",
        &[],
        &json!({
            "count": number("How many there were up to the last time."),
            "lastObservedTime": time("When the last one was seen."),
        }),
    );
    let source = object(
        "Who reports the event; see reportingController.",
        &[],
        &json!({"component": text("The component."), "host": text("The node.")}),
    );
    let mut properties = json!({
        "action": text("What was done, or failed to be done, to the object."),
        "eventTime": time("When the event was first seen."),
        "reason": text("Why, in one word."),
        "related": reference("Another object that the event is about."),
        "reportingInstance": text("The instance of the controller that reports the event."),
        "series": series,
        "type": text("Normal or Warning."),
    });
    for names in NAMES {
        properties[named(names)] = match names.0 {
            "count" => number("How often the event occurred."),
            "firstTimestamp" => time("When the event was first seen."),
            "involvedObject" => reference("What the event is about."),
            "lastTimestamp" => time("When the event was last seen."),
            "message" => text("What happened, in a sentence."),
            "reportingComponent" => text("The name of the controller that reports the event."),
            _ => source.clone(),
        };
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if about == "involvedObject" {
        schema["required"] = json!([about]);
    }
    schema
}

struct Rules {
    /// What the version calls the object that the event is about.
    about: &'static str,
}

impl Strategy for Rules {
    fn allows_unconditional_update(&self) -> bool {
        true
    }

    /// Events of objects without a namespace live in `default`; what newer clients say of others is believed
    /// (pkg/apis/core/validation/events.go legacyValidateEvent).
    fn validate(&self, event: &Value) -> Vec<FieldError> {
        let namespace = event[self.about]["namespace"].as_str().unwrap_or_default();
        let own = meta::namespace(event);
        let newer = event["eventTime"].is_string();
        let fits = match namespace {
            "" => own == "default" || newer && own == "kube-system",
            namespace => newer || namespace == own,
        };
        if fits {
            return Vec::new();
        }
        let field = format!("{}.namespace", self.about);
        vec![FieldError::invalid(field, namespace, "does not match event.namespace")]
    }
}

struct Names;

impl Conversion for Names {
    fn to_stored(&self, object: &mut Value) {
        rename(object, |(core, newer)| (newer, core));
    }

    fn to_served(&self, object: &mut Value) {
        rename(object, |(core, newer)| (core, newer));
    }
}

fn rename(object: &mut Value, way: fn((&'static str, &'static str)) -> (&'static str, &'static str)) {
    let Value::Object(members) = object else { return };
    let mut renamed = Map::new();
    for names in NAMES {
        let (from, to) = way(names);
        if let Some(value) = members.remove(from) {
            renamed.insert(to.to_owned(), value);
        }
    }
    members.extend(renamed);
}
