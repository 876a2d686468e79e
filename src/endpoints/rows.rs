//! Tables: what `kubectl get` asks for (k8s.io/apiserver pkg/registry/rest/table.go, pkg/endpoints/handlers/response.go).

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Call;
use super::encode::{Shown, partial};
use crate::rest::resource::{Cell, Column, Resource};
use crate::wire::meta;
use crate::wire::negotiate::Representation;
use crate::wire::status::Status;
use crate::wire::table::IncludeObject;

/// Makes the tables of one response or watch.
pub struct Rows {
    resource: Arc<Resource>,
    representation: Representation,
    include: IncludeObject,
    /// In an unfiltered view nobody has a role.
    roles: bool,
}

impl Rows {
    /// Reads `includeObject`.
    ///
    /// # Errors
    /// 400 for one that does not exist.
    pub fn new(call: &Call<'_>) -> Result<Self, Status> {
        Ok(Self {
            resource: call.resource.clone(),
            representation: *call.representation,
            include: IncludeObject::parse(call.query.get("includeObject"))?,
            roles: call.target().filtered(),
        })
    }

    /// A table of these objects, with column definitions.
    pub fn table<'b>(&self, revision: &str, shown: impl IntoIterator<Item = &'b Shown<'b>>) -> Value {
        let rows = shown
            .into_iter()
            .map(|shown| self.row(&shown.object.value(), Some(shown)));
        let mut table = self.bare(revision, rows.collect());
        table["columnDefinitions"] = self.definitions();
        table
    }

    /// A table of one object in this state, without column definitions; a bookmark is no object.
    pub fn of_value(&self, revision: &str, value: &Value, shown: Option<&Shown<'_>>) -> Value {
        self.bare(revision, vec![self.row(value, shown)])
    }

    /// The column definitions.
    pub fn definitions(&self) -> Value {
        let definition = |column: &Column| {
            json!({
                "description": column.description,
                "format": column.format,
                "name": column.name,
                "priority": column.priority,
                "type": column.kind,
            })
        };
        self.columns().map(definition).collect()
    }

    fn bare(&self, revision: &str, rows: Vec<Value>) -> Value {
        let metadata = match revision {
            // made by a dry run, and not stored
            "0" => json!({}),
            revision => json!({"resourceVersion": revision}),
        };
        let null = rows.is_empty() && self.resource.stored.conventions.no_rows_are_null();
        let rows = if null { Value::Null } else { Value::Array(rows) };
        json!({
            "apiVersion": self.representation.meta_version,
            "columnDefinitions": null,
            "kind": "Table",
            "metadata": metadata,
            "rows": rows,
        })
    }

    fn columns(&self) -> impl Iterator<Item = &Column> {
        let columns = self.resource.stored.columns.iter();
        columns.filter(|column| self.roles || !matches!(column.cell, Cell::Role))
    }

    fn row(&self, value: &Value, shown: Option<&Shown<'_>>) -> Value {
        let role = shown.and_then(|shown| shown.role.as_ref());
        let cell = |column: &Column| match column.cell {
            Cell::Object(make) => make(value),
            Cell::Name => json!(meta::name(value)),
            // the object of a bookmark has no time
            Cell::Age => match meta::creation_timestamp(value) {
                "" => Value::Null,
                created => json!(meta::age(created, Timestamp::now())),
            },
            Cell::Role => json!(role.map(ToString::to_string).unwrap_or_default()),
        };
        let cells: Vec<Value> = self.columns().map(cell).collect();
        let object = match self.include {
            IncludeObject::None => Value::Null,
            IncludeObject::Metadata => partial(&self.representation, value),
            IncludeObject::Object => {
                let mut object = value.clone();
                self.resource.serve(&mut object);
                self.resource.complete(object)
            }
        };
        json!({"cells": cells, "object": object})
    }
}
