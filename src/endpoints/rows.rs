//! Tables: what `kubectl get` asks for (k8s.io/apiserver pkg/registry/rest/table.go, pkg/endpoints/handlers/response.go).
//!
//! The cells of an object are made once for each of its versions and kept with it ([`Row`]); a table is put together from
//! them. Two cells are made for each answer: the age, which the clock changes, and the caller's own role.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Call;
use super::encode::{Shown, write_partial};
use super::view::View;
use crate::rest::resource::{Cell, Column, Resource};
use crate::visibility::Role;
use crate::watchcache::Revision;
use crate::watchcache::object::Row;
use crate::wire::json as go_json;
use crate::wire::meta;
use crate::wire::negotiate::Representation;
use crate::wire::status::Status;
use crate::wire::table::IncludeObject;

/// Makes the tables of one response or watch.
pub struct Rows {
    resource: Arc<Resource>,
    view: View,
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
            view: call.view(),
            representation: *call.representation,
            include: IncludeObject::parse(call.query.get("includeObject"))?,
            roles: call.target().filtered(),
        })
    }

    /// Appends a table of these objects, each with the resourceVersion that it is to carry. `columns` says whether the
    /// definitions of the columns come with it.
    pub fn write<'b>(
        &self,
        metadata: &Value,
        columns: bool,
        shown: impl IntoIterator<Item = (&'b Shown<'b>, Revision)>,
        out: &mut Vec<u8>,
    ) {
        let now = Timestamp::now();
        self.open(metadata, columns, out);
        let start = out.len();
        for (shown, revision) in shown {
            out.push(if out.len() == start { b'[' } else { b',' });
            let row = shown.object.row(|value| self.make(value));
            self.cells(row, shown.role.as_ref(), now, out);
            match self.include {
                IncludeObject::None => out.extend_from_slice(b"null"),
                IncludeObject::Metadata => write_partial(&self.representation, shown.object, revision, out),
                IncludeObject::Object => self.view.write_at(shown.object, revision, out),
            }
            out.push(b'}');
        }
        if out.len() > start {
            out.push(b']');
        } else if self.resource.stored.conventions.no_rows_are_null() {
            out.extend_from_slice(b"null");
        } else {
            out.extend_from_slice(b"[]");
        }
        out.push(b'}');
    }

    /// Appends the table of a bookmark, which has a row of an object that is nothing but its metadata.
    pub fn write_bookmark(&self, metadata: &Value, columns: bool, bookmark: Value, out: &mut Vec<u8>) {
        self.open(metadata, columns, out);
        out.push(b'[');
        self.cells(&self.make(&bookmark), None, Timestamp::now(), out);
        let object = match self.include {
            IncludeObject::None => Value::Null,
            IncludeObject::Metadata => super::encode::partial(&self.representation, &bookmark),
            IncludeObject::Object => {
                let mut object = bookmark;
                self.resource.serve(&mut object);
                self.resource.complete(object)
            }
        };
        go_json::append(out, &object);
        out.extend_from_slice(b"}]}");
    }

    /// Everything before the rows.
    fn open(&self, metadata: &Value, columns: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"apiVersion\":");
        go_json::append(out, self.representation.meta_version);
        out.extend_from_slice(b",\"columnDefinitions\":");
        if columns {
            go_json::append(out, &self.definitions());
        } else {
            out.extend_from_slice(b"null");
        }
        out.extend_from_slice(b",\"kind\":\"Table\",\"metadata\":");
        go_json::append(out, metadata);
        out.extend_from_slice(b",\"rows\":");
    }

    fn definitions(&self) -> Value {
        let definition = |column: &Column| {
            json!({
                "description": column.description,
                "format": column.format,
                "name": column.name,
                "priority": column.priority,
                "type": column.kind,
            })
        };
        let columns = self.resource.stored.columns.iter();
        columns.filter(|column| self.has(column)).map(definition).collect()
    }

    fn has(&self, column: &Column) -> bool {
        self.roles || !matches!(column.cell, Cell::Role)
    }

    /// The part of a row that is the same for everybody.
    fn make(&self, value: &Value) -> Row {
        let cell = |column: &Column| match column.cell {
            Cell::Object(make) => go_json::to_vec(&make(value)).into(),
            Cell::Name => go_json::to_vec(meta::name(value)).into(),
            Cell::Age | Cell::Role => Box::default(),
        };
        Row {
            cells: self.resource.stored.columns.iter().map(cell).collect(),
            created: meta::creation_timestamp(value).into(),
        }
    }

    /// A row up to its object.
    fn cells(&self, row: &Row, role: Option<&Role>, now: Timestamp, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"cells\":[");
        let cells = self.resource.stored.columns.iter().zip(&row.cells);
        let mut first = true;
        for (column, cell) in cells.filter(|(column, _)| self.has(column)) {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            match column.cell {
                Cell::Object(_) | Cell::Name => out.extend_from_slice(cell),
                // the object of a bookmark has no time
                Cell::Age if row.created.is_empty() => out.extend_from_slice(b"null"),
                Cell::Age => go_json::append(out, &meta::age(&row.created, now)),
                Cell::Role => go_json::append(out, &role.map(ToString::to_string).unwrap_or_default()),
            }
        }
        out.extend_from_slice(b"],\"object\":");
    }
}
