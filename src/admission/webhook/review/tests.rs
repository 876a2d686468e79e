use serde_json::json;

use super::*;

fn answer(version: Version, mutating: bool, review: &Value) -> Result<Answer, Bad> {
    version.answer("u", mutating, &serde_json::to_vec(review).unwrap())
}

fn review(response: Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

#[test]
fn denials_have_the_words_of_the_go_server() {
    let status = |given: Value| denied("v.x.io", Some(serde_json::from_value(given).unwrap()));
    let by = "admission webhook \"v.x.io\" denied the request";
    let none = denied("v.x.io", None);
    assert_eq!((none.code, none.message), (400, format!("{by} without explanation")));
    let said = status(json!({"code": 200, "message": "no", "reason": "Odd"}));
    assert_eq!(
        (said.code, &*said.reason, said.message),
        (400, "Odd", format!("{by}: no"))
    );
    let reason = status(json!({"code": 403, "reason": "Forbidden"}));
    assert_eq!((reason.code, reason.message), (403, format!("{by}: Forbidden")));
    let details = status(json!({"details": {"causes": [{"field": "spec.x"}], "retryAfterSeconds": 3}}));
    let details = details.details.unwrap();
    assert_eq!(
        (details.causes[0].field.as_str(), details.retry_after_seconds),
        ("spec.x", 3)
    );
}

#[test]
fn what_answers_another_question_is_no_answer() {
    let invalid = |version, mutating, given: &Value| match answer(version, mutating, given) {
        Err(Bad::Invalid(why)) => why,
        other => panic!("{given}: {other:?}"),
    };
    let v1 = |mutating, response| invalid(Version::V1, mutating, &review(response));
    assert_eq!(v1(true, json!({"uid": "x"})), r#"expected response.uid="u", got "x""#);
    assert_eq!(v1(true, Value::Null), "webhook response was absent");
    let bare = json!({"response": {"uid": "u", "allowed": true}});
    let wanted = "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=";
    assert_eq!(invalid(Version::V1, true, &bare), wanted);
    let patch = STANDARD.encode("[]");
    let given = |patch_type: Value| json!({"uid": "u", "allowed": true, "patch": patch, "patchType": patch_type});
    assert_eq!(
        v1(true, given(Value::Null)),
        "webhook returned response.patch but not response.patchType"
    );
    assert_eq!(
        v1(false, given(Value::Null)),
        "validating webhook may not return response.patch"
    );
    // the version before says less
    let before = answer(Version::V1beta1, true, &bare).unwrap();
    assert!(before.allowed && before.patch.is_empty());
}

#[test]
fn the_first_version_that_is_known_is_spoken() {
    let of = |versions: &[&str]| Version::of(&versions.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(of(&["v2", "v1beta1", "v1"]), Ok(Version::V1beta1));
    assert!(of(&["v2"]).is_err());
}
