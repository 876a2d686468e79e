//! Random kinds, objects and writes.
//!
//! `BULWARD_MERGE_CASES` says how many cases are tried, `BULWARD_MERGE_SEED` which.

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::values::Values;
use super::{Questions, live, object, report};

const CASES: u64 = 250;
const SEED: u64 = 1;
/// How many cases there are of one kind.
const OF_A_KIND: u64 = 8;

/// One kind, and all that was asked about it.
struct Case<'a> {
    about: String,
    name: String,
    schema: &'a Value,
    values: Values,
    questions: &'a mut Questions,
}

impl Case<'_> {
    fn ask(&mut self, mut question: Value) -> Value {
        question["type"] = json!(self.name);
        self.questions.ask(&self.about, question)
    }

    fn spec(&mut self) -> Value {
        self.values.value(&self.schema["properties"]["spec"])
    }

    fn object(&mut self, status: bool) -> Value {
        let mut object = object(&self.spec());
        if (status || self.values.chance(15)) && !self.schema["properties"]["status"].is_null() {
            object["status"] = self.values.value(&self.schema["properties"]["status"]);
        }
        if self.values.chance(25) {
            object["metadata"]["labels"] = self.map();
        }
        if self.values.chance(15) {
            object["metadata"]["annotations"] = self.map();
        }
        if self.values.chance(10) {
            let finalizers = ["f/a", "f/b", "f/c"].into_iter().filter(|_| self.values.chance(50));
            object["metadata"]["finalizers"] = finalizers.collect();
        }
        if self.values.chance(10) {
            let uids = ["u1", "u2"].into_iter().filter(|_| self.values.chance(60));
            let owners = uids.map(|uid| json!({"apiVersion": "v1", "kind": "Node", "name": uid, "uid": uid}));
            object["metadata"]["ownerReferences"] = owners.collect();
        }
        object
    }

    fn map(&mut self) -> Value {
        let names = ["a", "b", "c"].into_iter().filter(|_| self.values.chance(50));
        let names: Vec<&str> = names.collect();
        let pairs = names
            .into_iter()
            .map(|name| (name.to_owned(), json!(self.values.pick(&["1", "2"]))));
        Value::Object(pairs.collect())
    }

    /// What each step of a write makes of two objects.
    fn steps(&mut self) {
        let (left, right) = (self.object(false), self.object(false));
        self.ask(json!({"op": "validate", "object": left}));
        self.ask(json!({"op": "validate", "object": right, "duplicates": true}));
        let sets = [&left, &right].map(|object| self.ask(json!({"op": "fields", "object": object}))["set"].clone());
        self.ask(json!({"op": "compare", "live": left, "object": right}));
        self.ask(json!({"op": "merge", "live": left, "object": right}));
        if sets.contains(&Value::Null) {
            return;
        }
        let together = self.ask(json!({"op": "sets", "set": sets[0], "right": sets[1]}));
        for set in [
            &sets[1],
            &together["intersection"],
            &together["difference"],
            &together["recursive"],
        ] {
            self.ask(json!({"op": "remove", "object": left, "set": set}));
            self.ask(json!({"op": "named", "object": left, "set": set}));
            self.ask(json!({"op": "reconcile", "object": left, "set": set}));
        }
    }

    /// Several managers write one after another.
    fn writes(&mut self) {
        let mut current = json!({"apiVersion": super::ours::VERSION, "kind": super::ours::KIND});
        let count = self.values.pick(&[3, 5, 8, 16]);
        for _ in 0..count {
            let exists = current["metadata"].get("uid").is_some();
            let status = exists && self.values.chance(20);
            let manager = self.values.pick(&["a", "b", "c", "kubectl"]);
            let mut body = self.object(status);
            let answer = if self.values.chance(60) {
                let force = self.values.chance(50);
                self.ask(json!({"op": "apply", "live": current, "object": body, "manager": manager, "force": force, "status": status}))
            } else {
                // many updaters are merged into one
                let manager = if count == 16 {
                    format!("u{}", self.values.pick(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]))
                } else {
                    manager.to_owned()
                };
                body["metadata"]["uid"] = current["metadata"]["uid"].clone();
                if body["metadata"]["uid"].is_null() {
                    body["metadata"].as_object_mut().unwrap().remove("uid");
                }
                if self.values.chance(5) {
                    body["metadata"]["managedFields"] = self.given(&current);
                }
                if self.values.chance(10) {
                    body["metadata"]["annotations"] =
                        json!({"kubectl.kubernetes.io/last-applied-configuration": self.applied()});
                }
                self.ask(json!({"op": "update", "live": current, "object": body, "manager": manager, "status": status}))
            };
            if answer.get("object").is_some() {
                current = live(&answer, self.values.chance(30));
            }
        }
    }

    /// What a client-side apply leaves behind.
    fn applied(&mut self) -> String {
        match self.values.pick(&[0, 1, 2, 3]) {
            0 => "{".to_owned(),
            _ => self.object(false).to_string(),
        }
    }

    /// Entries that a client gives.
    fn given(&mut self, current: &Value) -> Value {
        let entry = |fields: Value| {
            json!({"manager": "g", "operation": "Update", "apiVersion": super::ours::VERSION, "fieldsType": "FieldsV1",
                "fieldsV1": fields, "time": "2020-01-01T00:00:00Z"})
        };
        match self.values.pick(&[0, 1, 2, 3, 4, 5]) {
            0 => json!([]),
            1 => json!([{}]),
            2 => json!([{"manager": "x"}]),
            3 => json!([entry(
                json!({"f:spec": {".": {}, "f:a": {"k:{\"name\":\"x\"}": {}, "i:0": {}}}, "v:1": {}})
            )]),
            4 => json!([entry(json!({"x:spec": {}, "f:spec": {"f:b": {"y:1": {}}}}))]),
            _ => current["metadata"]["managedFields"].clone(),
        }
    }
}

#[tokio::test]
async fn random_cases_are_decided_as_kubernetes_decides_them() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let cases = number("BULWARD_MERGE_CASES").unwrap_or(CASES);
    let first = number("BULWARD_MERGE_SEED").unwrap_or(SEED);
    let mut questions = Questions::default();
    let mut schema = Value::Null;
    for case in 0..cases {
        let seed = first + case;
        let mut values = Values {
            random: StdRng::seed_from_u64(seed),
            wrong: if seed % 3 == 0 { 5 } else { 0 },
        };
        let name = format!("kind-{}", case / OF_A_KIND);
        if case % OF_A_KIND == 0 {
            schema = values.kind();
            questions.ask(&name, json!({"op": "type", "type": name, "schema": schema}));
        }
        let about = format!("BULWARD_MERGE_SEED={}", first + case / OF_A_KIND * OF_A_KIND);
        let mut case = Case {
            about,
            name,
            schema: &schema,
            values,
            questions: &mut questions,
        };
        case.steps();
        case.writes();
    }
    let asked = questions.asked.len();
    println!("{cases} random cases, {asked} questions from seed {first}");
    report(&questions.differences("merge-random").await, asked);
}
