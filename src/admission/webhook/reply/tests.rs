use super::*;

fn reply(code: u16, content_type: &str, body: &str) -> Result<(), Failed> {
    let reply = Reply {
        code: StatusCode::from_u16(code).expect("a code"),
        content_type: content_type.to_owned(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    };
    reply.check(Version::V1)
}

fn told(code: u16, content_type: &str, body: &str) -> String {
    reply(code, content_type, body).expect_err("no answer").0
}

#[test]
fn only_a_text_is_told_of_an_error() {
    let text = told(500, "text/plain; charset=utf-8", " oops\n");
    assert_eq!(
        text,
        r#"an error on the server ("oops") has prevented the request from succeeding"#
    );
    let json = told(500, JSON, "{}");
    assert_eq!(
        json,
        r#"an error on the server ("unknown") has prevented the request from succeeding"#
    );
    assert_eq!(told(403, "", "no"), "no");
    assert_eq!(told(403, JSON, "no"), "unknown");
    let long = told(500, "text/plain", &"x".repeat(5_000));
    assert!(long.len() < 2_200 && long.contains(&"x".repeat(TOLD)));
    let other = "the server responded with the status code 418 but did not return more information";
    assert_eq!(told(418, JSON, ""), other);
}

#[test]
fn a_status_says_more() {
    let status = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"gate","code":409}"#;
    assert_eq!(reply(500, JSON, status), Err(Failed("gate".to_owned(), 409)));
    let success = status.replace("Failure", "Success");
    assert_eq!(reply(404, JSON, &success).expect_err("no answer").1, 404);
}

#[test]
fn an_answer_is_what_it_says_or_what_it_is_taken_for() {
    assert_eq!(reply(200, JSON, r#"{"response": {}}"#), Ok(()));
    assert_eq!(
        reply(
            206,
            "",
            r#"{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}"#
        ),
        Ok(())
    );
    let empty = "0-length response with status code: 204 and content type: application/json";
    assert_eq!(told(204, "", ""), empty);
    let ghost = told(200, JSON, r#"{"apiVersion": "nobody.example.com/v1", "kind": "Ghost"}"#);
    assert_eq!(
        ghost,
        r#"no kind "Ghost" is registered for version "nobody.example.com/v1""#
    );
    let before = told(
        200,
        JSON,
        r#"{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview"}"#,
    );
    assert_eq!(
        before,
        "converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion"
    );
}

/// Whoever makes a request may choose what a webhook is asked, so that its words are bounded wherever they are quoted.
#[test]
fn of_a_refusal_little_is_told() {
    let long = "ä".repeat(100_000);
    let status = format!(r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{long}","code":409}}"#);
    let kind = format!(r#"{{"kind":"{long}","apiVersion":"{long}/v1"}}"#);
    for (code, content_type, body) in [
        (500, JSON, &status),
        (200, JSON, &kind),
        (500, "text/plain", &long),
        (403, "", &long),
    ] {
        let text = told(code, content_type, body);
        assert!((TOLD / 2..3 * TOLD).contains(&text.len()), "{code}: {}", text.len());
    }
}
