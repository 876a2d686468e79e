//! The annotation in which `kubectl apply` keeps what it applied by itself
//! (k8s.io/apimachinery pkg/util/managedfields/internal/{lastapplied,lastappliedupdater}.go).

use serde_json::{Map, Value};

use crate::wire::json as go_json;
use crate::wire::meta;
use crate::wire::names::GroupVersion;

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The most that all annotations may hold, in bytes.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// What was applied last, if it was applied through the same view.
pub(super) fn configuration(live: &Value, group_version: &GroupVersion) -> Option<Value> {
    let applied: Value = serde_json::from_str(meta::annotation(live, ANNOTATION)?).ok()?;
    let same = meta::api_version(&applied) == group_version.to_string() && !meta::kind(&applied).is_empty();
    same.then_some(applied)
}

/// Keeps the annotation of an object up to date, if there is one.
pub(super) fn refresh(object: &mut Value, config: &Value) {
    if meta::annotation(object, ANNOTATION).is_none_or(str::is_empty) {
        return;
    }
    let mut applied = config.clone();
    if let Some(annotations) = annotations(&mut applied) {
        annotations.remove(ANNOTATION);
    }
    let mut text = String::from_utf8_lossy(&go_json::to_vec(&applied)).into_owned();
    text.push('\n');
    let Some(annotations) = annotations(object) else { return };
    annotations.insert(ANNOTATION.to_owned(), Value::String(text));
    let size = annotations
        .iter()
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len));
    if size.sum::<usize>() > ANNOTATIONS_LIMIT {
        annotations.remove(ANNOTATION);
    }
}

fn annotations(object: &mut Value) -> Option<&mut Map<String, Value>> {
    meta::metadata_mut(object).get_mut("annotations")?.as_object_mut()
}
