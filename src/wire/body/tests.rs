use proptest::prelude::*;
use serde_json::json;

use super::*;

fn gadget(media: MediaType, text: &str) -> Result<Decoded, Status> {
    let group_version = GroupVersion::new("crd.example.com", "v1");
    let expected = Expected {
        group_version: &group_version,
        kind: "Gadget",
    };
    decode_object(media, text.as_bytes(), &expected)
}

fn refused(text: &str) -> String {
    let status = gadget(MediaType::Json, text).expect_err(text);
    assert_eq!(status.code, 400);
    let opening = "the object provided is unrecognized (must be of type Gadget): ";
    status
        .message
        .strip_prefix(opening)
        .unwrap_or(&status.message)
        .to_owned()
}

// The expected texts are kube-apiserver's own answers for a CustomResource.
#[test]
fn broken_json_is_refused_in_gos_words() {
    let parse = "couldn't get version/kind; json parse error: ";
    for (body, why) in [
        ("", "unexpected end of JSON input (<empty>)"),
        ("{", "unexpected end of JSON input ({)"),
        (
            "nope",
            "invalid character 'o' in literal null (expecting 'u') (6e6f7065)",
        ),
        (
            "{\"a\":tru}",
            "invalid character '}' in literal true (expecting 'e') ({\"a\":tru})",
        ),
        (
            "[]",
            "json: cannot unmarshal array into Go value of type struct { APIVersion string \
             \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" } (5b5d)",
        ),
        (
            "{\"apiVersion\":1,\"kind\":\"Gadget\"}",
            "json: cannot unmarshal number into Go struct field .apiVersion of type string \
             ({\"apiVersion\":1,\"kind\":\"Gadget ...)",
        ),
        (
            "{\"apiVersion\":\"crd.example.com/v1\",\"kind\":\"Gadget\"} x",
            "invalid character 'x' after top-level value ({\"apiVersion\":\"crd.example.com ...)",
        ),
    ] {
        assert_eq!(refused(body), format!("{parse}{why}"), "{body}");
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    assert!(
        refused(&deep).starts_with(&format!("{parse}invalid character '[' exceeded max depth")),
        "{}",
        refused(&deep)
    );
}

#[test]
fn json_errors_name_the_character() {
    for (body, why) in [
        ("{1", "invalid character '1' looking for beginning of object key string"),
        ("{\"a\" 1", "invalid character '1' after object key"),
        ("{\"a\":1 \"b\"", "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("'a'", "invalid character '\\'' looking for beginning of value"),
        ("\"\n\"", "invalid character '\\n' in string literal"),
        ("\"\\x\"", "invalid character 'x' in string escape code"),
        (
            "\"\\u12g4\"",
            "invalid character 'g' in \\u hexadecimal character escape",
        ),
        ("-a", "invalid character 'a' in numeric literal"),
        ("01", "invalid character '1' after top-level value"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1e", "unexpected end of JSON input"),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ("\u{e9}", "invalid character 'Ã' looking for beginning of value"),
        ("\"abc", "unexpected end of JSON input"),
    ] {
        assert_eq!(decode_json(body.as_bytes()).expect_err(body), why, "{body}");
    }
}

#[test]
fn objects_must_say_what_they_are() {
    assert_eq!(refused("{}"), "Object 'Kind' is missing in '{}' ({})");
    assert_eq!(refused("null"), "Object 'Kind' is missing in 'null' (6e756c6c)");
    assert_eq!(
        refused("{\"kind\":\"Gadget\"}"),
        "the API version in the data () does not match the expected API version (crd.example.com/v1)"
    );
    assert_eq!(
        refused("{\"apiVersion\":\"crd.example.com/v2\",\"kind\":\"Gadget\"}"),
        "the API version in the data (crd.example.com/v2) does not match the expected API version (crd.example.com/v1)"
    );
    assert_eq!(
        refused("{\"apiVersion\":\"a/b/c\",\"kind\":\"Gadget\"}"),
        "unexpected GroupVersion string: a/b/c ({\"apiVersion\":\"a/b/c\",\"kind\":\" ...)"
    );
    let other = "{\"apiVersion\":\"crd.example.com/v1\",\"kind\":\"Other\",\"metadata\":{\"name\":\"x\"}}";
    let status = gadget(MediaType::Json, other).expect_err("another kind");
    assert_eq!(status.code, 422);
    assert_eq!(
        status.message,
        "Other.crd.example.com \"x\" is invalid: kind: Invalid value: \"Other\": must be Gadget"
    );
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(10_000));
    assert!(refused(&long).len() < 5_000);
}

#[test]
fn duplicates_are_told_and_the_last_one_wins() {
    let body = "{\"apiVersion\":\"crd.example.com/v1\",\"kind\":\"Gadget\",\"metadata\":{\"name\":\"b\",\"name\":\"c\"},\
                \"spec\":{\"owners\":[{\"a\":1}],\"n\":1,\"n\":2,\"n\":3,\"owners\":[{\"name\":\"a\",\"name\":\"b\"}]}}";
    let decoded = gadget(MediaType::Json, body).expect("valid");
    assert_eq!(
        decoded.duplicates,
        [
            "duplicate field \"metadata.name\"",
            "duplicate field \"spec.n\"",
            "duplicate field \"spec.owners\"",
            "duplicate field \"spec.owners[0].name\"",
        ]
    );
    assert_eq!(decoded.value["spec"], json!({"owners": [{"name": "b"}], "n": 3}));
    let many: Vec<String> = (0..300).map(|number| format!("\"{0}\":1,\"{0}\":2", number)).collect();
    let decoded = decode_json(format!("{{{}}}", many.join(",")).as_bytes()).expect("valid");
    assert_eq!(decoded.duplicates.len(), 100);
}

#[test]
fn numbers_are_integers_where_they_are_whole() {
    let decoded = decode_json(b"[1.0, 1e3, 1.5, 18446744073709551615, -3, 9007199254740993]").expect("valid");
    assert_eq!(
        serde_json::to_string(&decoded.value).expect("a value"),
        "[1,1000,1.5,1.8446744073709552e+19,-3,9007199254740993]"
    );
    assert!(decode_json(b"1e999").is_err());
    assert_eq!(decode_json(b"\"\xff\"").expect("replaced").value, json!("\u{fffd}"));
}

#[test]
fn yaml_is_read_like_json() {
    let text = "apiVersion: crd.example.com/v1\nkind: Gadget\nmetadata: {name: y1}\nspec:\n  on: yes\n  n: 0x10\n  \
                text: '1'\n  list: &a [1, 2.5]\n  copy: *a\n  1: number\n  none: ~\n";
    let decoded = gadget(MediaType::Yaml, text).expect("valid");
    assert_eq!(
        decoded.value["spec"],
        json!({"on": true, "n": 16, "text": "1", "list": [1, 2.5], "copy": [1, 2.5], "1": "number", "none": null})
    );
    let empty = gadget(MediaType::Yaml, "").expect_err("empty");
    assert_eq!(
        empty.message,
        "the object provided is unrecognized (must be of type Gadget): Object 'Kind' is missing in '' (<empty>)"
    );
    let broken = gadget(MediaType::Yaml, "a: b: c").expect_err("broken");
    assert!(
        broken
            .message
            .starts_with("the object provided is unrecognized (must be of type Gadget): yaml: ")
    );
    assert!(!broken.message.contains('\n'), "{}", broken.message);
    assert!(
        decode(MediaType::Yaml, b"- a")
            .expect_err("a list")
            .message
            .contains("cannot unmarshal array into Go value")
    );
    assert!(decode_yaml(b"a: .inf").is_err());
    assert!(decode_yaml(b"a: \xff").is_err());
    assert!(decode_yaml(b"a: 1\n---\nb: 2\n").is_err());
}

#[test]
fn yaml_duplicates_are_told_with_their_line() {
    let decoded = decode_yaml(b"a: 1\nb:\n  c: 1\n  c: 2\n").expect("valid");
    assert_eq!(decoded.duplicates, ["line 4: key \"c\" already set in map"]);
    assert_eq!(decoded.value, json!({"a": 1, "b": {"c": 2}}));
}

#[test]
fn yaml_cannot_blow_up() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert!(decode_yaml(bomb.as_bytes()).is_err());
    for (depth, fits) in [(40, true), (41, false), (300, false), (30_000, false)] {
        let lists = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(decode_yaml(lists.as_bytes()).is_ok(), fits, "{depth}");
        let maps = format!("{}1{}", "{a: ".repeat(depth), "}".repeat(depth));
        assert_eq!(decode_yaml(maps.as_bytes()).is_ok(), fits, "{depth}");
    }
    let indented: String = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(decode_yaml(indented.as_bytes()).is_err());
}

#[test]
fn options_of_deletions_need_no_kind() {
    assert_eq!(decode(MediaType::Json, b"{}").expect("valid").value, json!({}));
    assert_eq!(
        decode(MediaType::Json, b"{").expect_err("broken").message,
        "couldn't get version/kind; json parse error: unexpected end of JSON input"
    );
    assert_eq!(MediaType::of(Some("application/yaml; x=y"), false), Ok(MediaType::Yaml));
    assert_eq!(MediaType::of(Some("text/plain"), true).expect_err("unknown").code, 415);
}

proptest! {
    #[test]
    fn json_is_decoded_or_explained(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let decoded = decode_json(&bytes);
        prop_assert_eq!(decoded.is_ok(), serde_json::from_str::<Value>(&text).is_ok());
    }

    #[test]
    fn json_like_text_is_decoded_or_explained(text in "[\\[\\]{}:,\"\\\\ ue0-9.truefalsn-]{0,24}") {
        let decoded = decode_json(text.as_bytes());
        // both judges agree, but for surrogates and for numbers out of range, where only the decoder objects
        match syntax::error(text.as_bytes(), DEPTH_LIMIT) {
            Some(why) => prop_assert_eq!(decoded, Err(why)),
            None => prop_assert!(decoded.is_ok() || text.contains("\\u") || text.contains('e')),
        }
    }

    #[test]
    fn yaml_is_decoded_or_refused(text in "[\\[\\]{}:,\"'&*a-c0-9\n -]{0,40}") {
        drop(decode_yaml(text.as_bytes()));
    }
}

#[test]
fn what_is_told_of_duplicates_is_short() {
    let twice: Vec<String> = (0..200).map(|at| format!(r#""n{at}":1,"n{at}":2"#)).collect();
    let few = decode_json(format!("{{{}}}", twice.join(",")).as_bytes()).unwrap();
    assert_eq!(
        (few.duplicates.len(), few.duplicates[0].as_str()),
        (100, "duplicate field \"n0\"")
    );
    let long = "ü".repeat(100_000);
    let deep = decode_json(format!(r#"{{"{long}":{{{}}}}}"#, twice.join(",")).as_bytes()).unwrap();
    let told: usize = deep.duplicates.iter().map(String::len).sum();
    assert!((1..4_096).contains(&told), "{told}");
}
