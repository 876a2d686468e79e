//! What becomes of a write: codes, reasons, causes, warnings; by matching, parameters, conditions and failure policies.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt};
use http::Method;
use serde_json::{Value, json};

use super::{AT_ONCE, NAMESPACE, compare, configure, policy, thing, twin};
use crate::audit::{events, recording};
use crate::harness::in_process::DEADLINE;
use crate::harness::twin::{Ask, Twin};
use crate::harness::{AUDIT_POLICY, ControlPlane, eventually, guardian};
use crate::metrics::scrape::{Labels, Scrape};

/// Kube-apiserver records what is asked of it.
const GROUP: &str = "outcomes.policies.io";

fn validation(expression: &str) -> Value {
    json!({"validations": [{"expression": expression, "message": "no"}]})
}

fn with(mut spec: Value, more: Value) -> Value {
    super::merge(&mut spec, more);
    spec
}

/// Name, policy, binding.
fn policies() -> Vec<(&'static str, Value, Value)> {
    let config_map = json!({"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}});
    let limited = || {
        with(
            config_map.clone(),
            json!({"validations": [{
                "expression": "object.spec.count <= int(params.data.most)",
                "messageExpression": "'at most ' + params.data.most + ' by ' + params.metadata.name + ' of ' + params.kind + ' ' + params.apiVersion",
            }]}),
        )
    };
    let named = |name: &str, action: &str| json!({"paramRef": {"name": name, "parameterNotFoundAction": action}});
    let operations = |operations: Value| {
        let rule = json!([{"apiGroups": ["GROUP"], "apiVersions": ["v1"], "resources": ["things", "globals"], "operations": operations}]);
        json!({"matchConstraints": {"resourceRules": rule}})
    };
    let reason = |reason: &str| json!({"validations": [{"expression": "false", "message": "no", "reason": reason}]});
    vec![
        ("invalid", validation("false"), json!({})),
        ("forbidden", reason("Forbidden"), json!({})),
        ("too-large", reason("RequestEntityTooLarge"), json!({})),
        ("allowed", validation("true"), json!({})),
        (
            "expression",
            json!({"validations": [{"expression": " object.spec.count > 5 "}]}),
            json!({}),
        ),
        (
            "two",
            json!({"validations": [{"expression": "object.spec.count > 5"}, {"expression": "object.spec.count > 6"}]}),
            json!({}),
        ),
        ("warn", validation("false"), json!({"validationActions": ["Warn"]})),
        (
            "warn-audit",
            validation("false"),
            json!({"validationActions": ["Warn", "Audit"]}),
        ),
        (
            "deny-audit",
            validation("false"),
            json!({"validationActions": ["Deny", "Audit"]}),
        ),
        ("audit", validation("false"), json!({"validationActions": ["Audit"]})),
        ("error-fail", validation("object.spec.nope == 1"), json!({})),
        (
            "error-ignore",
            with(validation("object.spec.nope == 1"), json!({"failurePolicy": "Ignore"})),
            json!({}),
        ),
        (
            "error-warn",
            validation("object.spec.nope == 1"),
            json!({"validationActions": ["Warn"]}),
        ),
        (
            "annotation-error",
            json!({"auditAnnotations": [{"key": "k", "valueExpression": "string(object.spec.nope)"}]}),
            json!({}),
        ),
        (
            "annotation",
            json!({"auditAnnotations": [{"key": "k", "valueExpression": "'v'"}]}),
            json!({}),
        ),
        (
            "update",
            with(validation("false"), operations(json!(["UPDATE"]))),
            json!({}),
        ),
        (
            "create",
            with(validation("false"), operations(json!(["CREATE"]))),
            json!({}),
        ),
        (
            "delete",
            with(
                validation("oldObject.spec.count > 100 && object == null"),
                operations(json!(["DELETE"])),
            ),
            json!({}),
        ),
        (
            "grow",
            with(
                validation("object.spec.count >= oldObject.spec.count"),
                operations(json!(["UPDATE"])),
            ),
            json!({}),
        ),
        ("old-null", validation("oldObject == null"), json!({})),
        (
            "old-field",
            validation("object.spec.count >= oldObject.spec.count"),
            json!({}),
        ),
        (
            "namespaced",
            with(
                validation("false"),
                json!({"matchConstraints": {"namespaceSelector": {"matchLabels": {"tier": "gold"}}}}),
            ),
            json!({}),
        ),
        (
            "elsewhere",
            with(
                validation("false"),
                json!({"matchConstraints": {"namespaceSelector": {"matchLabels": {"tier": "tin"}}}}),
            ),
            json!({}),
        ),
        (
            "bound-elsewhere",
            validation("false"),
            json!({"matchResources": {"namespaceSelector": {"matchLabels": {"tier": "tin"}}}}),
        ),
        (
            "bound-here",
            validation("false"),
            json!({"matchResources": {"namespaceSelector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold", "tin"]}]}}}),
        ),
        (
            "excluded",
            with(
                validation("false"),
                json!({"matchConstraints": {"excludeResourceRules": [
            {"apiGroups": ["GROUP"], "apiVersions": ["*"], "resources": ["things"], "operations": ["*"]}]}}),
            ),
            json!({}),
        ),
        (
            "by-name",
            with(
                validation("false"),
                json!({"matchConstraints": {"resourceRules": [
            {"apiGroups": ["GROUP"], "apiVersions": ["v1"], "resources": ["*"], "operations": ["*"], "resourceNames": ["thing-by-name"]}]}}),
            ),
            json!({}),
        ),
        (
            "other-name",
            with(
                validation("false"),
                json!({"matchConstraints": {"resourceRules": [
            {"apiGroups": ["GROUP"], "apiVersions": ["v1"], "resources": ["*"], "operations": ["*"], "resourceNames": ["x"]}]}}),
            ),
            json!({}),
        ),
        (
            "status-only",
            with(
                validation("false"),
                json!({"matchConstraints": {"resourceRules": [
            {"apiGroups": ["GROUP"], "apiVersions": ["v1"], "resources": ["things/status"], "operations": ["*"]}]}}),
            ),
            json!({}),
        ),
        (
            "cluster-scope",
            with(
                validation("false"),
                json!({"matchConstraints": {"resourceRules": [
            {"apiGroups": ["GROUP"], "apiVersions": ["v1"], "resources": ["*"], "operations": ["*"], "scope": "Cluster"}]}}),
            ),
            json!({}),
        ),
        ("param", limited(), named("limit", "Deny")),
        ("param-missing", limited(), named("nobody", "Deny")),
        ("param-allowed", limited(), named("nobody", "Allow")),
        (
            "param-elsewhere",
            limited(),
            json!({"paramRef": {"name": "limit", "namespace": "default", "parameterNotFoundAction": "Deny"}}),
        ),
        (
            "param-selector",
            limited(),
            json!({"paramRef": {"selector": {"matchLabels": {"param": "yes"}}, "parameterNotFoundAction": "Deny"}}),
        ),
        (
            "param-none-selected",
            limited(),
            json!({"paramRef": {"selector": {"matchLabels": {"param": "no"}}, "parameterNotFoundAction": "Deny"}}),
        ),
        (
            "param-null",
            with(config_map.clone(), validation("params == null")),
            json!({}),
        ),
        (
            "param-unknown",
            with(
                json!({"paramKind": {"apiVersion": "nowhere.example.io/v1", "kind": "Nothing"}}),
                validation("true"),
            ),
            named("x", "Deny"),
        ),
        (
            "condition",
            with(
                validation("false"),
                json!({"matchConditions": [{"name": "c", "expression": "object.spec.count == 4"}]}),
            ),
            json!({}),
        ),
        (
            "condition-false",
            with(
                validation("false"),
                json!({"matchConditions": [{"name": "c", "expression": "object.spec.count == 5"}]}),
            ),
            json!({}),
        ),
        (
            "condition-error",
            with(
                validation("false"),
                json!({"matchConditions": [{"name": "c", "expression": "object.spec.nope == 5"}]}),
            ),
            json!({}),
        ),
        (
            "condition-errors",
            with(
                validation("false"),
                json!({"matchConditions": [
            {"name": "c", "expression": "object.spec.nope == 5"}, {"name": "d", "expression": "object.spec.never == 5"}]}),
            ),
            json!({}),
        ),
        (
            "condition-ignored",
            with(
                validation("false"),
                json!({"failurePolicy": "Ignore", "matchConditions": [
            {"name": "c", "expression": "object.spec.nope == 5"}]}),
            ),
            json!({}),
        ),
        (
            "condition-false-wins",
            with(
                validation("false"),
                json!({"matchConditions": [
            {"name": "c", "expression": "object.spec.nope == 5"}, {"name": "d", "expression": "false"}]}),
            ),
            json!({}),
        ),
        (
            "variables",
            json!({"variables": [
            {"name": "a", "expression": "object.spec.count + 1"}, {"name": "b", "expression": "variables.a * 2"},
            {"name": "bad", "expression": "object.spec.nope"}],
            "validations": [{"expression": "variables.b == 0", "messageExpression": "'b is ' + string(variables.b)"}]}),
            json!({}),
        ),
        (
            "variable-bad",
            json!({"variables": [{"name": "bad", "expression": "object.spec.nope"}],
            "validations": [{"expression": "variables.bad == 0"}]}),
            json!({}),
        ),
        (
            "message-bad",
            json!({"validations": [{"expression": "false", "message": "m", "messageExpression": "string(object.spec.nope)"}]}),
            json!({}),
        ),
        (
            "message-lines",
            json!({"validations": [{"expression": "false", "message": "m", "messageExpression": "'a\\nb'"}]}),
            json!({}),
        ),
        (
            "authorizer",
            validation(
                "authorizer.group('').resource('secrets').namespace('default').check('get').allowed() && authorizer.path('/healthz').check('get').allowed()",
            ),
            json!({}),
        ),
        (
            "authorizer-resource",
            validation("authorizer.requestResource.check('delete').allowed()"),
            json!({}),
        ),
        (
            "authorizer-thrice",
            validation(
                "authorizer.path('/a').check('get').allowed() && authorizer.path('/b').check('get').allowed() && authorizer.path('/c').check('get').allowed()",
            ),
            json!({}),
        ),
        (
            "authorizer-account",
            json!({"validations": [{"expression":
            "authorizer.serviceAccount('default', 'nobody').group('').resource('secrets').namespace('default').check('get').allowed()"}]}),
            json!({}),
        ),
        ("dry-run", validation("!request.dryRun"), json!({})),
        (
            "annotations",
            with(
                config_map.clone(),
                json!({"auditAnnotations": [
                    {"key": "limit", "valueExpression": "'at most ' + params.data.most"},
                    {"key": "same", "valueExpression": "'same'"},
                    {"key": "none", "valueExpression": "null"},
                    {"key": "blank", "valueExpression": "'  '"},
                    {"key": "trimmed", "valueExpression": "' of ' + object.kind + ' '"},
                ]}),
            ),
            named("limit", "Deny"),
        ),
        (
            // Several parameters are in no order.
            "annotations-same",
            with(
                config_map.clone(),
                json!({"auditAnnotations": [{"key": "same", "valueExpression": "'by ' + params.kind"}]}),
            ),
            json!({"paramRef": {"selector": {"matchLabels": {"param": "yes"}}, "parameterNotFoundAction": "Deny"}}),
        ),
        (
            "annotation-ignored",
            json!({"failurePolicy": "Ignore", "auditAnnotations": [{"key": "k", "valueExpression": "string(object.spec.nope)"}]}),
            json!({}),
        ),
        (
            "audit-two",
            json!({"validations": [{"expression": "false", "message": "one"}, {"expression": "false", "message": "two \"2\" <b>"}]}),
            json!({"validationActions": ["Audit"]}),
        ),
        (
            "audit-error",
            validation("object.spec.nope == 1"),
            json!({"validationActions": ["Audit", "Warn"]}),
        ),
        (
            "param-cluster",
            with(
                json!({"paramKind": {"apiVersion": "v1", "kind": "Namespace"}}),
                json!({"validations": [{"expression": "false", "messageExpression": "'by ' + params.metadata.name + ' ' + params.kind"}]}),
            ),
            named(NAMESPACE, "Deny"),
        ),
        (
            "param-cluster-in",
            with(
                json!({"paramKind": {"apiVersion": "v1", "kind": "Namespace"}}),
                validation("true"),
            ),
            json!({"paramRef": {"name": NAMESPACE, "namespace": "default", "parameterNotFoundAction": "Deny"}}),
        ),
        (
            "param-ignored",
            with(limited(), json!({"failurePolicy": "Ignore"})),
            named("nobody", "Deny"),
        ),
        (
            "param-missing-ignored",
            with(
                json!({"failurePolicy": "Ignore", "paramKind": {"apiVersion": "nowhere.example.io/v1", "kind": "Nothing"}}),
                validation("false"),
            ),
            named("x", "Deny"),
        ),
        (
            "param-condition",
            with(
                limited(),
                json!({"matchConditions": [{"name": "c", "expression": "params.data.most == '5'"}]}),
            ),
            json!({"paramRef": {"selector": {"matchLabels": {"param": "yes"}}, "parameterNotFoundAction": "Deny"}}),
        ),
        (
            "condition-namespace",
            with(
                validation("namespaceObject.metadata.name != 'policies'"),
                json!({"matchConditions": [{"name": "c", "expression": "request.operation == 'CREATE'"}]}),
            ),
            json!({}),
        ),
        (
            "variable-lazy",
            json!({"variables": [{"name": "bad", "expression": "object.spec.nope"}, {"name": "chain", "expression": "variables.bad"}],
            "validations": [{"expression": "object.spec.count == 3 || variables.chain == 1"}]}),
            json!({}),
        ),
        (
            "variable-denied",
            json!({"variables": [{"name": "rich", "expression": "authorizer.requestResource.check('delete').allowed()"}],
            "validations": [{"expression": "!variables.rich", "messageExpression": "'as ' + request.userInfo.username"}]}),
            json!({}),
        ),
        (
            "message-blank",
            json!({"validations": [{"expression": "false", "message": "  m  ", "messageExpression": "'  '"}]}),
            json!({}),
        ),
        (
            "message-long",
            json!({"validations": [{"expression": "false", "message": "m", "messageExpression": "lists.range(2000).map(i, 'xxx').join()"}]}),
            json!({}),
        ),
        (
            "options",
            json!({"validations": [{"expression": "false", "messageExpression": "request.options.kind + ' ' + request.operation"}]}),
            json!({}),
        ),
        ("costly", validation("lists.range(1200000).size() == 0"), json!({})),
        (
            "costly-ignored",
            with(
                validation("lists.range(1200000).size() == 0"),
                json!({"failurePolicy": "Ignore"}),
            ),
            json!({}),
        ),
        (
            "exact",
            with(
                validation("false"),
                json!({"matchConstraints": {"matchPolicy": "Exact"}}),
            ),
            json!({}),
        ),
        (
            "bound-object",
            validation("false"),
            json!({"matchResources": {"objectSelector": {"matchLabels": {"app.io/name": "other"}}}}),
        ),
        (
            "bound-rule",
            validation("false"),
            json!({"matchResources": {"resourceRules": [
            {"apiGroups": ["GROUP"], "apiVersions": ["v1"], "resources": ["things"], "operations": ["UPDATE"]}]}}),
        ),
        (
            "bound-excluded",
            validation("false"),
            json!({"matchResources": {"excludeResourceRules": [
            {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["things"], "operations": ["CREATE"]}]}}),
        ),
        (
            "every-subresource",
            with(
                validation("request.?subResource.orValue('') != 'status'"),
                json!({"matchConstraints": {"resourceRules": [
            {"apiGroups": ["GROUP"], "apiVersions": ["v1"], "resources": ["*/*"], "operations": ["*"]}]}}),
            ),
            json!({}),
        ),
    ]
}

/// The writes that a case is asked about: creates, dry and not, changes, a patch of the status, a deletion.
fn writes(twin: &Twin, case: &str) -> Vec<Ask> {
    let all = twin.path(&format!("namespaces/{NAMESPACE}/things"));
    let one = format!("{all}/thing-{case}");
    let object = |count: u32| {
        let mut object = thing(&twin.group, case, json!({"count": count}));
        object["metadata"]["finalizers"] = json!([]);
        object
    };
    let mut nameless = object(4);
    nameless["metadata"]["name"] = Value::Null;
    nameless["metadata"]["generateName"] = json!("made-");
    let mut global = object(4);
    global["kind"] = json!("Global");
    let merge = "application/merge-patch+json";
    vec![
        Ask::json(Method::POST, format!("{all}?dryRun=All"), &object(4)),
        Ask::json(Method::POST, format!("{all}?dryRun=All"), &nameless),
        Ask::json(Method::POST, twin.path("globals?dryRun=All"), &global),
        Ask::json(Method::POST, &all, &object(4)),
        Ask::patch(&one, merge, json!({"spec": {"count": 3}}).to_string()),
        Ask::patch(&one, merge, json!({"spec": {"count": 9}}).to_string()),
        Ask::patch(format!("{one}/status"), merge, json!({"status": {"x": 1}}).to_string()),
        Ask::new(Method::DELETE, &one),
        // Whatever the policy says of it, the label is gone afterwards, and so is the object.
        Ask::new(Method::GET, &one),
    ]
}

/// What a request's audit says of admission.
fn annotations(events: &[Value], id: &str) -> Option<Value> {
    let own = events
        .iter()
        .find(|event| event["auditID"] == id && event["stage"] == "ResponseComplete");
    let mut facts = own?["annotations"].clone();
    if let Some(facts) = facts.as_object_mut() {
        // How long a slow request took is its own.
        let others = ["authorization.k8s.io/", "apiserver.latency.k8s.io/"];
        facts.retain(|key, _| others.iter().all(|other| !key.starts_with(other)) && !key.contains("bulward.io"));
    }
    let any = facts.as_object().is_some_and(|facts| !facts.is_empty());
    Some(if any { facts } else { Value::Null })
}

/// What both have counted of the policies of this test.
const COUNTED: [&str; 4] = [
    "apiserver_validating_admission_policy_check_total",
    "apiserver_validating_admission_policy_check_duration_seconds_count",
    "apiserver_admission_match_condition_evaluation_errors_total",
    "apiserver_admission_match_condition_evaluation_seconds_count",
];
/// What both export alike, whatever they count.
const FAMILIES: [&str; 5] = [
    "apiserver_admission_step_admission_duration_seconds",
    "apiserver_admission_controller_admission_duration_seconds",
    "apiserver_admission_match_condition_evaluation_seconds",
    "apiserver_validating_admission_policy_check_total",
    "apiserver_validating_admission_policy_check_duration_seconds",
];

/// Compares the metrics. How many series there are.
async fn compare_metrics(twin: &Twin, wrong: &mut Vec<String>) -> usize {
    let (ours, theirs) = (
        Scrape::of(&twin.ours.caller).await,
        Scrape::of(&twin.theirs.caller).await,
    );
    let mut compared = 0;
    for name in COUNTED {
        let counted = |scrape: &Scrape| -> BTreeMap<Labels, f64> {
            let own = |labels: &Labels| {
                let policy = labels.get("policy").or(labels.get("name"));
                // The last one is asked until both know it.
                policy.is_some_and(|policy| policy.ends_with(GROUP) && !policy.starts_with("zz-last"))
            };
            let own = scrape.samples(name).filter(|(labels, _)| own(labels));
            own.map(|(labels, value)| (labels.clone(), value)).collect()
        };
        let (ours, theirs) = (counted(&ours), counted(&theirs));
        compared += theirs.len();
        assert!(!theirs.is_empty(), "{name}: Go has nothing to compare");
        for labels in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
            let (ours, theirs) = (ours.get(labels), theirs.get(labels));
            // Go asks again where it judged an object of its cache that was not the newest.
            let fewer = ours.zip(theirs).is_some_and(|(ours, theirs)| ours <= theirs);
            if !fewer {
                wrong.push(format!("{name}{labels:?}\n  ours   {ours:?}\n  theirs {theirs:?}"));
            }
        }
    }
    for family in FAMILIES {
        let of = |scrape: &Scrape| (scrape.labels(family), scrape.buckets(family));
        if of(&ours) != of(&theirs) {
            wrong.push(format!(
                "{family}\n  ours   {:?}\n  theirs {:?}",
                of(&ours),
                of(&theirs)
            ));
        }
    }
    compared
}

#[tokio::test]
async fn policies_decide_as_in_kube_apiserver() {
    let folder = guardian::temporary("policies");
    let twin = twin(GROUP, recording(folder.path(), AUDIT_POLICY)).await;
    let cases = policies();
    let fill = |value: &Value| -> Value {
        serde_json::from_str(&value.to_string().replace("GROUP", &twin.group)).expect("still JSON")
    };
    let configured = cases
        .iter()
        .map(|(name, spec, binding)| policy(&twin.group, name, fill(spec), fill(binding)));
    configure(&twin, configured.collect()).await;
    let all = cases.iter().enumerate().map(async |(number, (case, ..))| {
        let mut answered = Vec::new();
        for (at, ask) in writes(&twin, case).into_iter().enumerate() {
            let id = format!("policies-{number}-{at}");
            let what = format!("{case}: {} {}", ask.method, ask.path);
            let both = compare(&twin, &ask.with("audit-id", &id)).await;
            let differs = both.ours != both.theirs;
            let differs = differs.then(|| format!("{what}\n  ours   {}\n  theirs {}", both.ours, both.theirs));
            answered.push((id, what, differs));
        }
        answered
    });
    let asked: Vec<_> = stream::iter(all).buffered(AT_ONCE).collect().await;
    let asked: Vec<_> = asked.into_iter().flatten().collect();
    let mut wrong: Vec<String> = asked.iter().filter_map(|(_, _, differs)| differs.clone()).collect();
    let (ours, theirs) = (
        folder.path().join("audit.log"),
        ControlPlane::shared().await.audit_log(),
    );
    for file in [&ours, &theirs] {
        eventually("everything is recorded", DEADLINE, async || {
            let events = events(file);
            let recorded: BTreeSet<&str> = events.iter().filter_map(|event| event["auditID"].as_str()).collect();
            let missing: Vec<_> = asked
                .iter()
                .filter(|(id, ..)| !recorded.contains(id.as_str()))
                .collect();
            if missing.is_empty() {
                Ok(())
            } else {
                Err(format!("{missing:?}"))
            }
        })
        .await;
    }
    let (ours, theirs) = (events(&ours), events(&theirs));
    let mut annotated = 0;
    for (id, what, _) in &asked {
        let (ours, theirs) = (annotations(&ours, id), annotations(&theirs, id));
        annotated += usize::from(theirs.as_ref().is_some_and(|facts| !facts.is_null()));
        if ours != theirs || theirs.is_none() {
            wrong.push(format!(
                "{what}\n  ours is recorded   {ours:?}\n  theirs is recorded {theirs:?}"
            ));
        }
    }
    let series = compare_metrics(&twin, &mut wrong).await;
    println!(
        "{} outcomes of {} policies compared, {annotated} with audit annotations, and {series} series of metrics; {} differences",
        asked.len(),
        cases.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(annotated > 10, "{annotated}");
}
