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
            "Name must be unique among all objects of the kind in the namespace or cluster.",
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
        column("Age", "Time since the object was created.", 0, Cell::Age),
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

fn text(value: &Value) -> Value {
    json!(value.as_str().unwrap_or_default())
}

/// `alice,group:devs,serviceaccount:ns/name`
fn subjects(list: &Value) -> Value {
    let subjects = list.as_array().into_iter().flatten().map(|subject| {
        let field = |name: &str| subject[name].as_str().unwrap_or_default();
        match field("kind") {
            "User" => field("name").to_owned(),
            "ServiceAccount" => format!("serviceaccount:{}/{}", field("namespace"), field("name")),
            kind => format!("{}:{}", kind.to_lowercase(), field("name")),
        }
    });
    json!(subjects.collect::<Vec<_>>().join(","))
}
