//! Objects of our own kinds, from whatever was sent: two of them, what is stored and what replaces it.

use std::sync::{Arc, LazyLock};

use bulward::groups::{Options, registry};
use bulward::rest::resource::Resource;
use bulward::wire::body::decode_json;
use bulward::wire::meta;
use bulward::wire::schema::Schema;
use bulward::wire::validation::{FieldError, aggregate};
use serde_json::Value;

use super::parts;

static KINDS: LazyLock<Vec<(Arc<Resource>, Schema)>> = LazyLock::new(|| {
    let options = Options {
        cluster: true,
        ..Options::default()
    };
    let registry = registry(&options);
    let parsed = |resource: &Arc<Resource>| {
        let schema = Schema::parse(resource.schema()).expect("structural");
        (resource.clone(), schema)
    };
    registry.resources().map(parsed).collect()
});

pub(super) fn target(data: &[u8]) -> bool {
    let (first, second) = parts(data).unwrap_or((data, b"{}"));
    let (Ok(first), Ok(second)) = (decode_json(first), decode_json(second)) else {
        return false;
    };
    let (first, second) = (first.value, second.value);
    if !first.is_object() || !second.is_object() {
        return false;
    }
    for (_, schema) in KINDS.iter() {
        let (old, new) = (shaped(schema, first.clone()), shaped(schema, second.clone()));
        let (Some(old), Some(new)) = (old, new) else { continue };
        said(&schema.validate(&new));
        said(&schema.validate_update(&new, &old));
        said(&schema.validate_status_update(&new, &old));
        assert!(
            schema.validate_update(&old, &old).len() <= schema.validate(&old).len(),
            "what stays may stay"
        );
    }
    true
}

/// Without what nobody knows, with what is the default; a second time changes nothing.
fn shaped(schema: &Schema, mut object: Value) -> Option<Value> {
    if let Err(why) = meta::coerce(&mut object, None) {
        assert!(!why.is_empty());
        return None;
    }
    let coerced = object.clone();
    assert_eq!(meta::coerce(&mut object, None), Ok(Vec::new()), "{coerced}");
    assert_eq!(object, coerced);
    for dropped in schema.prune(&mut object) {
        assert!(dropped.starts_with("unknown field "), "{dropped}");
    }
    schema.apply_defaults(&mut object);
    let pruned = object.clone();
    assert_eq!(schema.prune(&mut object), Vec::<String>::new(), "{pruned}");
    schema.apply_defaults(&mut object);
    assert_eq!(object, pruned);
    schema.omit_empty(&mut object);
    Some(object)
}

/// Every error names its field.
fn said(errors: &[FieldError]) {
    for error in errors {
        assert!(!error.field.is_empty() && !error.to_string().is_empty(), "{error:?}");
    }
    assert!(errors.is_empty() || aggregate(errors).len() > 2, "{errors:?}");
}
