//! FieldsV1 and managedFields, which any client may send.

use bulward::rest::field_manager::managed::Managed;
use bulward::rest::field_manager::path::Element;
use bulward::rest::field_manager::set::Set;
use serde_json::{Value, json};

use super::parts;

pub(super) fn target(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    if let Ok(Some(element)) = Element::parse(&text) {
        let written = element.serialize();
        assert_eq!(Element::parse(&written), Ok(Some(element)), "{written}");
    }
    let (left, right) = parts(data).unwrap_or((data, b"{}"));
    let (Ok(left), Ok(right)) = (
        serde_json::from_slice::<Value>(left),
        serde_json::from_slice::<Value>(right),
    ) else {
        return false;
    };
    managed(&left);
    let (Ok(left), Ok(right)) = (Set::from_fields(&left), Set::from_fields(&right)) else {
        return false;
    };
    for set in [&left, &right] {
        let written = set.to_fields();
        let again = Set::from_fields(&written).unwrap_or_else(|why| panic!("{why}: {written}"));
        assert_eq!(again.to_fields(), written);
        assert_eq!(again.paths(), set.paths());
        assert_eq!(set.paths().len(), set.len());
        assert!(set.paths().iter().all(|path| set.has_path(path)));
    }
    let (union, both) = (left.union(&right), left.intersection(&right));
    assert_eq!(union.len() + both.len(), left.len() + right.len());
    assert_eq!(left.difference(&right).len() + both.len(), left.len());
    assert!(left.difference(&right).intersection(&right).is_empty());
    assert!(left.recursive_difference(&right).intersection(&right).is_empty());
    assert_eq!(union.paths(), right.union(&left).paths());
    true
}

fn managed(value: &Value) {
    let object = json!({"metadata": {"managedFields": value}});
    let Ok(managed) = Managed::decode(&object) else { return };
    let mut written = json!({"metadata": {}});
    managed.encode(&mut written);
    let again = Managed::decode(&written).unwrap_or_else(|why| panic!("{why}: {written}"));
    let mut twice = json!({"metadata": {}});
    again.encode(&mut twice);
    assert_eq!(twice, written);
    assert_eq!(again.all_fields().paths(), managed.all_fields().paths());
}
