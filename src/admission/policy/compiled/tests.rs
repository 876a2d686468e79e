use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use serde_json::{Value, json};

use super::{Annotation, Policy, Verdict};
use crate::admission::cel::Inputs;

fn verdict(spec: Value) -> Verdict {
    let policy = json!({"metadata": {"name": "p"}, "spec": spec});
    let policy: ValidatingAdmissionPolicy = serde_json::from_value(policy).unwrap();
    let inputs = Inputs::new(Some(&json!({"a": 1, "s": "x"})), None, &json!({}), None, None);
    let inputs = inputs.with_params(Some(&json!({"limit": 3})));
    // As evaluations have it: a stack of their own.
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    let thread = thread.spawn(move || Policy::compile(&policy).validate(&inputs));
    thread.unwrap().join().unwrap()
}

/// Denies, error, message, reason; elapsed is left out.
fn decisions(spec: Value) -> Vec<(bool, bool, String, String)> {
    let decisions = verdict(spec).decisions.into_iter();
    decisions.map(|d| (d.denies, d.error, d.message, d.reason)).collect()
}

fn denied(message: &str, reason: &str) -> Vec<(bool, bool, String, String)> {
    vec![(true, false, message.to_owned(), reason.to_owned())]
}

#[test]
fn the_message_is_made_or_given_or_the_expression() {
    for (validation, message, reason) in [
        (
            json!({"expression": " object.a > params.limit "}),
            "failed expression: object.a > params.limit",
            "Invalid",
        ),
        (
            json!({"expression": "false", "message": " no \n", "reason": "Forbidden"}),
            "no",
            "Forbidden",
        ),
        (
            json!({"expression": "false", "message": "m", "messageExpression": "'a is ' + string(object.a)"}),
            "a is 1",
            "Invalid",
        ),
        (
            json!({"expression": "false", "message": "m", "messageExpression": "object.nope"}),
            "m",
            "Invalid",
        ),
        (
            json!({"expression": "false", "message": "m", "messageExpression": "'  '"}),
            "m",
            "Invalid",
        ),
        (
            json!({"expression": "false", "message": "m", "messageExpression": "'a\\nb'"}),
            "m",
            "Invalid",
        ),
        (
            json!({"expression": "false", "message": "m", "messageExpression": "object.a"}),
            "m",
            "Invalid",
        ),
        (
            json!({"expression": "false", "messageExpression": "variables.v"}),
            "v1",
            "Invalid",
        ),
        (
            json!({"expression": "false", "message": "m", "messageExpression": "string(authorizer.path('/x').check('get').allowed())"}),
            "m",
            "Invalid",
        ),
    ] {
        let spec =
            json!({"variables": [{"name": "v", "expression": "'v' + string(object.a)"}], "validations": [validation]});
        assert_eq!(decisions(spec), denied(message, reason), "{validation}");
    }
    let long = json!({"validations": [{"expression": "false", "message": "m", "messageExpression": format!("'{}'", "a".repeat(5_121))}]});
    assert_eq!(decisions(long), denied("m", "Invalid"));
    let admitted = decisions(json!({"validations": [{"expression": "true"}]}));
    assert_eq!(admitted, [(false, false, String::new(), String::new())]);
}

#[test]
fn the_failure_policy_decides_about_what_goes_wrong() {
    let text = "expression 'object.nope' resulted in error: no such key: nope";
    let wrong = |policy: Option<&str>| {
        let mut spec = json!({"validations": [{"expression": "object.nope", "message": "not told"}]});
        spec["failurePolicy"] = json!(policy);
        decisions(spec)
    };
    assert_eq!(wrong(None), [(true, true, text.to_owned(), String::new())]);
    assert_eq!(wrong(Some("Fail")), [(true, true, text.to_owned(), String::new())]);
    assert_eq!(wrong(Some("Ignore")), [(false, true, text.to_owned(), String::new())]);
}

#[test]
fn conditions_come_first() {
    let with = |conditions: Value, policy: &str| {
        let validations = json!([{"expression": "false", "message": "m"}]);
        decisions(json!({"matchConditions": conditions, "validations": validations, "failurePolicy": policy}))
    };
    let named = |expression: &str| json!({"name": "c", "expression": expression});
    assert_eq!(with(json!([named("object.a == 1")]), "Fail"), denied("m", "Invalid"));
    assert_eq!(with(json!([named("object.a == 2")]), "Fail"), []);
    assert_eq!(with(json!([named("object.nope"), named("false")]), "Fail"), []);
    let text = "expression 'object.nope' resulted in error: no such key: nope".to_owned();
    assert_eq!(
        with(json!([named("object.nope")]), "Fail"),
        [(true, true, text, String::new())]
    );
    assert_eq!(with(json!([named("object.nope")]), "Ignore"), []);
}

#[test]
fn annotations_are_published_left_out_or_wrong() {
    let annotations = |policy: &str| {
        let annotation = |key: &str, expression: &str| json!({"key": key, "valueExpression": expression});
        let annotations = json!([
            annotation("a", "' a is ' + string(object.a)"),
            annotation("b", "null"),
            annotation("c", "''"),
            annotation("d", "object.a"),
            annotation("e", "object.nope"),
        ]);
        verdict(json!({"auditAnnotations": annotations, "failurePolicy": policy})).annotations
    };
    let published = Annotation::Publish {
        key: "a".to_owned(),
        value: "a is 1".to_owned(),
    };
    let of_type = "valueExpression 'object.a' resulted in unsupported return type: int. Return type must be either string or null.";
    let wrong = "expression 'object.nope' resulted in error: no such key: nope";
    let error = |text: &str| Annotation::Error(text.to_owned());
    let (left_out, typed) = (Annotation::Exclude, error(of_type));
    let expected = [
        published.clone(),
        left_out.clone(),
        left_out.clone(),
        typed.clone(),
        error(wrong),
    ];
    assert_eq!(annotations("Fail"), expected);
    assert_eq!(
        annotations("Ignore"),
        [published, left_out.clone(), left_out.clone(), typed, left_out]
    );
}

#[test]
fn a_policy_that_runs_away_is_refused_as_a_whole() {
    let list: Vec<u32> = (0..1_000).collect();
    let list = serde_json::to_string(&list).unwrap();
    let long = format!("{list}.all(a, {list}.size() > 0 && {list}.all(b, b >= 0))");
    let validations: Vec<Value> = (0..20).map(|_| json!({"expression": long})).collect();
    let text = "validation failed due to running out of cost budget, no further validation rules will be run";
    assert_eq!(
        decisions(json!({"validations": validations})),
        [(true, true, text.to_owned(), String::new())]
    );
}
