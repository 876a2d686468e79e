mod hostile;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::rest::conventions::Conventions;
use crate::wire::schema::Schema;

/// A kind with every structure that a schema can describe.
fn schema() -> Value {
    json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "n": {"type": "integer"},
            "s": {"type": "string"},
            "nested": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "atomicMap": {"type": "object", "additionalProperties": {"type": "string"}, "x-kubernetes-map-type": "atomic"},
            "list": {"type": "array", "items": {"type": "string"}},
            "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "ports": {"type": "array", "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {"type": "object", "required": ["port"], "properties": {
                    "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"},
                    "name": {"type": "string"}}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "port": {"x-kubernetes-int-or-string": true},
        }},
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
    }})
}

struct Toy {
    fields: FieldManager,
    version: GroupVersion,
    object: Value,
}

impl Toy {
    fn new() -> Self {
        let schema = Schema::parse(&schema()).expect("structural");
        let version = GroupVersion::new("toys.example.com", "v1");
        let object = json!({"apiVersion": version.to_string(), "kind": "Toy"});
        Self {
            fields: FieldManager::new(Versions::new(&schema, Conventions::CustomResource), true),
            version,
            object,
        }
    }

    fn write<'a>(&'a self, manager: &'a str, status: bool) -> Write<'a> {
        Write {
            manager,
            group_version: &self.version,
            kind: "Toy",
            status,
        }
    }

    fn full(&self, spec: &Value) -> Value {
        json!({"apiVersion": self.version.to_string(), "kind": "Toy", "metadata": {"name": "t"}, "spec": spec})
    }

    fn try_apply(&mut self, manager: &str, spec: Value, force: bool) -> Result<(), Status> {
        let object = self.full(&spec);
        let config = Configuration { object: &object, force };
        let new = self
            .fields
            .apply(&self.object, &config, &self.write(manager, false), &|_| {})?;
        self.object = new;
        Ok(())
    }

    fn apply(&mut self, manager: &str, spec: Value) {
        self.try_apply(manager, spec, false).expect("no conflict");
    }

    fn update(&mut self, manager: &str, spec: Value) {
        let mut new = self.full(&spec);
        let live = if self.object.get("spec").is_some() {
            self.object.clone()
        } else {
            Value::Null
        };
        self.fields.update(&live, &mut new, &self.write(manager, false));
        self.object = new;
    }

    fn owned(&self, manager: &str) -> Value {
        let managed = Managed::decode(&self.object).expect("valid");
        let owned = managed.iter().find(|owned| owned.writer.name == manager);
        owned.map_or(Value::Null, |owned| owned.fields.to_fields())
    }

    fn conflicts(&mut self, manager: &str, spec: Value) -> Vec<String> {
        let status = self.try_apply(manager, spec, false).expect_err("a conflict");
        assert_eq!((status.code, &*status.reason), (409, "Conflict"));
        let details = status.details.expect("details");
        details.causes.into_iter().map(|cause| cause.field).collect()
    }
}

#[test]
fn applying_owns_leaves_and_dropping_removes() {
    let mut toy = Toy::new();
    toy.apply("a", json!({"n": 1, "s": "x", "nested": {"a": "1"}}));
    assert_eq!(
        toy.owned("a"),
        json!({"f:spec": {"f:n": {}, "f:s": {}, "f:nested": {"f:a": {}}}})
    );
    toy.apply("a", json!({"n": 2, "nested": {"b": "2"}}));
    assert_eq!(toy.object["spec"], json!({"n": 2, "nested": {"b": "2"}}));
    toy.apply("a", json!({}));
    // an object that loses its last field is null, as in Go; the store drops nulls that the schema forbids
    assert_eq!(toy.object["spec"], Value::Null);
    assert_eq!(toy.owned("a"), json!({"f:spec": {}}));
}

#[test]
fn an_update_takes_what_it_changes() {
    let mut toy = Toy::new();
    toy.apply("a", json!({"n": 1, "s": "x"}));
    toy.update("c", json!({"n": 1, "s": "y", "port": "http"}));
    assert_eq!(toy.owned("a"), json!({"f:spec": {"f:n": {}}}));
    assert_eq!(toy.owned("c"), json!({"f:spec": {"f:port": {}, "f:s": {}}}));
    assert_eq!(toy.conflicts("a", json!({"n": 2, "s": "z"})), [".spec.s"]);
    toy.try_apply("a", json!({"n": 2, "s": "z"}), true)
        .expect("force never conflicts");
    assert_eq!(toy.object["spec"], json!({"n": 2, "s": "z", "port": "http"}));
    assert_eq!(toy.owned("c"), json!({"f:spec": {"f:port": {}}}));
}

#[test]
fn shared_fields_stay_until_the_last_owner_drops_them() {
    let mut toy = Toy::new();
    toy.apply("a", json!({"s": "x", "set": ["one", "two"]}));
    toy.apply("b", json!({"s": "x", "set": ["two", "three"]}));
    assert_eq!(toy.object["spec"]["set"], json!(["one", "two", "three"]));
    assert_eq!(toy.conflicts("b", json!({"s": "y"})), [".spec.s"]);
    toy.apply("a", json!({"n": 1}));
    assert_eq!(toy.object["spec"], json!({"n": 1, "s": "x", "set": ["two", "three"]}));
    toy.apply("b", json!({"n": 1}));
    assert_eq!(toy.object["spec"], json!({"n": 1}));
}

#[test]
fn items_are_told_apart_by_keys_with_defaults() {
    let mut toy = Toy::new();
    toy.apply("a", json!({"ports": [{"port": 80, "name": "web"}]}));
    toy.apply(
        "b",
        json!({"ports": [{"port": 80, "protocol": "UDP", "name": "dns"}, {"port": 443}]}),
    );
    let ports = json!([{"port": 80, "name": "web"}, {"port": 80, "protocol": "UDP", "name": "dns"}, {"port": 443}]);
    assert_eq!(toy.object["spec"]["ports"], ports);
    assert_eq!(
        toy.owned("a"),
        json!({"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}}}}})
    );
    assert_eq!(
        toy.conflicts("b", json!({"ports": [{"port": 80, "name": "other"}]})),
        [".spec.ports[port=80,protocol=\"TCP\"].name"]
    );
    toy.apply("a", json!({}));
    assert_eq!(
        toy.object["spec"]["ports"],
        json!([{"port": 80, "protocol": "UDP", "name": "dns"}, {"port": 443}])
    );
}

#[test]
fn atomic_parts_are_owned_as_a_whole() {
    let mut toy = Toy::new();
    toy.apply("a", json!({"list": ["x", "y"], "atomicMap": {"k": "v"}}));
    assert_eq!(toy.owned("a"), json!({"f:spec": {"f:atomicMap": {}, "f:list": {}}}));
    assert_eq!(
        toy.conflicts("b", json!({"list": ["x"], "atomicMap": {"l": "w"}})),
        [".spec.atomicMap", ".spec.list"]
    );
    toy.try_apply("b", json!({"list": ["x"]}), true)
        .expect("force never conflicts");
    assert_eq!(toy.object["spec"], json!({"list": ["x"], "atomicMap": {"k": "v"}}));
}

#[test]
fn what_has_no_schema_is_deduced() {
    let mut toy = Toy::new();
    toy.apply("a", json!({"free": {"x": {"y": 1}, "l": [1, 2]}}));
    assert_eq!(
        toy.owned("a"),
        json!({"f:spec": {"f:free": {"f:l": {}, "f:x": {".": {}, "f:y": {}}}}})
    );
    toy.apply("b", json!({"free": {"x": {"z": {"w": 2}}}}));
    toy.apply("a", json!({}));
    assert_eq!(toy.object["spec"], json!({"free": {"x": {"z": {"w": 2}}}}));
}

#[test]
fn empty_and_null_are_kept_apart() {
    let mut toy = Toy::new();
    toy.apply("a", json!({"labels": {}, "nested": null}));
    assert_eq!(toy.owned("a"), json!({"f:spec": {"f:labels": {}, "f:nested": {}}}));
    assert_eq!(toy.object["spec"], json!({"labels": {}, "nested": null}));
    toy.apply("b", json!({"labels": {"k": "v"}}));
    assert_eq!(toy.object["spec"]["labels"], json!({"k": "v"}));
}

#[test]
fn conflicts_read_as_kubernetes_has_them() {
    let mut toy = Toy::new();
    toy.update("c", json!({"n": 1, "s": "x"}));
    let mut refuse = |manager: &str, spec| toy.try_apply(manager, spec, false).expect_err("a conflict");
    assert_eq!(
        refuse("a", json!({"n": 2})).message,
        "Apply failed with 1 conflict: conflict with \"c\" using toys.example.com/v1: .spec.n"
    );
    let both = refuse("a", json!({"n": 2, "s": "y"}));
    assert_eq!(
        both.message,
        "Apply failed with 2 conflicts: conflicts with \"c\" using toys.example.com/v1:\n- .spec.n\n- .spec.s"
    );
    let causes = both.details.expect("details").causes;
    assert_eq!(causes[1].reason, "FieldManagerConflict");
    assert_eq!(causes[1].message, "conflict with \"c\" using toys.example.com/v1");
    toy.apply("b", json!({"s": "x"}));
    let mut refuse = |manager: &str, spec| toy.try_apply(manager, spec, false).expect_err("a conflict");
    assert_eq!(
        refuse("a", json!({"s": "y"})).message,
        "Apply failed with 2 conflicts: conflicts with \"b\":\n- .spec.s\nconflicts with \"c\" using \
         toys.example.com/v1:\n- .spec.s"
    );
}

#[test]
fn configurations_must_fit_the_schema() {
    let mut toy = Toy::new();
    let mut refuse = |spec| {
        let status = toy.try_apply("a", spec, true).expect_err("no such field");
        assert_eq!((status.code, &*status.reason), (500, ""));
        let opening = "failed to create typed patch object (/t; toys.example.com/v1, Kind=Toy): ";
        status.message.strip_prefix(opening).expect("the opening").to_owned()
    };
    assert_eq!(refuse(json!({"bogus": 1})), ".spec.bogus: field not declared in schema");
    assert_eq!(
        refuse(json!({"n": "x"})),
        ".spec.n: expected numeric (int or float), got string"
    );
    assert_eq!(
        refuse(json!({"s": 1})),
        ".spec.s: expected string, got &value.valueUnstructured{Value:1}"
    );
    assert_eq!(
        refuse(json!({"set": ["a", "a"]})),
        ".spec.set: duplicate entries for key [=\"a\"]"
    );
    assert_eq!(
        refuse(json!({"list": {"a": 1}})),
        ".spec.list: expected list, got &{map[a:1]}"
    );
}

#[test]
fn untracked_objects_are_tracked_from_the_first_apply_on() {
    let mut toy = Toy::new();
    toy.object = toy.full(&json!({"n": 1, "s": "x"}));
    toy.update("c", json!({"n": 2, "s": "x"}));
    assert_eq!(toy.object["metadata"].get("managedFields"), None);
    toy.apply("a", json!({"n": 2}));
    assert_eq!(
        toy.owned("before-first-apply"),
        json!({"f:spec": {".": {}, "f:n": {}, "f:s": {}}})
    );
    assert_eq!(toy.owned("a"), json!({"f:spec": {"f:n": {}}}));
}

#[test]
fn kubectl_takes_over_what_it_applied_by_itself() {
    let mut toy = Toy::new();
    let applied = toy.full(&json!({"n": 1, "s": "x"})).to_string();
    let mut object = toy.full(&json!({"n": 1, "s": "x"}));
    object["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": applied});
    toy.fields.update(
        &Value::Null,
        &mut object,
        &toy.write("kubectl-client-side-apply", false),
    );
    toy.object = object;
    assert_eq!(toy.conflicts("someone", json!({"n": 2})), [".spec.n"]);
    toy.apply("kubectl", json!({"n": 2, "s": "x"}));
    let annotation = meta::annotation(&toy.object, "kubectl.kubernetes.io/last-applied-configuration");
    let annotation: Value = serde_json::from_str(annotation.expect("kept")).expect("JSON");
    assert_eq!(annotation["spec"], json!({"n": 2, "s": "x"}));
}

#[test]
fn at_most_ten_updaters_are_remembered() {
    let mut toy = Toy::new();
    for number in 0..14 {
        let labels: serde_json::Map<_, _> = (0..=number).map(|n| (format!("l{n:02}"), json!("v"))).collect();
        toy.update(&format!("m{number:02}"), json!({"labels": labels}));
    }
    let managed = Managed::decode(&toy.object).expect("valid");
    assert_eq!(managed.iter().count(), 10);
    let ancient = toy.owned("ancient-changes");
    assert!(ancient["f:spec"]["f:labels"].get("f:l00").is_some(), "{ancient}");
}

#[test]
fn status_has_its_own_entries() {
    let mut toy = Toy::new();
    toy.apply("a", json!({"n": 1}));
    let mut new = toy.full(&json!({"n": 5}));
    new["status"] = json!({"phase": "Ready"});
    toy.fields.update(&toy.object, &mut new, &toy.write("c", true));
    let entries = new["metadata"]["managedFields"].as_array().expect("entries").clone();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1]["subresource"], "status");
    assert_eq!(entries[1]["fieldsV1"], json!({"f:status": {".": {}, "f:phase": {}}}));
    assert_eq!(entries[0]["fieldsV1"], json!({"f:spec": {"f:n": {}}}));
}

#[test]
fn records_can_be_reset_but_not_broken() {
    let mut toy = Toy::new();
    toy.update("c", json!({"n": 1}));
    for (given, manager) in [(json!([{}]), None), (json!([{"operation": "Nope"}]), Some("c"))] {
        let mut new = toy.full(&json!({"n": 1}));
        new["metadata"]["managedFields"] = given;
        toy.fields.update(&toy.object, &mut new, &toy.write("d", false));
        let entries = Managed::decode(&new).expect("valid");
        assert_eq!(entries.iter().next().map(|owned| owned.writer.name.as_str()), manager);
    }
}

fn spec() -> impl Strategy<Value = Value> {
    let text = || prop::sample::select(vec!["x", "y", "z"]).prop_map(Value::from);
    let number = || (0..3i64).prop_map(Value::from);
    let texts = || prop::collection::btree_set(prop::sample::select(vec!["p", "q", "r"]), 1..3);
    let port = (
        0..3i64,
        prop::option::of(prop::sample::select(vec!["TCP", "UDP"])),
        prop::option::of(text()),
    );
    let field = prop_oneof![
        number().prop_map(|value| ("n", value)),
        text().prop_map(|value| ("s", value)),
        (text(), prop::option::of(text())).prop_map(|(a, b)| ("nested", present(&[("a", Some(a)), ("b", b)]))),
        texts().prop_map(|names| ("set", json!(names))),
        texts().prop_map(|names| ("list", json!(names))),
        texts().prop_map(|names| (
            "labels",
            names.into_iter().map(|name| (name.to_owned(), json!("v"))).collect()
        )),
        texts().prop_map(|names| (
            "atomicMap",
            names.into_iter().map(|name| (name.to_owned(), json!("v"))).collect()
        )),
        prop::collection::vec(port, 1..3).prop_map(|ports| {
            let mut seen = std::collections::BTreeSet::new();
            let ports = ports
                .into_iter()
                .filter(|(port, protocol, _)| seen.insert((*port, protocol.unwrap_or("TCP"))));
            let ports = ports.map(|(port, protocol, name)| {
                present(&[
                    ("port", Some(json!(port))),
                    ("protocol", protocol.map(Value::from)),
                    ("name", name),
                ])
            });
            ("ports", Value::Array(ports.collect()))
        }),
        text().prop_map(|value| ("free", json!({"k": {"deep": value}}))),
    ];
    prop::collection::vec(field, 0..5).prop_map(|fields| {
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
        // a field that is always there: objects that lose their last field are another case
        Value::Object(fields.chain([("port".to_owned(), json!("http"))]).collect())
    })
}

fn present(fields: &[(&str, Option<Value>)]) -> Value {
    let fields = fields
        .iter()
        .filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?)));
    Value::Object(fields.collect())
}

proptest! {
    #[test]
    fn applying_twice_changes_nothing_and_force_never_conflicts(steps in prop::collection::vec((0..3usize, any::<bool>(), spec()), 1..8)) {
        let mut toy = Toy::new();
        for (manager, applied, spec) in steps {
            let manager = ["a", "b", "c"][manager];
            if !applied {
                toy.update(manager, spec);
                continue;
            }
            toy.try_apply(manager, spec.clone(), true).expect("force never conflicts");
            // what lost its last field is null once, and empty from then on
            toy.try_apply(manager, spec.clone(), false).expect("nothing is left to conflict");
            let once = toy.object.clone();
            toy.try_apply(manager, spec.clone(), false).expect("nothing is left to conflict");
            prop_assert!(same_but_for_times(&toy.object, &once, &[]), "{} {}", toy.object, once);
            // what was applied is there, and is owned
            for name in ["n", "s", "list", "atomicMap"] {
                prop_assert!(spec.get(name).is_none_or(|wanted| toy.object["spec"].get(name) == Some(wanted)));
            }
            let shape = toy.fields.form(&toy.version).shape();
            let wanted = typed::field_set(shape, &toy.full(&spec)).difference(&toy.fields.nobodys);
            let all = Managed::decode(&toy.object).expect("valid").all_fields();
            prop_assert!(wanted.difference(&all).is_empty());
        }
    }

    #[test]
    fn field_sets_survive_their_encoding(spec in spec()) {
        let toy = Toy::new();
        let set = typed::field_set(toy.fields.form(&toy.version).shape(), &toy.full(&spec));
        prop_assert_eq!(Set::from_fields(&set.to_fields()), Ok(set));
    }
}
