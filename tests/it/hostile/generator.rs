//! Random requests in the shape of an OpenAPI v3 document, some of them bent.

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};

/// Names that exist, that may come to exist, and that cannot.
const NAMES: [&str; 10] = ["acme", "acme", "web", "web", "a", "b", "A_b", "%00", "%zz", "%2e%2e"];
/// Strings that have broken something somewhere.
const TEXTS: [&str; 16] = [
    "",
    "a",
    "alice",
    "web",
    "\0",
    "\u{202e}\u{1f4a5}",
    "../..",
    "%s%n",
    "true",
    "null",
    "{}",
    "2026-01-01T00:00:00Z",
    "-1",
    "1e400",
    "\n\r\t",
    "'\"`<>&\\",
];
/// Numbers likewise, as they are written.
const NUMBERS: [&str; 8] = [
    "0",
    "-1",
    "1",
    "1.5",
    "9223372036854775807",
    "9223372036854775808",
    "1e400",
    "-0",
];
const MEDIA: [&str; 9] = [
    "application/json",
    "application/yaml",
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
    "application/strategic-merge-patch+json",
    "text/plain",
    "application/vnd.kubernetes.protobuf",
    ";;;",
];
const ACCEPT: [&str; 9] = [
    "application/json",
    "*/*",
    "application/yaml",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,*/*",
    "application/json;as=Table;v=v9;g=meta.k8s.io,application/json;q=0",
    "image/png",
    ",;=,",
];

/// A request to be sent.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

/// A document, and where its operations are.
pub(super) struct Document {
    document: Value,
    operations: Vec<(String, String)>,
}

/// Makes requests; the same ones for the same seed.
pub(super) struct Generator(StdRng);

impl Document {
    pub(super) fn new(document: Value) -> Self {
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            let methods = item.as_object().expect("a path item").iter();
            operations.extend(
                methods
                    .filter(|(_, one)| one.is_object())
                    .map(|(method, _)| (path.clone(), method.clone())),
            );
        }
        Self { document, operations }
    }

    /// A schema with its reference followed.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let target = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
        target.map_or(schema, |target| {
            self.document.pointer(&target[1..]).expect("references lead somewhere")
        })
    }
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn one<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub(super) fn request(&mut self, document: &Document) -> Request {
        let (template, method) = loop {
            let (path, method) = &document.operations[self.below(document.operations.len())];
            // A watch takes the second that it is given.
            if !path.contains("/watch/") || self.chance(1) {
                break (path, method);
            }
        };
        let operation = &document.document["paths"][template][method];
        let name = self.one(&NAMES);
        let namespace = if self.chance(80) { "acme" } else { self.one(&NAMES) };
        let mut path = template.replace("{namespace}", namespace).replace("{name}", name);
        if self.chance(2) {
            path += &format!("/{}", "long".repeat(1000));
        }
        let media = match operation["requestBody"]["content"].as_object() {
            Some(content) if self.chance(93) => content.keys().nth(self.below(content.len())).expect("a key").clone(),
            _ => self.one(&MEDIA).to_owned(),
        };
        path += &self.query(document, template, operation, &media);
        let mut headers = Vec::new();
        let mut body = String::new();
        if operation["requestBody"].is_object() {
            if self.chance(98) {
                headers.push(("content-type", media.clone()));
            }
            body = self.body(document, template, method, name, &media);
        }
        if self.chance(30) {
            headers.push(("accept", self.one(&ACCEPT).to_owned()));
        }
        if self.chance(3) {
            headers.push(("if-none-match", "\"*".to_owned()));
            headers.push(("x-remote-user", "admin".to_owned()));
            headers.push(("impersonate-user", "admin".to_owned()));
        }
        Request {
            method: method.to_uppercase().parse().expect("a method"),
            path,
            headers,
            body,
        }
    }

    fn query(&mut self, document: &Document, template: &str, operation: &Value, media: &str) -> String {
        let item = &document.document["paths"][template];
        let parameters = [&item["parameters"], &operation["parameters"]];
        let parameters = parameters.into_iter().filter_map(Value::as_array).flatten();
        let mut pairs = Vec::new();
        let mut watching = template.contains("/watch/");
        for parameter in parameters.filter(|one| one["in"] == "query") {
            let name = parameter["name"].as_str().expect("a name");
            let chance = if name == "watch" || name == "sendInitialEvents" {
                1
            } else {
                12
            };
            if name == "timeoutSeconds" || !self.chance(chance) {
                continue;
            }
            watching |= name == "watch";
            let value = self.value_of(name, parameter["schema"]["type"].as_str().unwrap_or_default());
            pairs.push(format!("{name}={value}"));
        }
        if media == "application/apply-patch+yaml" && self.chance(90) {
            pairs.push("fieldManager=somebody".to_owned());
            pairs.push(format!("force={}", self.chance(50)));
        }
        if watching {
            pairs.push("timeoutSeconds=1".to_owned());
        }
        if self.chance(2) {
            pairs.push(
                self.one(&[
                    "&&=&;",
                    "%zz=%",
                    "dryRun=All&dryRun=None",
                    "limit=1&limit=x",
                    "a[]=1",
                    "%00=%ff",
                ])
                .to_owned(),
            );
        }
        if pairs.is_empty() {
            String::new()
        } else {
            format!("?{}", pairs.join("&"))
        }
    }

    fn value_of(&mut self, name: &str, kind: &str) -> String {
        let known: &[&str] = match name {
            "dryRun" => &["All"],
            "fieldValidation" => &["Strict", "Warn", "Ignore"],
            "propagationPolicy" => &["Foreground", "Background", "Orphan"],
            "resourceVersionMatch" => &["Exact", "NotOlderThan"],
            "resourceVersion" => &["0", "1", "2", "99999999"],
            "labelSelector" => &["a=b", "a in (b,c)", "!a", "a in (", "a==b,,", "="],
            "fieldSelector" => &["metadata.name=acme", "status.phase!=Ready", "spec.x=1", "a=b\\"],
            "continue" => &["eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0", "AAAA"],
            "limit" => &["1", "2", "500"],
            _ => &["true", "false", "1"],
        };
        if self.chance(75) {
            return utf8_percent_encode(self.one(known), NON_ALPHANUMERIC).to_string();
        }
        let text = if kind == "string" {
            self.one(&TEXTS)
        } else {
            self.one(&NUMBERS)
        };
        utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
    }

    fn body(&mut self, document: &Document, template: &str, method: &str, name: &str, media: &str) -> String {
        let value = if media == "application/json-patch+json" {
            self.operations()
        } else if method == "delete" {
            let schema = json!({"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"});
            let mut options = self.shaped(document, &schema, 0);
            if self.chance(80) {
                options = json!({"propagationPolicy": "Background", "preconditions": options["preconditions"]});
            }
            options
        } else {
            self.object(document, template, name)
        };
        let value = if self.chance(50) { self.bent(value) } else { value };
        self.spoilt(value.to_string())
    }

    /// What is stored below `template`, most of it sound.
    fn object(&mut self, document: &Document, template: &str, name: &str) -> Value {
        let item = template.trim_end_matches("/status");
        let read = [item.to_owned(), format!("{item}/{{name}}")];
        let read = read
            .iter()
            .map(|path| &document.document["paths"][path]["get"])
            .find(|read| read["x-kubernetes-action"] == "get");
        let read = read.expect("what can be written can be read");
        let schema = &read["responses"]["200"]["content"]["application/json"]["schema"];
        let mut object = self.shaped(document, schema, 0);
        let of = &read["x-kubernetes-group-version-kind"];
        let text = |key: &str| of[key].as_str().unwrap_or_default();
        object["apiVersion"] = json!(format!("{}/{}", text("group"), text("version")));
        object["kind"] = of["kind"].clone();
        if self.chance(85) {
            object["metadata"] = json!({"name": name});
        }
        if self.chance(85) {
            let owner = self.one(&["alice", "bob"]);
            object["spec"] = json!({"owners": [{"kind": "User", "name": owner}]});
        }
        object
    }

    /// JSON Patch.
    fn operations(&mut self) -> Value {
        let paths = [
            "",
            "/spec",
            "/spec/owners/0",
            "/spec/owners/-",
            "/spec/owners/-1",
            "/metadata/labels",
            "/metadata/labels/a",
            "/status",
            "/~2",
            "/spec/owners/01",
        ];
        let count = self.below(6);
        let operation = |generator: &mut Self| {
            json!({
                "op": generator.one(&["add", "remove", "replace", "move", "copy", "test", "x"]),
                "path": generator.one(&paths),
                "from": generator.one(&paths),
                "value": generator.anything(),
            })
        };
        (0..count).map(|_| operation(self)).collect()
    }

    /// A value that satisfies `schema`, but for patterns and the like.
    fn shaped(&mut self, document: &Document, schema: &Value, depth: usize) -> Value {
        let schema = document.resolved(schema);
        if let Some(values) = schema["enum"].as_array() {
            return values[self.below(values.len())].clone();
        }
        match schema["type"].as_str() {
            Some("object") if depth < 8 => {
                let mut object = Map::new();
                for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                    let required = schema["required"]
                        .as_array()
                        .is_some_and(|names| names.contains(&json!(name)));
                    if self.chance(if required { 95 } else { 25 }) {
                        object.insert(name.clone(), self.shaped(document, property, depth + 1));
                    }
                }
                if schema["additionalProperties"].is_object() {
                    let key = self.one(&TEXTS).to_owned();
                    object.insert(key, self.shaped(document, &schema["additionalProperties"], depth + 1));
                }
                Value::Object(object)
            }
            Some("array") => {
                let count = self.below(3);
                (0..count)
                    .map(|_| self.shaped(document, &schema["items"], depth + 1))
                    .collect()
            }
            Some("boolean") => json!(self.chance(50)),
            Some("integer") => json!(self.0.random_range(-1..3)),
            Some("number") => json!(0.5),
            Some("string") if schema["format"] == "date-time" => json!("2026-01-01T00:00:00Z"),
            Some("string") => json!(self.one(&TEXTS)),
            _ => json!({}),
        }
    }

    /// A value with one of its parts replaced.
    fn bent(&mut self, value: Value) -> Value {
        match value {
            Value::Object(mut object) if !object.is_empty() && self.chance(80) => {
                let key = object.keys().nth(self.below(object.len())).expect("a key").clone();
                match self.below(10) {
                    0 => {
                        object.remove(&key);
                    }
                    1 => {
                        object.insert(self.one(&TEXTS).to_owned(), self.anything());
                    }
                    _ => {
                        let below = object.remove(&key).expect("it is there");
                        object.insert(key, self.bent(below));
                    }
                }
                Value::Object(object)
            }
            Value::Array(mut items) if !items.is_empty() && self.chance(80) => {
                let index = self.below(items.len());
                let below = items.swap_remove(index);
                items.push(self.bent(below));
                Value::Array(items)
            }
            _ => self.anything(),
        }
    }

    fn anything(&mut self) -> Value {
        match self.below(9) {
            0 => Value::Null,
            1 => json!([]),
            2 => json!({}),
            3 => json!(true),
            4 => json!(-1),
            5 => (0..200).fold(json!(1), |below, _| json!([below])),
            6 => json!("x".repeat(100_000)),
            7 => json!([{}, null, 1, "a"]),
            _ => json!(self.one(&TEXTS)),
        }
    }

    /// What no JSON writer would write.
    fn spoilt(&mut self, text: String) -> String {
        match self.below(40) {
            0 => text.chars().take(text.chars().count() / 2).collect(),
            1 => text.replacen('{', r#"{"kind":"Other","#, 1),
            2 => text.replace("null", self.one(&NUMBERS)),
            3 => format!("\u{feff}{text}"),
            4 => format!("{text}{text}"),
            5 => text.replace('"', "'"),
            6 => format!("---\n{text}\n---\n{text}"),
            7 => String::new(),
            8 => format!("{}{text}", "[".repeat(20_000)),
            9 => text.replace(':', ":\u{0}"),
            _ => text,
        }
    }
}
