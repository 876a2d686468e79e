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
    vec![
        name(),
        status(),
        column(
            "Role",
            "Your own relation to the object: owner, member, or the first Project that shows it to you.",
            0,
            Cell::Role,
        ),
        age(),
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

/// Columns of role templates; `scoped` for those that say where.
pub fn templates(scoped: bool) -> Vec<Column> {
    let scopes = column("Scopes", "Where the role is made.", 0, Cell::Object(scopes));
    let bind_to = column("Bind To", "Whom the role is bound to.", 0, Cell::Object(bind_to));
    let shown = [
        Some(name()),
        scoped.then_some(scopes),
        Some(bind_to),
        Some(status()),
        Some(age()),
        Some(message()),
    ];
    shown.into_iter().flatten().collect()
}

/// Columns of the roles that owners write.
pub fn roles() -> Vec<Column> {
    let subjects = column("Subjects", "Whom the role is bound to.", 1, Cell::Object(role_subjects));
    vec![name(), status(), age(), subjects, message()]
}

/// Name and age.
pub fn plain() -> Vec<Column> {
    vec![name(), age()]
}

fn name() -> Column {
    Column {
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
    }
}

fn status() -> Column {
    let description = "Summary of the conditions: Ready, NotReady, Unknown or Terminating.";
    column("Status", description, 0, Cell::Object(phase))
}

fn age() -> Column {
    Column {
        kind: "date",
        ..column("Age", "Time since the object was created.", 0, Cell::Age)
    }
}

fn message() -> Column {
    column(
        "Message",
        "What the condition Ready says.",
        1,
        Cell::Object(ready_message),
    )
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

fn role_subjects(object: &Value) -> Value {
    subjects(&object["spec"]["subjects"])
}

fn scopes(object: &Value) -> Value {
    words(&object["spec"]["scopes"])
}

fn bind_to(object: &Value) -> Value {
    words(&object["spec"]["bindTo"])
}

fn ready_message(object: &Value) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "Ready");
    ready.map_or(Value::Null, |ready| text(&ready["message"]))
}

/// `Owners,Everyone`
fn words(list: &Value) -> Value {
    let words: Vec<&str> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if words.is_empty() {
        Value::Null
    } else {
        words.join(",").into()
    }
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
