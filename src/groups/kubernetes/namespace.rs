//! Namespace, with its phase, and the finalizers in its spec that hold its deletion until it is empty.
//!
//! k8s.io/kubernetes pkg/registry/core/namespace, pkg/apis/core/validation/validation.go ValidateNamespace.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{age_column, column, list, name_column, object, text, texts};
use crate::rest::resource::{Cell, Conventions, Edge, Kind, Strategy};
use crate::rest::store::update::Part;
use crate::wire::meta;
use crate::wire::validation::FieldError;
use crate::wire::validation::names::{NameRule, name_is_dns_label, qualified_name};

/// The kind.
pub const KIND: &str = "Namespace";
/// What holds a namespace until it is empty.
pub const FINALIZER: &str = "kubernetes";
/// The label that says a namespace's name, for selectors.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Namespaces that nobody deletes (k8s.io/apiserver pkg/admission/plugin/namespace/lifecycle).
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];
/// Finalizers without a domain (k8s.io/kubernetes pkg/apis/core/helper IsStandardFinalizerName).
const STANDARD: [&str; 3] = [FINALIZER, meta::FINALIZER_ORPHAN, meta::FINALIZER_FOREGROUND];

/// The descriptor.
pub fn kind() -> Kind {
    Kind {
        kind: KIND.to_owned(),
        singular: "namespace".to_owned(),
        plural: "namespaces".to_owned(),
        description: "Namespace provides a scope for Names. Use of multiple namespaces is optional.".to_owned(),
        namespaced: false,
        schema: schema(),
        strategy: Arc::new(Rules),
        selectable_fields: vec!["status.phase".to_owned()],
        columns: vec![
            name_column(),
            column("Status", "The status of the namespace", 0, Cell::Object(phase)),
            age_column(),
        ],
        edge: Edge::Unrestricted,
        conventions: Conventions::Typed,
    }
}

fn schema() -> Value {
    let time = json!({"type": "string", "format": "date-time", "description": "When the condition changed last."});
    let condition = object(
        "One observation of the namespace's deletion.",
        &["status", "type"],
        &json!({
            "lastTransitionTime": time,
            "message": text("Why, in a sentence."),
            "reason": text("Why, in one word."),
            "status": text("True, False or Unknown."),
            "type": text("What is observed."),
        }),
    );
    let mut conditions = list("The latest observations of the namespace's deletion.", &condition);
    conditions["x-kubernetes-list-type"] = json!("map");
    conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
    conditions["x-kubernetes-patch-merge-key"] = json!("type");
    conditions["x-kubernetes-patch-strategy"] = json!("merge");
    let finalizers = texts("What must be gone before the namespace is; taken away through /finalize.");
    json!({"type": "object", "properties": {
        "spec": object("How the namespace behaves.", &[], &json!({"finalizers": finalizers})),
        "status": object(
            "What the namespace is in.",
            &[],
            &json!({"conditions": conditions, "phase": text("Active, or Terminating.")}),
        ),
    }})
}

fn phase(namespace: &Value) -> Value {
    namespace["status"]["phase"].clone()
}

struct Rules;

impl Strategy for Rules {
    fn name_rule(&self) -> NameRule {
        name_is_dns_label
    }

    fn default(&self, namespace: &mut Value) {
        name(namespace);
    }

    fn prepare_create(&self, namespace: &mut Value) {
        // a name that was generated is known only now
        name(namespace);
        namespace["status"] = json!({"phase": "Active"});
        let mut finalizers = finalizers(namespace);
        if !finalizers.iter().any(|one| one == FINALIZER) {
            finalizers.push(FINALIZER.to_owned());
        }
        set_finalizers(namespace, finalizers);
    }

    fn prepare_update(&self, part: Part, new: &mut Value, old: &Value) {
        if part == Part::Main {
            set_finalizers(new, finalizers(old));
        }
    }

    fn prepare_delete(&self, namespace: &mut Value) {
        let conditions = namespace["status"].get("conditions").cloned();
        namespace["status"] = json!({"phase": "Terminating"});
        if let Some(conditions) = conditions {
            namespace["status"]["conditions"] = conditions;
        }
    }

    fn has_spec_finalizers(&self) -> bool {
        true
    }

    fn allows_unconditional_update(&self) -> bool {
        true
    }

    fn keeps(&self, name: &str) -> Option<&'static str> {
        IMMORTAL.contains(&name).then_some("this namespace may not be deleted")
    }

    fn validate(&self, namespace: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for finalizer in &finalizers(namespace) {
            let field = "spec.finalizers";
            let faults = qualified_name(finalizer).into_iter();
            errors.extend(faults.map(|fault| FieldError::invalid(field, finalizer, &fault)));
            if !finalizer.contains('/') && !STANDARD.contains(&finalizer.as_str()) {
                let detail = "name is neither a standard finalizer name nor is it fully qualified";
                errors.push(FieldError::invalid(field, finalizer, detail));
            }
        }
        errors
    }

    fn validate_status(&self, namespace: &Value) -> Vec<FieldError> {
        let phase = namespace["status"]["phase"].as_str().unwrap_or_default();
        let deleting = meta::deletion_timestamp(namespace).is_some();
        let wanted = if deleting { "Terminating" } else { "Active" };
        if phase == wanted {
            return Vec::new();
        }
        let detail = match deleting {
            true => "may only be 'Terminating' if `deletionTimestamp` is not empty",
            false => "may only be 'Active' if `deletionTimestamp` is empty",
        };
        vec![FieldError::invalid("status.Phase", phase, detail)]
    }
}

fn name(namespace: &mut Value) {
    let name = meta::name(namespace).to_owned();
    if name.is_empty() {
        return;
    }
    let labels = meta::metadata_mut(namespace)
        .entry("labels")
        .or_insert_with(|| json!({}));
    if labels.is_null() {
        *labels = json!({});
    }
    if let Some(labels) = labels.as_object_mut() {
        labels.insert(NAME_LABEL.to_owned(), json!(name));
    }
}

fn finalizers(namespace: &Value) -> Vec<String> {
    let list = namespace.pointer("/spec/finalizers").and_then(Value::as_array);
    let list = list.into_iter().flatten().filter_map(Value::as_str);
    list.map(str::to_owned).collect()
}

fn set_finalizers(namespace: &mut Value, finalizers: Vec<String>) {
    if !namespace["spec"].is_object() {
        namespace["spec"] = json!({});
    }
    if finalizers.is_empty() {
        namespace["spec"].as_object_mut().map(|spec| spec.remove("finalizers"));
    } else {
        namespace["spec"]["finalizers"] = json!(finalizers);
    }
}
