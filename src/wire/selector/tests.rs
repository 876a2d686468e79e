use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn label_error(text: &str) -> String {
    LabelSelector::parse(text).expect_err(text)
}

#[test]
fn label_selectors_print_canonically() {
    for (text, printed) in [
        ("", ""),
        ("b, a", "a,b"),
        (" !x ,y in (b , a,a)", "!x,y in (a,b)"),
        ("x in (foo,,baz),y,z notin ()", "x in (,baz,foo),y,z notin ()"),
        ("x in (,)", "x in ()"),
        ("a = b,c==d,e!=f", "a=b,c==d,e!=f"),
        ("a=,b", "a=,b"),
        ("n>5,n<7", "n>5,n<7"),
        ("in in (in,notin)", "in in (in,notin)"),
        ("a=\u{0}b", "a=b"),
        ("a \u{0}=b", "a"),
    ] {
        let selector = LabelSelector::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(selector.to_string(), printed, "{text}");
    }
}

#[test]
fn label_selectors_fail_in_kubernetes_words() {
    assert_eq!(
        label_error("a b"),
        "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"
    );
    assert_eq!(label_error("a,"), "found '', expected: identifier after ','");
    assert_eq!(label_error("a=b c"), "found 'c', expected: ',' or 'end of string'");
    assert_eq!(label_error("!a in (b)"), "found 'in', expected: ',' or 'end of string'");
    assert_eq!(
        label_error("=a"),
        "found '=', expected: !, identifier, or 'end of string'"
    );
    assert_eq!(
        label_error("!"),
        "unable to parse requirement: found '', expected: identifier"
    );
    assert_eq!(
        label_error("a in b"),
        "unable to parse requirement: found 'b' expected: '('"
    );
    assert_eq!(
        label_error("a in (b"),
        "unable to parse requirement: found '', expected: ',' or ')'"
    );
    assert_eq!(
        label_error("a in (!"),
        "unable to parse requirement: found '!', expected: ',', ')' or identifier"
    );
    assert_eq!(
        label_error("a in (b,!"),
        "unable to parse requirement: found '!', expected: ',', or identifier"
    );
    assert_eq!(
        label_error("a=!"),
        "unable to parse requirement: found '!', expected: identifier"
    );
    assert_eq!(
        label_error("a>b"),
        "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an \
         integer"
    );
    assert!(label_error("/a").starts_with("unable to parse requirement: <nil>: Invalid value: \"/a\": prefix part"));
    let value = label_error("a in (x,-)");
    assert!(
        value.starts_with("unable to parse requirement: values[0][a]: Invalid value: \"-\": a valid label must be"),
        "{value}"
    );
}

#[test]
fn field_selectors_print_canonically() {
    for (text, printed) in [
        ("", ""),
        (",", ""),
        ("b=1,a==2,c!=3", "a=2,b=1,c!=3"),
        ("a=x\\,y\\=z\\\\", "a=x\\,y\\=z\\\\"),
        ("a!=", "a!="),
    ] {
        let selector = FieldSelector::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(selector.to_string(), printed, "{text}");
    }
}

#[test]
fn field_selectors_fail_in_kubernetes_words() {
    let error = |text: &str| FieldSelector::parse(text).expect_err(text);
    assert_eq!(error("a,b=c"), "invalid selector: 'a,b=c'; can't understand 'a'");
    assert_eq!(
        error("a=b=c"),
        "invalid field selector: unescaped character in value: 61"
    );
    assert_eq!(error("a=b\\c"), "invalid field selector: invalid escape sequence: \\c");
    assert_eq!(error("a=b\\"), "invalid field selector: invalid escape sequence: \\");
}

#[test]
fn field_selectors_know_names_and_limits() {
    let selector = FieldSelector::parse("metadata.name=a,status.phase!=Ready").expect("valid");
    assert_eq!(selector.exact_name(), Some("a"));
    assert_eq!(selector.exact("status.phase"), None);
    assert_eq!(selector.unknown(|field| field == "metadata.name"), Some("status.phase"));
    assert_eq!(selector.unknown(|_| true), None);
    assert!(selector.matches(|field| (field == "metadata.name").then_some("a")));
    assert!(!selector.matches(|field| Some(if field == "metadata.name" { "a" } else { "Ready" })));
    assert!(FieldSelector::parse("x=").expect("valid").matches(|_| None));
    assert_eq!(FieldSelector::by_name("a").to_string(), "metadata.name=a");
}

fn requirement() -> impl Strategy<Value = String> {
    let key = "[abc]";
    let values = vec("[123]?", 1..4).prop_map(|values| values.join(","));
    prop_oneof![
        key.prop_map(|key| key),
        key.prop_map(|key| format!("!{key}")),
        (key, prop_oneof!["=", "==", "!="], "[123]?").prop_map(|(key, op, value)| format!("{key} {op} {value}")),
        (key, prop_oneof![" in ", " notin "], values).prop_map(|(key, op, values)| format!("{key}{op}({values})")),
        (key, prop_oneof!["<", ">"], "[123]").prop_map(|(key, op, value)| format!("{key}{op}{value}")),
    ]
}

/// An independent reading of one requirement's canonical text.
fn holds(text: &str, labels: &BTreeMap<String, String>) -> bool {
    let of = |key: &str| labels.get(key).map(String::as_str);
    if let Some(key) = text.strip_prefix('!') {
        return of(key).is_none();
    }
    let listed = |key: &str, list: &str| {
        let list = list.trim_end_matches(')');
        of(key).is_some_and(|value| list.split(',').any(|one| one == value))
    };
    if let Some((key, list)) = text.split_once(" in (") {
        return listed(key, list);
    }
    if let Some((key, list)) = text.split_once(" notin (") {
        return !listed(key, list);
    }
    if let Some((key, value)) = text.split_once("!=") {
        return of(key) != Some(value);
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return of(key) == Some(value);
    }
    let number = |text: &str| text.parse::<i64>().ok();
    if let Some((key, value)) = text.split_once('<') {
        return matches!((of(key).and_then(number), number(value)), (Some(a), Some(b)) if a < b);
    }
    if let Some((key, value)) = text.split_once('>') {
        return matches!((of(key).and_then(number), number(value)), (Some(a), Some(b)) if a > b);
    }
    of(text).is_some()
}

proptest! {
    #[test]
    fn label_selectors_survive_printing(parts in vec(requirement(), 0..5)) {
        let selector = LabelSelector::parse(&parts.join(",")).expect("generated selectors are valid");
        prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
    }

    #[test]
    fn label_selectors_match_as_brute_force_does(
        parts in vec(requirement(), 0..5),
        labels in btree_map("[abc]", "[1234]?", 0..4),
    ) {
        let selector = LabelSelector::parse(&parts.join(",")).expect("generated selectors are valid");
        let expected = selector.requirements().iter().all(|one| holds(&one.to_string(), &labels));
        prop_assert_eq!(selector.matches(|key| labels.get(key).map(String::as_str)), expected);
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "[ab!=,()<> in\0é]{0,12}") {
        drop(LabelSelector::parse(&text));
        drop(FieldSelector::parse(&text));
    }

    #[test]
    fn field_selectors_survive_printing(terms in vec(("[a-c.]{1,3}", any::<bool>(), "[ab\\\\,=:!]{0,4}"), 0..4)) {
        let text: Vec<String> = terms
            .iter()
            .map(|(field, equal, value)| FieldTerm { field: field.clone(), equal: *equal, value: value.clone() }.to_string())
            .collect();
        let selector = FieldSelector::parse(&text.join(",")).expect("printed terms are valid");
        prop_assert_eq!(selector.terms().len(), terms.len());
        prop_assert_eq!(FieldSelector::parse(&selector.to_string()), Ok(selector));
    }
}
