//! Stored objects as the version of a resource shows them: their bytes behind a head, or converted.

use std::sync::Arc;

use crate::rest::resource::Resource;
use crate::watchcache::{Object, Revision};
use crate::wire::json as go_json;
use crate::wire::meta;

/// Writes the objects of one response or watch.
pub struct View {
    resource: Arc<Resource>,
    /// What stands before an object: `{"apiVersion":…,"kind":…,`.
    head: Vec<u8>,
}

impl View {
    /// The view that `resource` gives.
    pub fn new(resource: &Arc<Resource>) -> Self {
        let mut head = b"{\"apiVersion\":".to_vec();
        go_json::append(&mut head, &resource.group_version.to_string());
        head.extend_from_slice(b",\"kind\":");
        go_json::append(&mut head, &resource.stored.kind);
        head.push(b',');
        Self {
            resource: resource.clone(),
            head,
        }
    }

    /// Appends an object.
    pub fn write(&self, object: &Object, out: &mut Vec<u8>) {
        self.write_at(object, object.revision, out);
    }

    /// Appends an object with another resourceVersion; what a dry run made was not stored and has none.
    pub fn write_at(&self, object: &Object, revision: Revision, out: &mut Vec<u8>) {
        match self.resource.version {
            None if revision != 0 => object.write_at(&self.head, revision, out),
            _ => self.convert(object, revision, true, out),
        }
    }

    /// Appends an item of a list.
    pub fn write_item(&self, object: &Object, out: &mut Vec<u8>) {
        let named = self.resource.stored.conventions.items_have_kind();
        match self.resource.version {
            None if named => object.write(&self.head, out),
            None => object.write(b"{", out),
            Some(_) => self.convert(object, object.revision, named, out),
        }
    }

    fn convert(&self, object: &Object, revision: Revision, named: bool, out: &mut Vec<u8>) {
        let mut value = object.value();
        self.resource.serve(&mut value);
        let version = match revision {
            0 => String::new(),
            revision => revision.to_string(),
        };
        meta::set(&mut value, "resourceVersion", version);
        if named {
            value = self.resource.complete(value);
        }
        go_json::append(out, &value);
    }
}
