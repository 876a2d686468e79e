//! What webhooks answer, and what comes of it. One webhook, and one object with its label, is a case.

use serde_json::{Value, json};

use super::super::scene::{Hook, Reach, Scene, Step, organization};
use crate::harness::webhooks::{Script, encode};

fn creates(case: &str) -> Step {
    Step::post(
        case,
        "organizations?dryRun=All",
        organization("answered", &json!({"labels": {"case": case}})),
    )
}

/// A body that says what it is, around this response.
fn review(response: &Value) -> String {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}).to_string()
}

/// What any webhook may answer.
fn common() -> Vec<(&'static str, Script)> {
    let long = "x".repeat(300);
    let many: Vec<String> = (0..40).map(|number| format!("{number} {}", "y".repeat(290))).collect();
    let deny = |status: Value| Script::deny(status);
    vec![
        ("deny", Script::Respond(json!({"allowed": false}))),
        ("deny-empty", deny(json!({}))),
        ("deny-message", deny(json!({"message": "not today"}))),
        ("deny-empty-message", deny(json!({"message": ""}))),
        (
            "deny-code",
            deny(json!({"code": 422, "message": "odd", "reason": "Invalid"})),
        ),
        ("deny-code-alone", deny(json!({"code": 418}))),
        ("deny-code-200", deny(json!({"code": 200, "message": "fine"}))),
        (
            "deny-code-500",
            deny(json!({"code": 500, "message": "broken", "reason": "InternalError"})),
        ),
        ("deny-reason", deny(json!({"reason": "TooManyRequests"}))),
        (
            "deny-reason-message",
            deny(json!({"reason": "NotFound", "message": "nobody"})),
        ),
        (
            "deny-retry",
            deny(
                json!({"code": 429, "reason": "TooManyRequests", "message": "later", "details": {"retryAfterSeconds": 3}}),
            ),
        ),
        (
            "deny-details",
            deny(json!({
                "code": 403, "message": "see the causes", "reason": "Forbidden", "status": "Failure", "metadata": {},
                "details": {"name": "n", "group": "g", "kind": "k", "uid": "u", "causes": [{"reason": "FieldValueInvalid", "message": "m", "field": "spec.f"}]},
            })),
        ),
        ("deny-success", deny(json!({"status": "Success", "message": "how odd"}))),
        (
            "warn",
            Script::Respond(json!({"allowed": true, "warnings": ["one", "two \"quoted\"", "ünïcode", ""]})),
        ),
        (
            "warn-twice",
            Script::Respond(json!({"allowed": true, "warnings": ["same", "same"]})),
        ),
        (
            "warn-long",
            Script::Respond(json!({"allowed": true, "warnings": [long, "short"]})),
        ),
        (
            "warn-newline",
            Script::Respond(json!({"allowed": true, "warnings": ["a\nb"]})),
        ),
        (
            "warn-and-deny",
            Script::Respond(json!({"allowed": false, "warnings": ["beware"], "status": {"message": "no"}})),
        ),
        ("warn-much", Script::Respond(json!({"allowed": true, "warnings": many}))),
        (
            "annotate-badly",
            Script::Respond(json!({"allowed": true, "auditAnnotations": {
                "not valid!": "x", "a/b": "x", "": "x", "good": "<v> & \"w\"", "empty": "", "Upper_case.too": "x",
            }})),
        ),
        (
            "annotate-and-deny",
            Script::Respond(json!({"allowed": false, "auditAnnotations": {"why": "because"}})),
        ),
        (
            "annotate",
            Script::Respond(json!({"allowed": true, "auditAnnotations": {"key": "value"}})),
        ),
        (
            "message-and-allow",
            Script::Respond(json!({"allowed": true, "status": {"message": "unheard"}})),
        ),
    ]
}

/// What no webhook should answer.
fn odd() -> Vec<(&'static str, Script)> {
    let raw = |code: u16, body: String| Script::Raw(code, body);
    vec![
        ("uid-wrong", raw(200, review(&json!({"allowed": true, "uid": "another"})))),
        ("uid-missing", raw(200, review(&json!({"allowed": true})))),
        ("response-missing", raw(200, json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}).to_string())),
        ("version-wrong", raw(200, json!({"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "response": {"uid": "UID", "allowed": true}}).to_string())),
        ("kind-missing", raw(200, json!({"response": {"uid": "UID", "allowed": true}}).to_string())),
        ("kind-wrong", raw(200, json!({"apiVersion": "v1", "kind": "Status", "status": "Success"}).to_string())),
        ("unknown-kind", raw(200, json!({"apiVersion": "nobody.example.com/v1", "kind": "Ghost"}).to_string())),
        ("body-empty", raw(200, String::new())),
        ("body-text", raw(200, "hello".to_owned())),
        ("body-html", raw(200, "<html></html>".to_owned())),
        ("body-cut", raw(200, "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"resp".to_owned())),
        ("body-types", raw(200, review(&json!({"uid": "UID", "allowed": "yes"})))),
        ("status-500", raw(500, "oops".to_owned())),
        ("status-503", raw(503, String::new())),
        ("status-404", raw(404, "404 page not found".to_owned())),
        ("status-403", raw(403, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "gate", "reason": "Forbidden", "code": 403}).to_string())),
        ("status-302", raw(302, String::new())),
        ("status-400", raw(400, "{}".to_owned())),
        ("status-401", raw(401, String::new())),
        ("status-405", raw(405, String::new())),
        ("status-409", raw(409, String::new())),
        ("status-418", raw(418, "teapot".to_owned())),
        ("status-422", raw(422, String::new())),
        ("status-429", raw(429, String::new())),
        ("status-504", raw(504, String::new())),
        ("text-403", Script::Text(403, " go away\n".to_owned())),
        ("text-406", Script::Text(406, "another form".to_owned())),
        ("text-415", Script::Text(415, "no JSON".to_owned())),
        ("text-500", Script::Text(500, "a \"stack\" trace\n".to_owned())),
        ("text-200", Script::Text(200, review(&json!({"uid": "UID", "allowed": true})))),
        ("status-in-500", raw(500, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "gone", "reason": "Gone", "code": 410}).to_string())),
        ("status-without-version", raw(500, json!({"kind": "Status", "status": "Failure", "message": "old"}).to_string())),
        ("failure-in-200", raw(200, json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "message": "no"}).to_string())),
        ("kind-lower", raw(200, json!({"apiVersion": "admission.k8s.io/v1", "kind": "admissionreview", "response": {"uid": "UID", "allowed": true}}).to_string())),
        ("version-alone", raw(200, json!({"apiVersion": "admission.k8s.io/v1", "response": {"uid": "UID", "allowed": true}}).to_string())),
        ("kind-alone", raw(200, json!({"kind": "AdmissionReview", "response": {"uid": "UID", "allowed": true}}).to_string())),
        ("response-null", raw(200, json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": null}).to_string())),
        ("answer-empty", raw(200, review(&json!({})))),
        ("status-type", raw(200, review(&json!({"uid": "UID", "allowed": false, "status": "no"})))),
        ("members-null", raw(200, review(&json!({"uid": "UID", "allowed": true, "status": null, "warnings": null, "auditAnnotations": null, "patch": null, "patchType": null})))),
        ("status-201", raw(201, review(&json!({"uid": "UID", "allowed": true})))),
        ("status-204", raw(204, String::new())),
        ("extra-fields", raw(200, review(&json!({"uid": "UID", "allowed": true, "more": {"a": 1}})))),
    ]
}

/// Answers to the version before v1.
fn before() -> Vec<(&'static str, Script)> {
    let review = |version: &str, response: Value| {
        let body = json!({"apiVersion": format!("admission.k8s.io/{version}"), "kind": "AdmissionReview", "response": response});
        Script::Raw(200, body.to_string())
    };
    let some = encode(&json!([{"op": "add", "path": "/metadata/labels/x", "value": "y"}]).to_string());
    vec![
        ("before", review("v1beta1", json!({"uid": "UID", "allowed": true}))),
        (
            "before-denied",
            review("v1beta1", json!({"allowed": false, "status": {"message": "old times"}})),
        ),
        (
            "before-uid-wrong",
            review("v1beta1", json!({"uid": "another", "allowed": true})),
        ),
        ("before-v1", review("v1", json!({"uid": "UID", "allowed": true}))),
        (
            "before-bare",
            Script::Raw(200, json!({"response": {"allowed": true}}).to_string()),
        ),
        ("before-absent", Script::Raw(200, json!({}).to_string())),
        (
            "before-patch",
            review("v1beta1", json!({"allowed": true, "patch": some})),
        ),
        (
            "before-patch-type",
            review("v1beta1", json!({"allowed": true, "patch": some, "patchType": "Odd"})),
        ),
        (
            "before-type-alone",
            review("v1beta1", json!({"allowed": true, "patchType": "JSONPatch"})),
        ),
    ]
}

fn scene(name: &'static str, hooks: Vec<Hook>, mut steps: Vec<Step>) -> Scene {
    let cases = hooks.iter().map(|hook| creates(&hook.name));
    steps.splice(0..0, cases);
    Scene { name, hooks, steps }
}

pub(in super::super) fn validating() -> Scene {
    let mut hooks: Vec<Hook> = Vec::new();
    for (name, script) in common().into_iter().chain(odd()) {
        hooks.push(Hook::validating(name, script).of_case(name));
    }
    for (name, script) in odd() {
        let name = format!("{name}-ignored");
        hooks.push(
            Hook::validating(&name, script)
                .of_case(&name)
                .with(json!({"failurePolicy": "Ignore"})),
        );
    }
    for (name, script) in before() {
        hooks.push(
            Hook::validating(name, script)
                .of_case(name)
                .with(json!({"admissionReviewVersions": ["v2", "v1beta1", "v1"]})),
        );
    }
    let patch = Script::patch(&json!([{"op": "add", "path": "/metadata/labels/x", "value": "y"}]));
    hooks.push(Hook::validating("patch", patch).of_case("patch"));
    let refuse = |name: &str, operation: &str| {
        Hook::validating(name, Script::deny(json!({"message": format!("no {operation}")})))
            .rule(&json!({"operations": [operation], "resources": ["organizations", "organizations/status"]}))
            .of_case("refused")
    };
    let mut scene = scene("validating", hooks, Vec::new());
    scene
        .hooks
        .extend([refuse("no-update", "UPDATE"), refuse("no-delete", "DELETE")]);
    let item = "organizations/refused";
    let labelled = json!({"labels": {"case": "refused", "group": "refused"}});
    scene.steps.extend([
        Step::post(
            "create what may not change",
            "organizations",
            organization("refused", &labelled),
        ),
        Step::put("update", item, organization("refused", &labelled)),
        Step::replace(
            "replace",
            item,
            organization(
                "refused",
                &json!({"labels": {"case": "refused", "group": "refused", "r": "1"}}),
            ),
        ),
        Step::merge("merge", item, json!({"metadata": {"labels": {"a": "b"}}})),
        Step::merge(
            "merge the label away",
            item,
            json!({"metadata": {"labels": {"case": null}}}),
        ),
        Step::json_patch(
            "patch the object",
            item,
            json!([{"op": "remove", "path": "/metadata/labels/case"}]),
        ),
        Step::apply(
            "apply",
            item,
            organization("refused", &json!({"labels": {"case": "refused", "b": "c"}})),
        ),
        Step::merge(
            "merge the status",
            format!("{item}/status"),
            json!({"status": {"phase": "Ready"}}),
        ),
        Step::delete("delete", item, Value::Null),
        Step::delete("delete in dry run", format!("{item}?dryRun=All"), Value::Null),
        Step::delete(
            "delete its collection",
            "organizations?labelSelector=group%3Drefused",
            Value::Null,
        ),
    ]);
    scene
}

pub(in super::super) fn mutating() -> Scene {
    let patch = |operations: Value| Script::patch(&operations);
    let add = |path: &str, value: Value| patch(json!([{"op": "add", "path": path, "value": value}]));
    let respond = |response: Value| Script::Respond(response);
    let some = encode("[]");
    let cases = vec![
        ("label", add("/metadata/labels/x", json!("y"))),
        ("annotation", add("/metadata/annotations", json!({"x": "y"}))),
        (
            "spec",
            add(
                "/spec/owners/-",
                json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ben"}),
            ),
        ),
        ("status-field", add("/status", json!({"phase": "Ready"}))),
        ("unknown-field", add("/spec/unknown", json!({"a": 1}))),
        ("unknown-top", add("/unknown", json!({"a": 1}))),
        ("invalid", add("/spec/owners", json!([]))),
        ("wrong-type", add("/spec/owners", json!("ann"))),
        ("name", add("/metadata/name", json!("another"))),
        ("namespace", add("/metadata/namespace", json!("plain"))),
        (
            "uid",
            add("/metadata/uid", json!("11111111-2222-3333-4444-555555555555")),
        ),
        ("finalizer", add("/metadata/finalizers", json!(["example.com/f"]))),
        ("generation", add("/metadata/generation", json!(7))),
        ("kind", add("/kind", json!("Project"))),
        ("api-version", add("/apiVersion", json!("v1"))),
        ("managed-fields", add("/metadata/managedFields", json!([]))),
        (
            "labels-gone",
            patch(json!([{"op": "remove", "path": "/metadata/labels"}])),
        ),
        ("metadata-gone", patch(json!([{"op": "remove", "path": "/metadata"}]))),
        ("label-invalid", add("/metadata/labels/x", json!("not a value!"))),
        ("label-number", add("/metadata/labels/x", json!(1))),
        (
            "path-missing",
            patch(json!([{"op": "remove", "path": "/spec/nothing"}])),
        ),
        (
            "test-fails",
            patch(json!([{"op": "test", "path": "/metadata/name", "value": "x"}])),
        ),
        (
            "test-holds",
            patch(json!([{"op": "test", "path": "/metadata/name", "value": "answered"}])),
        ),
        (
            "op-unknown",
            patch(json!([{"op": "destroy", "path": "/metadata/name"}])),
        ),
        ("empty-list", patch(json!([]))),
        ("not-a-list", patch(json!({"metadata": {}}))),
        (
            "patch-text",
            respond(json!({"allowed": true, "patchType": "JSONPatch", "patch": encode("hello")})),
        ),
        (
            "patch-not-base64",
            respond(json!({"allowed": true, "patchType": "JSONPatch", "patch": "%%%"})),
        ),
        ("patch-without-type", respond(json!({"allowed": true, "patch": some}))),
        (
            "type-without-patch",
            respond(json!({"allowed": true, "patchType": "JSONPatch"})),
        ),
        (
            "type-unknown",
            respond(json!({"allowed": true, "patchType": "MergePatch", "patch": some})),
        ),
        (
            "patch-and-deny",
            respond(json!({"allowed": false, "patchType": "JSONPatch", "patch": some})),
        ),
        (
            "warn-and-patch",
            respond(json!({
                "allowed": true, "warnings": ["patched"], "patchType": "JSONPatch",
                "patch": encode("[{\"op\":\"add\",\"path\":\"/metadata/labels/x\",\"value\":\"y\"}]"),
            })),
        ),
    ];
    let mut hooks: Vec<Hook> = Vec::new();
    for (name, script) in common().into_iter().chain(odd()).chain(cases) {
        let name = format!("m-{name}");
        hooks.push(Hook::mutating(&name, script).of_case(&name));
    }
    for (name, script) in odd() {
        let name = format!("m-{name}-ignored");
        hooks.push(
            Hook::mutating(&name, script)
                .of_case(&name)
                .with(json!({"failurePolicy": "Ignore"})),
        );
    }
    for (name, script) in before() {
        let name = format!("m-{name}");
        hooks.push(
            Hook::mutating(&name, script)
                .of_case(&name)
                .with(json!({"admissionReviewVersions": ["v1beta1"]})),
        );
    }
    let bad = Script::patch(&json!([{"op": "remove", "path": "/spec/nothing"}]));
    hooks.push(
        Hook::mutating("m-path-missing-ignored", bad)
            .of_case("m-path-missing-ignored")
            .with(json!({"failurePolicy": "Ignore"})),
    );
    let mut scene = scene("mutating", hooks, Vec::new());
    let changed = Script::patch(&json!([{"op": "add", "path": "/metadata/annotations", "value": {"changed": "yes"}}]));
    let always = json!({"resources": ["organizations", "organizations/status"], "operations": ["CREATE", "UPDATE"]});
    scene
        .hooks
        .push(Hook::mutating("m-always", changed).rule(&always).of_case("always"));
    let seen = Hook::validating("v-after", Script::allow())
        .rule(&always)
        .of_case("always");
    scene.hooks.push(seen);
    let item = "organizations/always";
    let labelled = json!({"labels": {"case": "always"}});
    scene.steps.extend([
        Step::post("create", "organizations", organization("always", &labelled)),
        Step::put("update", item, organization("always", &labelled)),
        Step::replace(
            "replace",
            item,
            organization("always", &json!({"labels": {"case": "always", "r": "1"}})),
        ),
        Step::merge("merge", item, json!({"metadata": {"labels": {"a": "b"}}})),
        Step::json_patch(
            "patch",
            item,
            json!([{"op": "add", "path": "/metadata/labels/c", "value": "d"}]),
        ),
        Step::apply(
            "apply",
            item,
            organization("always", &json!({"labels": {"case": "always", "b": "c"}})),
        ),
        Step::apply(
            "apply the same",
            item,
            organization("always", &json!({"labels": {"case": "always", "b": "c"}})),
        ),
        Step::apply(
            "apply a new one",
            "organizations/always-new",
            organization("always-new", &labelled),
        ),
        Step::merge(
            "merge the status",
            format!("{item}/status"),
            json!({"status": {"phase": "Ready"}}),
        ),
        Step::merge("merge nothing", item, json!({})),
        Step::delete("delete what a webhook wants to change", item, Value::Null),
        Step::merge("take its label", item, json!({"metadata": {"labels": {"b": null}}})),
        Step::delete("delete", item, Value::Null),
    ]);
    // A deletion has no object to be changed.
    let wrong = Script::patch(&json!([{"op": "add", "path": "/metadata/labels", "value": {}}]));
    scene.hooks.push(
        Hook::mutating("m-undeletable", wrong)
            .rule(&json!({"operations": ["DELETE"]}))
            .with(json!({"objectSelector": {"matchLabels": {"b": "c"}}})),
    );
    scene
}

/// Webhooks that cannot be asked.
pub(in super::super) fn failures() -> Scene {
    let mut hooks = Vec::new();
    for (name, script, reach) in [
        ("dead", Script::allow(), Reach::Dead),
        ("untrusted", Script::allow(), Reach::Untrusted),
        ("misnamed", Script::allow(), Reach::Misnamed),
        ("no-service", Script::allow(), Reach::NoService),
        ("slow", Script::Never, Reach::Url),
        ("slow-service", Script::Never, Reach::Service),
        (
            "service",
            Script::deny(json!({"message": "by service"})),
            Reach::Service,
        ),
    ] {
        for policy in ["Fail", "Ignore"] {
            for mutating in [true, false] {
                let name = format!("{}-{name}-{}", if mutating { "m" } else { "v" }, policy.to_lowercase());
                let hook = match mutating {
                    true => Hook::mutating(&name, script.clone()),
                    false => Hook::validating(&name, script.clone()),
                };
                let slow = matches!(script, Script::Never);
                let hook = hook.of_case(&name).reached(reach.clone());
                hooks.push(hook.with(json!({"failurePolicy": policy, "timeoutSeconds": if slow { 1 } else { 30 }})));
            }
        }
    }
    let mut scene = scene("failures", hooks, Vec::new());
    // Of several that refuse, and of one that fails beside one that refuses.
    let refuse = |name: &str| Hook::validating(name, Script::deny(json!({"message": "the one"}))).of_case("beside");
    scene.hooks.push(refuse("refuses"));
    scene.hooks.push(
        Hook::validating("ignored", Script::allow())
            .reached(Reach::Dead)
            .of_case("beside")
            .with(json!({"failurePolicy": "Ignore"})),
    );
    scene.steps.push(creates("beside"));
    scene
}
