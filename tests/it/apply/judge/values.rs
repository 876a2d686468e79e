//! Random structural schemas, and random values that fit them, mostly.

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};

/// How deep a random schema goes.
const DEPTH: u32 = 3;
const NAMES: [&str; 5] = ["a", "b", "c", "d", "name"];
const TEXTS: [&str; 5] = ["x", "y", "z", "a\"b", "<é&"];

pub(super) struct Values {
    pub(super) random: StdRng,
    /// How many of a hundred values are of a wrong type, unknown or null.
    pub(super) wrong: u32,
}

impl Values {
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.random.random_range(0..from.len())].clone()
    }

    /// The schema of a kind.
    pub(super) fn kind(&mut self) -> Value {
        let mut schema = json!({"type": "object", "properties": {"spec": self.properties(DEPTH)}});
        if self.chance(60) {
            schema["properties"]["status"] = self.properties(DEPTH - 1);
        }
        schema
    }

    fn properties(&mut self, depth: u32) -> Value {
        let mut properties = Map::new();
        for name in NAMES {
            if self.chance(70) {
                properties.insert(name.to_owned(), self.schema(depth - 1));
            }
        }
        let mut schema = json!({"type": "object", "properties": properties});
        if self.chance(10) {
            schema["x-kubernetes-map-type"] = json!("atomic");
        }
        if self.chance(10) {
            schema["x-kubernetes-preserve-unknown-fields"] = json!(true);
        }
        schema
    }

    fn scalar(&mut self) -> Value {
        self.pick(&[
            json!({"type": "string"}),
            json!({"type": "integer"}),
            json!({"type": "number"}),
            json!({"type": "boolean"}),
        ])
    }

    fn schema(&mut self, depth: u32) -> Value {
        let choices = if depth == 0 { 5 } else { 14 };
        let mut schema = match self.random.random_range(0..choices) {
            0..3 => self.scalar(),
            3 => json!({"x-kubernetes-int-or-string": true}),
            4 => self.pick(&[
                json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
                json!({"x-kubernetes-preserve-unknown-fields": true}),
                json!({"type": "string", "format": "date-time"}),
                json!({"type": "object"}),
            ]),
            5 | 6 => self.properties(depth),
            7 => json!({"type": "object", "additionalProperties": self.schema(depth - 1)}),
            8 => json!({"type": "object", "additionalProperties": self.scalar(), "x-kubernetes-map-type": "atomic"}),
            9 => json!({"type": "array", "items": self.schema(depth - 1)}),
            10 => json!({"type": "array", "items": self.scalar(), "x-kubernetes-list-type": "set"}),
            _ => self.list_map(depth),
        };
        if self.chance(10) {
            schema["nullable"] = json!(true);
        }
        schema
    }

    fn list_map(&mut self, depth: u32) -> Value {
        let mut items = self.properties(depth);
        items.as_object_mut().unwrap().remove("x-kubernetes-map-type");
        if self.chance(15) {
            items["x-kubernetes-map-type"] = json!("atomic");
        }
        let mut keys = vec!["name"];
        items["properties"]["name"] = json!({"type": "string"});
        if self.chance(50) {
            keys.push("b");
            items["properties"]["b"] = json!({"type": "integer"});
        }
        for key in &keys {
            if self.chance(35) {
                let default = if *key == "b" { json!(1) } else { json!("x") };
                items["properties"][key]["default"] = default;
            }
        }
        json!({"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys})
    }

    /// A value for a schema; `None` is nothing at all.
    pub(super) fn value(&mut self, schema: &Value) -> Value {
        if self.random.random_range(0..1000) < self.wrong * 5 {
            return if self.chance(50) { Value::Null } else { self.anything(2) };
        }
        if schema["x-kubernetes-int-or-string"] == true {
            return if self.chance(50) { self.number() } else { self.text() };
        }
        match schema["type"].as_str() {
            Some("string") => self.text(),
            Some("integer") => self.number(),
            Some("number") => self.pick(&[json!(0), json!(1), json!(0.5), json!(1.0), json!(2_000_000)]),
            Some("boolean") => self.pick(&[json!(true), json!(false)]),
            Some("array") => self.array(schema),
            Some("object") => self.object(schema),
            _ => self.anything(3),
        }
    }

    fn text(&mut self) -> Value {
        json!(self.pick(&TEXTS))
    }

    fn number(&mut self) -> Value {
        json!(self.random.random_range(0..3))
    }

    fn array(&mut self, schema: &Value) -> Value {
        let length = self.random.random_range(0..4);
        let items: Vec<Value> = (0..length).map(|_| self.value(&schema["items"])).collect();
        let allowed = self.random.random_range(0..200) < self.wrong;
        if schema["x-kubernetes-list-type"].is_null() || allowed {
            return json!(items);
        }
        let keys = schema["x-kubernetes-list-map-keys"].as_array();
        let identity = |item: &Value| match keys {
            None => item.clone(),
            Some(keys) => {
                let key = |key: &Value| {
                    let key = key.as_str().unwrap_or_default();
                    let default = &schema["items"]["properties"][key]["default"];
                    item.get(key).unwrap_or(default).clone()
                };
                keys.iter().map(key).collect()
            }
        };
        let mut seen: Vec<Value> = Vec::new();
        let once = items.into_iter().filter(|item| {
            let identity = identity(item);
            let new = !seen.contains(&identity);
            seen.push(identity);
            new
        });
        Value::Array(once.collect())
    }

    fn object(&mut self, schema: &Value) -> Value {
        let mut object = Map::new();
        let properties = schema["properties"].as_object();
        for (name, property) in properties.into_iter().flatten() {
            // a key without a default is seldom left out
            let share = if name == "name" { 92 } else { 45 };
            if self.chance(share) {
                let value = self.value(property);
                object.insert(name.clone(), value);
            }
        }
        let others = schema.get("additionalProperties");
        if let Some(others) = others {
            for name in NAMES {
                if self.chance(35) {
                    let value = self.value(others);
                    object.insert(name.to_owned(), value);
                }
            }
        }
        let free = schema["x-kubernetes-preserve-unknown-fields"] == true || (properties.is_none() && others.is_none());
        if free || self.random.random_range(0..500) < self.wrong {
            for name in ["e", "f"] {
                if self.chance(40) {
                    let value = self.anything(2);
                    object.insert(name.to_owned(), value);
                }
            }
        }
        Value::Object(object)
    }

    /// A value of any form.
    pub(super) fn anything(&mut self, depth: u32) -> Value {
        match self.random.random_range(0..if depth == 0 { 5 } else { 8 }) {
            0 => self.number(),
            1 | 2 => self.text(),
            3 => self.pick(&[json!(true), json!(false), json!(0.5), json!(null)]),
            4 => self.pick(&[json!({}), json!([])]),
            5 => {
                let length = self.random.random_range(0..3);
                (0..length).map(|_| self.anything(depth - 1)).collect()
            }
            _ => {
                let length = self.random.random_range(0..3);
                (0..length)
                    .map(|_| (self.pick(&NAMES).to_owned(), self.anything(depth - 1)))
                    .collect()
            }
        }
    }
}
