use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn what_is_written_is_read() {
    let options = json!({"apiVersion": "meta.k8s.io/v1", "kind": "DeleteOptions", "gracePeriodSeconds": -1,
        "preconditions": {"uid": "u", "resourceVersion": "7"}, "orphanDependents": false,
        "propagationPolicy": "Foreground", "dryRun": ["All", "All"]});
    let bytes = encode(&options).expect("has a form");
    assert_eq!(decode(&bytes), Ok(Some(options)));
    let nothing = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
    assert_eq!(decode(&encode(&nothing).expect("has a form")), Ok(Some(nothing)));
}

/// The bytes of k8s.io/apimachinery's own encoder for an empty Status.
#[test]
fn empty_fields_are_written_too() {
    let status = json!({"apiVersion": "v1", "kind": "Status", "metadata": {}});
    let bytes = encode(&status).expect("has a form");
    let raw = b"\x0a\x06\x0a\x00\x12\x00\x1a\x00\x12\x00\x1a\x00\x22\x00\x30\x00";
    let mut wanted = b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Status\x12".to_vec();
    wanted.push(raw.len() as u8);
    wanted.extend_from_slice(raw);
    wanted.extend_from_slice(b"\x1a\x00\x22\x00");
    assert_eq!(bytes, wanted);
}

#[test]
fn other_kinds_have_no_form() {
    assert_eq!(encode(&json!({"apiVersion": "v1", "kind": "Table"})), None);
    assert_eq!(decode(b"k8s\0\x0a\x07\x12\x05Table"), Ok(None));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        drop(decode(&bytes));
        let mut body = b"k8s\0\x0a\x0f\x12\x0dDeleteOptions".to_vec();
        bytes_field(2, &bytes, &mut body);
        drop(decode(&body));
    }
}
