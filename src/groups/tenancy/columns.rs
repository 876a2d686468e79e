//! What `kubectl get` shows.

use serde_json::{Value, json};

use crate::rest::resource::{Cell, Column};

/// Columns of Organizations.
pub fn organization() -> Vec<Column> {
    let display_name = column(
        "Display Name",
        "The name to show to people.",
        0,
        Cell::Object(display_name),
    );
    let mut columns = project();
    columns.insert(1, display_name);
    columns
}

/// Columns of Projects.
pub fn project() -> Vec<Column> {
    let name = Column {
        format: "name",
        ..column(
            "Name",
            // Kubernetes' own words, as for every CustomResource
            "Name must be unique within a namespace. Is required when creating resources, although some resources may \
             allow a client to request the generation of an appropriate name automatically. Name is primarily intended \
             for creation idempotence and configuration definition. Cannot be updated. More info: \
             https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names",
            0,
            Cell::Name,
        )
    };
    vec![
        name,
        column(
            "Status",
            "Summary of the conditions: Ready, NotReady, Unknown or Terminating.",
            0,
            Cell::Object(phase),
        ),
        column(
            "Role",
            "Your own relation to the object: owner, member, or the first Project that shows it to you.",
            0,
            Cell::Role,
        ),
        Column {
            kind: "date",
            ..column("Age", "Time since the object was created.", 0, Cell::Age)
        },
        column(
            "Namespace",
            "The namespace that belongs to the object.",
            1,
            Cell::Object(namespace),
        ),
        column("Owners", "Subjects that own the object.", 1, Cell::Object(owners)),
        column(
            "Members",
            "Subjects that see the object beside its owners.",
            1,
            Cell::Object(members),
        ),
    ]
}

fn column(name: &str, description: &str, priority: i32, cell: Cell) -> Column {
    Column {
        name: name.to_owned(),
        kind: "string",
        format: "",
        description: description.to_owned(),
        priority,
        cell,
    }
}

fn display_name(object: &Value) -> Value {
    text(&object["spec"]["metadata"]["displayName"])
}

fn phase(object: &Value) -> Value {
    text(&object["status"]["phase"])
}

fn namespace(object: &Value) -> Value {
    text(&object["status"]["namespace"]["name"])
}

fn owners(object: &Value) -> Value {
    subjects(&object["spec"]["owners"])
}

fn members(object: &Value) -> Value {
    subjects(&object["status"]["members"])
}

/// Nothing where there is nothing, as in the columns of a CustomResource.
fn text(value: &Value) -> Value {
    value.as_str().map_or(Value::Null, Value::from)
}

/// `alice,group:devs,serviceaccount:ns/name`
fn subjects(list: &Value) -> Value {
    let Some(list) = list.as_array().filter(|list| !list.is_empty()) else {
        return Value::Null;
    };
    let subjects = list.iter().map(|subject| {
        let field = |name: &str| subject[name].as_str().unwrap_or_default();
        match field("kind") {
            "User" => field("name").to_owned(),
            "ServiceAccount" => format!("serviceaccount:{}/{}", field("namespace"), field("name")),
            kind => format!("{}:{}", kind.to_lowercase(), field("name")),
        }
    });
    json!(subjects.collect::<Vec<_>>().join(","))
}
