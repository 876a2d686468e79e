//! Types as structured-merge-diff knows them, made from a structural schema once
//! (sigs.k8s.io/structured-merge-diff schema/elements.go, k8s.io/kube-openapi pkg/schemaconv/openapi.go).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::wire::schema::{Additional, ListType, Schema, Type};

/// What a value may be; several at once where the schema leaves it open.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// A number, a text, a boolean.
    pub scalar: Option<Scalar>,
    /// A list.
    pub list: Option<List>,
    /// An object.
    pub map: Option<Fields>,
}

/// A value without parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A number, whole or not.
    Number,
    /// A text.
    Text,
    /// A boolean.
    Boolean,
    /// Any of these.
    Any,
}

/// A list.
#[derive(Clone, Debug)]
pub struct List {
    /// Its items.
    pub items: Inner,
    /// How items are told apart; `None` if the list is owned as a whole.
    pub keys: Option<Vec<Key>>,
}

/// A field that tells the items of a list of type map apart. A list of type set has none.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// What it is where it is left out.
    pub default: Option<Value>,
}

/// An object.
#[derive(Clone, Debug)]
pub struct Fields {
    /// The fields that have a name.
    pub fields: BTreeMap<String, Inner>,
    /// Any other field; `None` if there must be none.
    pub others: Option<Inner>,
    /// Whether the object is owned as a whole.
    pub atomic: bool,
}

/// The type of a part.
#[derive(Clone, Debug)]
pub enum Inner {
    /// Known.
    Own(Box<Shape>),
    /// Whatever it is: objects field by field, lists as a whole.
    Deduced,
    /// Whatever it is, as a whole.
    Untyped,
}

/// A borrowed [`Inner`].
#[derive(Clone, Copy, Debug)]
pub enum ShapeRef<'a> {
    /// Known.
    Own(&'a Shape),
    /// As [`Inner::Deduced`].
    Deduced,
    /// As [`Inner::Untyped`].
    Untyped,
}

impl Inner {
    /// Borrows.
    pub fn borrow(&self) -> ShapeRef<'_> {
        match self {
            Self::Own(shape) => ShapeRef::Own(shape),
            Self::Deduced => ShapeRef::Deduced,
            Self::Untyped => ShapeRef::Untyped,
        }
    }
}

impl<'a> ShapeRef<'a> {
    /// The type itself.
    pub fn resolve(self) -> &'a Shape {
        static DEDUCED: LazyLock<Shape> = LazyLock::new(|| open(&Inner::Deduced, false));
        static UNTYPED: LazyLock<Shape> = LazyLock::new(|| open(&Inner::Untyped, true));
        match self {
            Self::Own(shape) => shape,
            Self::Deduced => &DEDUCED,
            Self::Untyped => &UNTYPED,
        }
    }
}

fn open(inner: &Inner, atomic: bool) -> Shape {
    Shape {
        scalar: Some(Scalar::Any),
        list: Some(List {
            items: Inner::Untyped,
            keys: None,
        }),
        map: Some(Fields {
            fields: BTreeMap::new(),
            others: Some(inner.clone()),
            atomic,
        }),
    }
}

impl Fields {
    /// The type of a field; `None` if there must be no such field.
    pub fn field(&self, name: &str) -> Option<ShapeRef<'_>> {
        let field = self.fields.get(name).or(self.others.as_ref());
        field.map(Inner::borrow)
    }
}

impl Shape {
    /// The type of the objects of a kind; `schema` is without `apiVersion`, `kind` and `metadata`.
    pub fn of_object(schema: &Schema) -> Self {
        let mut shape = build(schema, false);
        let map = shape.map.get_or_insert_with(|| Fields {
            fields: BTreeMap::new(),
            others: None,
            atomic: false,
        });
        add_type_and_metadata(map);
        shape
    }
}

fn add_type_and_metadata(map: &mut Fields) {
    for name in ["apiVersion", "kind"] {
        map.fields.insert(name.to_owned(), own(scalar(Scalar::Text)));
    }
    map.fields.insert("metadata".to_owned(), own(object_meta()));
}

fn own(shape: Shape) -> Inner {
    Inner::Own(Box::new(shape))
}

fn scalar(scalar: Scalar) -> Shape {
    Shape {
        scalar: Some(scalar),
        ..Shape::default()
    }
}

/// `preserved` is true below `x-kubernetes-preserve-unknown-fields`.
fn build(schema: &Schema, preserved: bool) -> Shape {
    let preserved = preserved || schema.preserves_unknown_fields();
    match schema.kind() {
        None => Shape {
            scalar: Some(Scalar::Any),
            list: Some(list(schema, preserved)),
            map: Some(fields(schema, preserved)),
        },
        Some(Type::Object) => Shape {
            map: Some(fields(schema, preserved)),
            ..Shape::default()
        },
        Some(Type::Array) => Shape {
            list: Some(list(schema, preserved)),
            ..Shape::default()
        },
        Some(Type::Integer | Type::Number) => scalar(Scalar::Number),
        Some(Type::Boolean) => scalar(Scalar::Boolean),
        Some(Type::Text) => match schema.format() {
            None | Some("" | "byte") => scalar(Scalar::Text),
            Some(_) => scalar(Scalar::Any),
        },
    }
}

fn list(schema: &Schema, preserved: bool) -> List {
    let items = schema
        .items()
        .map_or(Inner::Untyped, |items| own(build(items, preserved)));
    let key = |name: &String| Key {
        name: name.clone(),
        default: schema
            .items()
            .and_then(|items| items.property(name)?.default_value().cloned()),
    };
    let keys = match schema.list_type() {
        ListType::Atomic => None,
        ListType::Set => Some(Vec::new()),
        ListType::Map(keys) => Some(keys.iter().map(key).collect()),
    };
    List { items, keys }
}

fn fields(schema: &Schema, preserved: bool) -> Fields {
    let named = schema.properties();
    let fields: BTreeMap<String, Inner> = named
        .map(|(name, schema)| (name.to_owned(), own(build(schema, preserved))))
        .collect();
    let others = match schema.additional_properties() {
        // an object without properties is free of form
        Additional::None => (preserved || fields.is_empty()).then_some(Inner::Deduced),
        Additional::Any => Some(Inner::Deduced),
        Additional::Of(schema) => Some(own(build(schema, preserved))),
    };
    let mut map = Fields {
        fields,
        others,
        atomic: schema.is_atomic_map(),
    };
    if schema.is_embedded_resource() {
        add_type_and_metadata(&mut map);
    }
    map
}

/// ObjectMeta (k8s.io/apimachinery pkg/apis/meta/v1/types.go, its list and map types).
fn object_meta() -> Shape {
    let map = |fields: Vec<(&str, Shape)>, others: Option<Inner>, atomic: bool| Shape {
        map: Some(Fields {
            fields: fields
                .into_iter()
                .map(|(name, shape)| (name.to_owned(), own(shape)))
                .collect(),
            others,
            atomic,
        }),
        ..Shape::default()
    };
    let list = |items: Shape, keys: Option<Vec<Key>>| Shape {
        list: Some(List {
            items: own(items),
            keys,
        }),
        ..Shape::default()
    };
    let text = || scalar(Scalar::Text);
    let texts = || map(Vec::new(), Some(own(text())), false);
    let reference = map(
        vec![
            ("apiVersion", text()),
            ("blockOwnerDeletion", scalar(Scalar::Boolean)),
            ("controller", scalar(Scalar::Boolean)),
            ("kind", text()),
            ("name", text()),
            ("uid", text()),
        ],
        None,
        true,
    );
    let entry = map(
        vec![
            ("apiVersion", text()),
            ("fieldsType", text()),
            ("fieldsV1", map(Vec::new(), Some(Inner::Deduced), false)),
            ("manager", text()),
            ("operation", text()),
            ("subresource", text()),
            ("time", scalar(Scalar::Any)),
        ],
        None,
        false,
    );
    let uid = Key {
        name: "uid".to_owned(),
        default: Some(Value::String(String::new())),
    };
    map(
        vec![
            ("annotations", texts()),
            ("creationTimestamp", scalar(Scalar::Any)),
            ("deletionGracePeriodSeconds", scalar(Scalar::Number)),
            ("deletionTimestamp", scalar(Scalar::Any)),
            ("finalizers", list(text(), Some(Vec::new()))),
            ("generateName", text()),
            ("generation", scalar(Scalar::Number)),
            ("labels", texts()),
            ("managedFields", list(entry, None)),
            ("name", text()),
            ("namespace", text()),
            ("ownerReferences", list(reference, Some(vec![uid]))),
            ("resourceVersion", text()),
            ("selfLink", text()),
            ("uid", text()),
        ],
        None,
        false,
    )
}
