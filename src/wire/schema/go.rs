//! Values against Go types, for kinds that have some: the texts of `encoding/json`.

use serde_json::Value;

use super::{Schema, Type};
use crate::wire::json;

/// The Go types of one version of a kind, named as Kubernetes names them: `Deployment`, `DeploymentSpec`.
#[derive(Clone, Copy, Debug)]
pub struct GoTypes<'a> {
    /// The kind.
    pub kind: &'a str,
    /// The version, which is also the name of the Go package.
    pub version: &'a str,
}

impl GoTypes<'_> {
    /// Compares the types of an object's fields; `metadata` is for others to look at.
    ///
    /// # Errors
    /// Go's text for the first field that is of another type.
    pub fn check(&self, schema: &Schema, object: &Value) -> Result<(), String> {
        self.walk(schema, object, self.kind, &mut String::new())
    }

    fn walk(&self, schema: &Schema, value: &Value, structure: &str, path: &mut String) -> Result<(), String> {
        let fits = match (schema.kind, value) {
            (None, _) | (_, Value::Null) => true,
            (Some(Type::Object), value) => value.is_object(),
            (Some(Type::Array), value) => value.is_array(),
            (Some(Type::Text), value) => value.is_string(),
            (Some(Type::Boolean), value) => value.is_boolean(),
            (Some(Type::Integer), value) => value.is_i64(),
            (Some(Type::Number), value) => value.is_number(),
        };
        if !fits {
            let (found, wanted) = (json::kind(value), self.name(schema, path));
            return Err(format!(
                "json: cannot unmarshal {found} into Go struct field {structure}.{path} of type {wanted}"
            ));
        }
        let length = path.len();
        match value {
            Value::Object(map) => {
                let inner = self.structure(path);
                for (name, value) in map {
                    let Some(field) = schema.field(name) else { continue };
                    if schema.properties.contains_key(name) {
                        let dot = if path.is_empty() { "" } else { "." };
                        path.push_str(&format!("{dot}{name}"));
                    }
                    self.walk(field, value, &inner, path)?;
                    path.truncate(length);
                }
            }
            Value::Array(items) => {
                let fields = schema
                    .items
                    .iter()
                    .flat_map(|schema| items.iter().map(move |item| (schema, item)));
                for (schema, item) in fields {
                    self.walk(schema, item, structure, path)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The struct at a path: that of the kind, or of its `spec` and `status`.
    fn structure(&self, path: &str) -> String {
        let last = path.rsplit('.').next().unwrap_or_default();
        let mut letters = last.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        format!(
            "{}{}{}",
            self.kind,
            first.map(String::from).unwrap_or_default(),
            letters.as_str()
        )
    }

    fn name(&self, schema: &Schema, path: &str) -> String {
        let items = || {
            schema
                .items
                .as_ref()
                .map_or("interface {}".to_owned(), |items| self.name(items, path))
        };
        match schema.kind {
            Some(Type::Object) => match &schema.additional_properties {
                super::Additional::Of(values) => format!("map[string]{}", self.name(values, path)),
                _ => format!("{}.{}", self.version, self.structure(path)),
            },
            Some(Type::Array) => format!("[]{}", items()),
            Some(Type::Boolean) => "bool".to_owned(),
            Some(Type::Integer) if schema.format.as_deref() == Some("int32") => "int32".to_owned(),
            Some(Type::Integer) => "int64".to_owned(),
            Some(Type::Number) => "float64".to_owned(),
            Some(Type::Text) | None => "string".to_owned(),
        }
    }
}
