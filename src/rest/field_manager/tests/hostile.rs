//! What is large or nasty is answered all the same: each of these would take hours, or all memory, if anything were
//! compared with everything, or a long name were repeated for each of the many things below it.

use serde_json::{Map, Value, json};

use super::{Managed, Toy};

const MANY: usize = 10_000;

fn ports(name: &str) -> Value {
    (0..MANY).map(|port| json!({"port": port, "name": name})).collect()
}

#[test]
fn long_lists_are_merged_and_compared() {
    let mut toy = Toy::new();
    toy.apply("a", json!({"ports": ports("x")}));
    let mut reversed = ports("x");
    reversed.as_array_mut().expect("a list").reverse();
    toy.apply("b", json!({"ports": reversed}));
    assert_eq!(toy.object["spec"]["ports"], reversed);
    toy.update("c", json!({"ports": ports("y")}));
    let refused = toy.try_apply("a", json!({"ports": ports("z")}), false);
    let message = refused.expect_err("conflicts").message;
    assert!(
        message.starts_with(&format!("Apply failed with {MANY} conflicts: ")),
        "{}",
        message.len()
    );
    toy.apply("a", json!({}));
    toy.apply("b", json!({}));
    // the items go with the last one who applied them; that the updater owns a name below keeps none, as in Go
    assert!(toy.object.pointer("/spec/ports/0").is_none());
}

#[test]
fn many_duplicates_are_told_within_bounds() {
    let mut toy = Toy::new();
    let same: Value = (0..MANY * 5).map(|_| json!("x")).collect();
    let refused = toy.try_apply("a", json!({"set": same}), false).expect_err("duplicates");
    assert!(refused.message.len() < 100_000, "{}", refused.message.len());
    toy.update("c", json!({"set": same}));
    toy.try_apply("a", json!({"set": ["x"]}), true)
        .expect("force never conflicts");
    assert_eq!(toy.object["spec"]["set"], json!(["x"]));
}

#[test]
fn a_long_name_above_many_fields_is_not_repeated() {
    let mut toy = Toy::new();
    let name = "n".repeat(1_000_000);
    let inner = |value: &str| -> Value {
        (0..MANY * 4)
            .map(|at| (at.to_string(), json!(value)))
            .collect::<Map<_, _>>()
            .into()
    };
    let spec = |value: &str| json!({"free": {name.as_str(): inner(value)}});
    toy.apply("a", spec("x"));
    toy.update("c", spec("y"));
    let refused = toy.try_apply("a", spec("z"), false).expect_err("conflicts");
    assert!(
        refused
            .message
            .starts_with(&format!("Apply failed with {} conflicts: ", MANY * 4))
    );
    assert!(refused.message.len() < 3_000_000, "{}", refused.message.len());
    let wrong: Map<String, Value> = (0..MANY).map(|at| (at.to_string(), json!(at))).collect();
    let labels = json!({"labels": {"x": 1}, "atomicMap": wrong, "nested": {name.as_str(): 1}});
    let refused = toy.try_apply("a", labels, false).expect_err("no texts");
    assert!(refused.message.len() < 3_000_000, "{}", refused.message.len());
    toy.apply("a", json!({}));
}

#[test]
fn a_client_may_give_a_record_of_any_size() {
    let mut toy = Toy::new();
    toy.update("c", json!({"n": 1}));
    let entries = (0..MANY).map(|at| {
        json!({"manager": format!("m{at}"), "operation": "Update", "apiVersion": "toys.example.com/v1",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:labels": {format!("f:{at}"): {}}}}})
    });
    let mut new = toy.full(&json!({"n": 2}));
    new["metadata"]["managedFields"] = entries.collect();
    toy.fields.update(&toy.object, &mut new, &toy.write("d", false));
    let managed = Managed::decode(&new).expect("valid");
    assert_eq!(managed.iter().count(), 10, "the others are ancient changes");
    toy.object = new;
    toy.apply("a", json!({"s": "x"}));
}

#[test]
fn deep_values_are_walked() {
    let mut toy = Toy::new();
    // as deep as a body may be
    let deep = (0..100).fold(json!({"leaf": 1}), |inner, _| json!({"k": inner}));
    toy.apply("a", json!({"free": deep}));
    toy.update("c", json!({"free": {"k": 1}}));
    toy.apply("a", json!({"s": "x"}));
}
