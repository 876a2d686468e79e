//! Several mutating webhooks, one after the other.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::scene::{Hook, Scene, Step, organization};
use crate::harness::webhooks::{Script, encode};

/// Adds one to a label, each time it is asked.
fn counter(label: &'static str) -> Script {
    Script::Reply(Arc::new(move |review: &Value| {
        let labels = &review["request"]["object"]["metadata"]["labels"];
        let count: u32 = labels[label]
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or_default();
        let patch =
            json!([{"op": "add", "path": format!("/metadata/labels/{label}"), "value": (count + 1).to_string()}]);
        json!({"allowed": true, "patchType": "JSONPatch", "patch": encode(&patch.to_string())})
    }))
}

fn label(name: &str, value: &str) -> Script {
    Script::patch(&json!([{"op": "add", "path": format!("/metadata/labels/{name}"), "value": value}]))
}

fn steps() -> Vec<Step> {
    let item = "organizations/chained";
    vec![
        Step::post(
            "create",
            "organizations",
            organization("chained", &json!({"labels": {"start": "1"}})),
        ),
        Step::post(
            "create in dry run",
            "organizations?dryRun=All",
            organization("dry", &json!({"labels": {"start": "1"}})),
        ),
        Step::merge("merge", item, json!({"metadata": {"labels": {"more": "1"}}})),
        Step::merge("merge nothing", item, json!({})),
        Step::apply(
            "apply",
            item,
            organization("chained", &json!({"labels": {"applied": "1"}})),
        ),
        Step::delete("delete", item, Value::Null),
    ]
}

/// Who is asked again, and when.
pub(in super::super) fn reinvoked() -> Scene {
    let again = json!({"reinvocationPolicy": "IfNeeded"});
    let writes = json!({"operations": ["CREATE", "UPDATE"]});
    let hooks = vec![
        Hook::mutating("a-again", counter("a"))
            .rule(&writes)
            .with(again.clone()),
        Hook::mutating("b-never", counter("b")).rule(&writes),
        Hook::mutating("c-again-without-change", Script::allow())
            .rule(&writes)
            .with(again.clone()),
        Hook::mutating("d-same", label("d", "same"))
            .rule(&writes)
            .with(again.clone()),
        Hook::mutating("e-selected-later", Script::allow())
            .rule(&writes)
            .with(again.clone())
            .with(json!({"objectSelector": {"matchLabels": {"f": "yes"}}})),
        Hook::mutating("f-selects", label("f", "yes")).rule(&writes),
        Hook::mutating("g-last", counter("g")).rule(&writes).with(again),
        Hook::validating("v-sees", Script::allow()).rule(&writes),
    ];
    Scene {
        name: "reinvoked",
        hooks,
        steps: steps(),
    }
}

/// Each sees what those before it did, and the first that refuses is the last that is asked.
pub(in super::super) fn order() -> Scene {
    let selected = |name: &str, value: &str| json!({"objectSelector": {"matchLabels": {name: value}}});
    let writes = json!({"operations": ["CREATE", "UPDATE"]});
    let hooks = vec![
        Hook::mutating("a-sets", label("seen", "by-a")).rule(&writes),
        Hook::mutating("b-sees", label("b", "yes"))
            .rule(&writes)
            .with(selected("seen", "by-a")),
        Hook::mutating("c-misses", label("c", "yes"))
            .rule(&writes)
            .with(selected("seen", "by-nobody")),
        Hook::mutating("d-refuses", Script::deny(json!({"message": "enough"})))
            .rule(&writes)
            .with(selected("more", "1")),
        Hook::mutating("e-never", label("e", "yes"))
            .rule(&writes)
            .with(selected("b", "yes")),
        Hook::validating("v-sees", Script::allow())
            .rule(&writes)
            .with(selected("e", "yes")),
        Hook::validating("v-misses", Script::allow())
            .rule(&writes)
            .with(selected("c", "yes")),
    ];
    Scene {
        name: "order",
        hooks,
        steps: steps(),
    }
}
