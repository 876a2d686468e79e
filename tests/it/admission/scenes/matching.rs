//! Which webhooks are asked, about what.

use serde_json::{Value, json};

use super::super::scene::{Hook, OUR_SIDE, OURS, Reach, Scene, Step, THEIR_SIDE, THEIRS, organization, project};
use crate::harness::webhooks::Script;

/// A webhook that lets everything pass.
fn watcher(name: &str) -> Hook {
    Hook::validating(name, Script::allow())
}

/// Every write there is, beside many rules.
pub(in super::super) fn rules() -> Scene {
    let groups = json!([OURS, THEIRS]);
    let resources = |resources: Value| json!({"resources": resources});
    let hooks = vec![
        Hook::mutating("m-all", Script::allow()).rule(&resources(json!(["*/*"]))),
        Hook::mutating("m-create", Script::allow()).rule(&json!({"operations": ["CREATE"]})),
        Hook::mutating("m-dry", Script::allow()).with(json!({"sideEffects": "NoneOnDryRun"})),
        watcher("v-all").rule(&json!({"apiVersions": ["*"], "resources": ["*/*"]})),
        watcher("v-create").rule(&json!({"operations": ["CREATE"]})),
        watcher("v-update").rule(&json!({"operations": ["UPDATE"]})),
        watcher("v-delete").rule(&json!({"operations": ["DELETE"], "resources": ["*"]})),
        watcher("v-create-delete").rule(&json!({"operations": ["CREATE", "DELETE"]})),
        watcher("v-connect").rule(&json!({"operations": ["CONNECT"], "resources": ["*/*"]})),
        watcher("v-status").rule(&resources(json!(["organizations/status"]))),
        watcher("v-any-subresource").rule(&resources(json!(["organizations/*"]))),
        watcher("v-any-status").rule(&resources(json!(["*/status"]))),
        watcher("v-star").rule(&resources(json!(["*"]))),
        watcher("v-both").rule(&resources(json!(["projects", "organizations", "organizations/status"]))),
        watcher("v-projects").rule(&resources(json!(["projects"]))),
        watcher("v-cluster").rule(&json!({"resources": ["*"], "scope": "Cluster"})),
        watcher("v-namespaced").rule(&json!({"resources": ["*"], "scope": "Namespaced"})),
        watcher("v-another-version").rule(&json!({"apiVersions": ["v9"]})),
        watcher("v-exact-another-version").rule(&json!({"apiVersions": ["v9"]})).with(json!({"matchPolicy": "Exact"})),
        watcher("v-exact").with(json!({"matchPolicy": "Exact"})),
        watcher("v-another-group").rule(&json!({"apiGroups": ["example.com"], "resources": ["*"]})),
        watcher("v-service").reached(Reach::Service),
        watcher("v-two-rules").with(json!({"rules": [
            {"apiGroups": groups, "apiVersions": ["v1alpha1"], "operations": ["DELETE"], "resources": ["organizations"]},
            {"apiGroups": groups, "apiVersions": ["v1alpha1"], "operations": ["UPDATE"], "resources": ["organizations/status"]},
        ]})),
        watcher("v-no-rules").with(json!({"rules": []})),
    ];
    let o = |metadata: Value| organization("rules", &metadata);
    let item = "organizations/rules";
    let status = json!({"status": {"phase": "Ready"}});
    let steps = vec![
        Step::post("create in dry run", "organizations?dryRun=All", o(json!({}))),
        Step::post(
            "create",
            "organizations?fieldManager=somebody",
            o(json!({"labels": {"a": "b"}})),
        ),
        Step::post("create what is there", "organizations", o(json!({}))),
        Step::post(
            "create with a generated name",
            "organizations",
            organization("", &json!({"generateName": "gen-"})),
        ),
        Step::post("create what is not valid", "organizations", {
            let mut body = organization("invalid", &json!({}));
            body["spec"]["owners"] = json!([]);
            body
        }),
        Step::post(
            "create with a name that is not valid",
            "organizations",
            organization("In valid", &json!({})),
        ),
        Step::post(
            "create with an unknown field",
            "organizations?fieldValidation=Strict",
            {
                let mut body = organization("unknown", &json!({}));
                body["spec"]["unknown"] = json!(1);
                body
            },
        ),
        Step::get("get", item),
        Step::get("list", "organizations"),
        Step::put("update", item, o(json!({"labels": {"a": "c"}}))),
        Step::put(
            "update in dry run",
            format!("{item}?dryRun=All"),
            o(json!({"labels": {"a": "d"}})),
        ),
        Step::put("update nothing", item, o(json!({"labels": {"a": "c"}}))),
        Step::replace("replace", item, o(json!({"labels": {"a": "c"}}))),
        Step::replace(
            "replace in dry run",
            format!("{item}?dryRun=All"),
            o(json!({"labels": {"a": "d"}})),
        ),
        Step::replace("replace nothing", item, o(json!({"labels": {"a": "c"}}))),
        Step::put("update another's name", item, organization("another", &json!({}))),
        Step::put("update an old version", item, o(json!({"resourceVersion": "1"}))),
        Step::put(
            "update what is not there",
            "organizations/absent",
            organization("absent", &json!({"uid": "x"})),
        ),
        Step::merge("merge", item, json!({"metadata": {"annotations": {"x": "y"}}})),
        Step::merge("merge nothing", item, json!({})),
        Step::merge(
            "merge in dry run",
            format!("{item}?dryRun=All"),
            json!({"metadata": {"labels": {"x": "y"}}}),
        ),
        Step::merge("merge what is not there", "organizations/absent", json!({})),
        Step::merge("merge what is not valid", item, json!({"spec": {"owners": []}})),
        Step::json_patch(
            "patch",
            item,
            json!([{"op": "add", "path": "/metadata/labels/z", "value": "1"}]),
        ),
        Step::json_patch(
            "patch what fails",
            item,
            json!([{"op": "test", "path": "/metadata/name", "value": "1"}]),
        ),
        Step::apply(
            "apply",
            item,
            json!({
                "apiVersion": "VIEW", "kind": "Organization", "metadata": {"name": "rules", "labels": {"applied": "1"}},
            }),
        ),
        Step::apply(
            "apply a new one",
            "organizations/applied",
            organization("applied", &json!({})),
        ),
        Step::apply(
            "apply a new one in dry run",
            "organizations/dry?dryRun=All",
            organization("dry", &json!({})),
        ),
        Step::replace("replace the status", format!("{item}/status"), {
            let mut body = o(json!({"labels": {"a": "c"}}));
            body["status"] = status["status"].clone();
            body
        }),
        Step::merge(
            "merge the status",
            format!("{item}/status"),
            json!({"status": {"phase": "Pending"}}),
        ),
        Step::merge(
            "merge the status in dry run",
            format!("{item}/status?dryRun=All"),
            status,
        ),
        Step::get("get the status", format!("{item}/status")),
        Step::merge(
            "add a finalizer",
            item,
            json!({"metadata": {"finalizers": ["example.com/f"]}}),
        ),
        Step::delete("delete in dry run", format!("{item}?dryRun=All"), Value::Null),
        Step::delete(
            "delete with another uid",
            item,
            json!({
                "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "11111111-2222-3333-4444-555555555555"},
            }),
        ),
        Step::delete("delete what has a finalizer", item, Value::Null),
        Step::delete(
            "delete it again",
            item,
            json!({
                "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background", "gracePeriodSeconds": 7,
            }),
        ),
        Step::merge("remove the finalizer", item, json!({"metadata": {"finalizers": null}})),
        Step::delete("delete what is gone", item, Value::Null),
        // Carried out, the garbage collector would be at it as well.
        Step::delete(
            "delete in the foreground in dry run",
            "organizations/applied?propagationPolicy=Foreground&dryRun=All",
            Value::Null,
        ),
        Step::delete("delete", "organizations/applied", Value::Null),
        Step::post(
            "create one of several",
            "organizations",
            organization("several-a", &json!({"labels": {"group": "x"}})),
        ),
        Step::post(
            "create another of several",
            "organizations",
            organization("several-b", &json!({"labels": {"group": "x"}})),
        ),
        Step::delete(
            "delete several in dry run",
            "organizations?labelSelector=group%3Dx&dryRun=All",
            Value::Null,
        ),
        Step::delete("delete several", "organizations?labelSelector=group%3Dx", Value::Null),
        Step::delete("delete none", "organizations?labelSelector=group%3Dx", Value::Null),
        Step::delete("delete all", "organizations", Value::Null),
        Step::post(
            "create a Project",
            "namespaces/plain/projects",
            project("p", &json!({})),
        ),
        Step::merge(
            "merge a Project",
            "namespaces/plain/projects/p",
            json!({"metadata": {"labels": {"a": "b"}}}),
        ),
        Step::merge(
            "merge a Project's status",
            "namespaces/plain/projects/p/status",
            json!({"status": {"phase": "Ready"}}),
        ),
        Step::delete("delete a Project", "namespaces/plain/projects/p", Value::Null),
    ];
    Scene {
        name: "rules",
        hooks,
        steps,
    }
}

/// Two views of the same objects: who asks for writes through one gets those through the other as well, unless it is exact.
pub(in super::super) fn views() -> Scene {
    let first = json!({"apiGroups": [OURS, THEIRS], "apiVersions": ["v1alpha1"], "operations": ["*"], "resources": ["*", "*/status"]});
    let second = |group: &str, version: &str| json!({"apiGroups": [group], "apiVersions": [version], "operations": ["*"], "resources": ["*", "*/status"]});
    let [ours, theirs] = [OUR_SIDE[1], THEIR_SIDE[1]].map(|view| second(view.group, view.version));
    let of_first = json!({"rules": [first]});
    let of_other = json!({"rules": [ours, theirs]});
    let of_both = json!({"rules": [ours, theirs, first]});
    let exact = json!({"matchPolicy": "Exact"});
    let own = json!({"matchConditions": [{"name": "own", "expression": "request.kind == request.requestKind"}]});
    let label =
        |name: &str| Script::patch(&json!([{"op": "add", "path": format!("/metadata/labels/{name}"), "value": "y"}]));
    let hooks = vec![
        Hook::mutating("m-first", label("first")).with(of_first.clone()),
        Hook::mutating("m-other", label("other")).with(of_other.clone()),
        Hook::mutating("m-other-exact", label("exact"))
            .with(of_other.clone())
            .with(exact.clone()),
        Hook::mutating("m-again", Script::allow())
            .with(of_both.clone())
            .with(json!({"reinvocationPolicy": "IfNeeded"})),
        Hook::mutating("m-last", label("last")).with(of_other.clone()),
        watcher("v-first").with(of_first.clone()),
        watcher("v-first-exact").with(of_first.clone()).with(exact.clone()),
        watcher("v-other").with(of_other.clone()),
        watcher("v-other-exact").with(of_other.clone()).with(exact),
        watcher("v-both").with(of_both),
        watcher("v-first-own").with(of_first).with(own.clone()),
        watcher("v-other-own").with(of_other).with(own),
    ]
    .into_iter()
    .map(|hook| hook.with(json!({"objectSelector": {"matchLabels": {"viewed": "yes"}}})))
    .collect();
    let viewed = |name: &str, more: &str| organization(name, &json!({"labels": {"viewed": "yes", "more": more}}));
    let once = |name: &str| {
        let item = format!("organizations/{name}");
        vec![
            Step::post("create in dry run", "organizations?dryRun=All", viewed(name, "0")),
            Step::post("create", "organizations", viewed(name, "1")),
            Step::put("update", &item, viewed(name, "2")),
            Step::replace("replace", &item, viewed(name, "2")),
            Step::merge("merge", &item, json!({"metadata": {"labels": {"more": "3"}}})),
            Step::json_patch(
                "patch",
                &item,
                json!([{"op": "replace", "path": "/metadata/labels/more", "value": "4"}]),
            ),
            Step::delete("delete in dry run", format!("{item}?dryRun=All"), Value::Null),
            Step::delete("delete", &item, Value::Null),
        ]
    };
    let mut steps = once("viewed");
    steps.extend(once("viewed-otherwise").into_iter().map(Step::in_other_view));
    Scene {
        name: "views",
        hooks,
        steps,
    }
}

/// Namespaces and objects that are selected, and namespaces that are not there or end.
pub(in super::super) fn selectors() -> Scene {
    let all = json!({"resources": ["*"]});
    let on = json!({"namespaceSelector": {"matchLabels": {"hooks": "on"}}});
    let named = |operator: &str, name: &str| {
        json!({"namespaceSelector": {"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": operator, "values": [name]},
        ]}})
    };
    let red = |operator: &str| json!({"objectSelector": {"matchExpressions": [{"key": "color", "operator": operator, "values": ["red"]}]}});
    let hooks = vec![
        Hook::mutating("m-on", Script::allow()).rule(&all).with(on.clone()),
        watcher("v-on").rule(&all).with(on),
        watcher("v-plain").rule(&all).with(named("In", "plain")),
        watcher("v-not-plain").rule(&all).with(named("NotIn", "plain")),
        watcher("v-red")
            .rule(&all)
            .with(json!({"objectSelector": {"matchLabels": {"color": "red"}}})),
        watcher("v-in-red").rule(&all).with(red("In")),
        watcher("v-not-red").rule(&all).with(red("NotIn")),
        watcher("v-exists")
            .rule(&all)
            .with(json!({"objectSelector": {"matchExpressions": [{"key": "color", "operator": "Exists"}]}})),
        watcher("v-red-on").rule(&all).with(json!({
            "objectSelector": {"matchLabels": {"color": "red"}}, "namespaceSelector": {"matchLabels": {"hooks": "on"}},
        })),
        watcher("v-any")
            .rule(&all)
            .with(json!({"objectSelector": {}, "namespaceSelector": {}})),
    ];
    let mut steps = Vec::new();
    for namespace in ["hooked", "plain", "ending", "absent"] {
        let collection = format!("namespaces/{namespace}/projects");
        let item = format!("{collection}/p");
        steps.extend([
            Step::post(format!("create in {namespace}"), &collection, project("p", &json!({}))),
            Step::apply(
                format!("apply in {namespace}"),
                format!("{collection}/applied"),
                project("applied", &json!({})),
            ),
            Step::merge(
                format!("make red in {namespace}"),
                &item,
                json!({"metadata": {"labels": {"color": "red"}}}),
            ),
            Step::merge(
                format!("stay red in {namespace}"),
                &item,
                json!({"metadata": {"labels": {"a": "b"}}}),
            ),
            Step::merge(
                format!("make blue in {namespace}"),
                &item,
                json!({"metadata": {"labels": {"color": "blue"}}}),
            ),
            Step::merge(
                format!("make red again in {namespace}"),
                &item,
                json!({"metadata": {"labels": {"color": "red"}}}),
            ),
            Step::delete(format!("delete in {namespace}"), &item, Value::Null),
            Step::delete(format!("delete all in {namespace}"), &collection, Value::Null),
        ]);
    }
    steps.extend([
        Step::merge(
            "change what stays in ending",
            "namespaces/ending/projects/stays",
            json!({"metadata": {"labels": {"color": "red"}}}),
        ),
        Step::merge(
            "change its status",
            "namespaces/ending/projects/stays/status",
            json!({"status": {"phase": "Ready"}}),
        ),
        Step::post(
            "create in absent in dry run",
            "namespaces/absent/projects?dryRun=All",
            project("p", &json!({})),
        ),
        Step::post(
            "create in ending with a generated name",
            "namespaces/ending/projects",
            project("", &json!({"generateName": "gen-"})),
        ),
        Step::post(
            "create without a namespace",
            "organizations",
            organization("selected", &json!({"labels": {"color": "red"}})),
        ),
        Step::merge(
            "make blue",
            "organizations/selected",
            json!({"metadata": {"labels": {"color": "blue"}}}),
        ),
        Step::delete("delete blue", "organizations/selected", Value::Null),
    ]);
    Scene {
        name: "selectors",
        hooks,
        steps,
    }
}

/// Conditions in CEL.
pub(in super::super) fn conditions() -> Scene {
    let on = |conditions: &[&str]| {
        let named = conditions.iter().enumerate();
        let named: Vec<Value> = named
            .map(|(at, text)| json!({"name": format!("c{at}"), "expression": text}))
            .collect();
        json!({"matchConditions": named})
    };
    let all = json!({"resources": ["*", "*/status"]});
    let condition = |name: &str, conditions: &[&str]| watcher(name).rule(&all).with(on(conditions));
    let fails = "object.metadata.labels['absent'] == 'x'";
    let hooks = vec![
        condition("v-true", &["true"]),
        condition("v-false", &["false"]),
        condition("v-true-false", &["true", "false"]),
        condition("v-object", &["object != null && object.metadata.name == 'cond'"]),
        condition("v-old", &["oldObject != null && has(oldObject.metadata.labels)"]),
        condition("v-dry", &["request.dryRun"]),
        condition("v-status", &["request.subResource == 'status'"]),
        condition("v-operation", &["request.operation in ['CREATE', 'DELETE']"]),
        condition(
            "v-user",
            &["request.userInfo.username == 'admin' && 'system:masters' in request.userInfo.groups"],
        ),
        condition("v-name", &["request.name == 'cond'"]),
        condition("v-namespace", &["request.namespace == 'plain'"]),
        condition(
            "v-kind",
            &["request.kind.kind == 'Organization' && request.resource.resource == 'organizations'"],
        ),
        condition(
            "v-options",
            &["has(request.options.fieldManager) && request.options.fieldManager == 'somebody'"],
        ),
        condition(
            "v-authorizer",
            &["authorizer.group('').resource('pods').check('list').allowed()"],
        ),
        condition(
            "v-owners",
            &["object == null || object.spec.owners.all(o, o.name.startsWith('a'))"],
        ),
        condition(
            "v-optional",
            &["object.?metadata.labels[?'color'].orValue('') == 'red'"],
        ),
        condition("v-false-and-fails", &["false", fails]),
        condition("v-fails-ignored", &[fails]).with(json!({"failurePolicy": "Ignore"})),
        Hook::mutating("m-object", Script::allow())
            .rule(&all)
            .with(on(&["object != null && has(object.metadata.labels)"])),
        condition("v-fails", &[fails]).of_case("fails"),
        Hook::mutating("m-fails", Script::allow())
            .with(on(&[fails]))
            .of_case("m-fails"),
    ];
    let item = "organizations/cond";
    let red = json!({"metadata": {"labels": {"color": "red"}}});
    let case = |case: &str| organization("case", &json!({"labels": {"case": case}}));
    let steps = vec![
        Step::post(
            "create in dry run",
            "organizations?dryRun=All",
            organization("cond", &json!({})),
        ),
        Step::post(
            "create",
            "organizations?fieldManager=somebody",
            organization("cond", &json!({})),
        ),
        Step::merge("make red", item, red.clone()),
        Step::merge("red in dry run", format!("{item}?dryRun=All"), red),
        Step::merge(
            "its status",
            format!("{item}/status"),
            json!({"status": {"phase": "Ready"}}),
        ),
        Step::apply("apply", item, organization("cond", &json!({}))),
        Step::delete("delete", item, Value::Null),
        Step::post(
            "create in a namespace",
            "namespaces/plain/projects",
            project("cond", &json!({})),
        ),
        Step::delete("delete in a namespace", "namespaces/plain/projects/cond", Value::Null),
        Step::post("a condition that fails", "organizations", case("fails")),
        Step::post("a mutating one's that fails", "organizations", case("m-fails")),
    ];
    Scene {
        name: "conditions",
        hooks,
        steps,
    }
}
