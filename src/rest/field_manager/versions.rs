//! The versions of a kind: each knows the objects in its own form, and the record says of each entry in which
//! (k8s.io/apimachinery pkg/util/managedfields/internal/versionconverter.go).

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};

use super::shape::{Shape, ShapeRef};
use crate::rest::conventions::Conventions;
use crate::rest::version::Conversion;
use crate::wire::meta;
use crate::wire::names::GroupVersion;
use crate::wire::schema::Schema;

/// How objects look.
pub struct Form {
    shape: Shape,
    schema: Schema,
    /// What an object is before anybody wrote anything.
    nothing: Value,
    /// The way to the stored form; `None` if this is it.
    conversion: Option<Arc<dyn Conversion>>,
}

/// Which version has which form.
pub struct Versions {
    conventions: Conventions,
    /// The stored form first.
    forms: Vec<Form>,
    /// `apiVersion`s, and which of the forms they have.
    served: Vec<(String, usize)>,
}

impl Form {
    fn new(schema: &Schema, conventions: Conventions, conversion: Option<Arc<dyn Conversion>>) -> Self {
        let mut nothing = json!({});
        if conventions.omits_empty() {
            schema.apply_defaults(&mut nothing);
        }
        Self {
            shape: Shape::of_object(schema),
            schema: schema.clone(),
            nothing,
            conversion,
        }
    }

    /// The type of the objects.
    pub fn shape(&self) -> ShapeRef<'_> {
        ShapeRef::Own(&self.shape)
    }

    /// What an object is before anybody wrote anything, but for its `apiVersion` and `kind`.
    pub fn nothing(&self) -> &Value {
        &self.nothing
    }
}

impl Versions {
    /// The stored form, which every version has that [`Versions::serve`] does not give another one.
    pub fn new(schema: &Schema, conventions: Conventions) -> Self {
        Self {
            conventions,
            forms: vec![Form::new(schema, conventions, None)],
            served: Vec::new(),
        }
    }

    /// Adds a version with its own form, or with the stored one.
    pub fn serve(&mut self, version: &GroupVersion, own: Option<&(Schema, Arc<dyn Conversion>)>) {
        let mut at = 0;
        if let Some((schema, conversion)) = own {
            at = self.forms.len();
            let form = Form::new(schema, self.conventions, Some(conversion.clone()));
            self.forms.push(form);
        }
        self.served.push((version.to_string(), at));
    }

    /// The form of a version; `None` for one that is not served, and whose entries are to be forgotten.
    pub fn form(&self, api_version: &str) -> Option<&Form> {
        match self.served.iter().find(|(served, _)| served == api_version) {
            Some((_, at)) => self.forms.get(*at),
            None if self.conventions.forgets_unknown_versions() => None,
            None => self.forms.first(),
        }
    }

    /// As [`Versions::form`], or else the stored form.
    pub fn form_or_stored(&self, api_version: &str) -> &Form {
        self.form(api_version).unwrap_or(&self.forms[0])
    }

    /// The top-level fields of all forms.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.forms
            .iter()
            .flat_map(|form| form.shape.map.iter())
            .flat_map(|map| map.fields.keys().map(String::as_str))
    }

    /// An object of one form in another.
    pub fn convert<'v>(&self, value: &'v Value, from: &Form, to: &Form) -> Cow<'v, Value> {
        if std::ptr::eq(from, to) {
            return Cow::Borrowed(value);
        }
        let mut value = value.clone();
        if let Some(conversion) = &from.conversion {
            conversion.to_stored(&mut value);
        }
        if let Some(conversion) = &to.conversion {
            conversion.to_served(&mut value);
        }
        if self.conventions.omits_empty() {
            // In Go, whatever is converted passes through types, which leave out what is empty.
            to.schema.omit_empty(&mut value);
            if let Err(why) = meta::coerce(&mut value, None) {
                tracing::debug!(why, "metadata that fits no type was converted as it is");
            }
            to.schema.apply_defaults(&mut value);
        }
        Cow::Owned(value)
    }
}

impl std::fmt::Debug for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.served).finish()
    }
}
