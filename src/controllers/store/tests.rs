use k8s_openapi::api::core::v1::Namespace;

use super::*;
use crate::controllers::queue::Queue;
use crate::telemetry::metrics::controllers::ControllerMetrics;

fn namespace(name: &str, version: &str) -> Namespace {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(name.to_owned());
    namespace.metadata.uid = Some(format!("uid of {name}"));
    namespace.metadata.resource_version = Some(version.to_owned());
    namespace
}

/// A store, and what it told about since the last question.
fn store() -> (Store<Namespace>, impl Fn() -> Vec<String>) {
    let store = Store::default();
    let queue = Queue::new("test", &ControllerMetrics::new());
    store.notify(&queue, |change: &Change<'_, Namespace>| vec![change.key()]);
    let told = move || {
        let mut told = Vec::new();
        while let Some(item) = queue.try_next() {
            told.push(item.key.to_string());
            queue.done(&item.key);
        }
        told
    };
    (store, told)
}

#[test]
fn a_new_list_tells_of_what_is_gone_and_of_what_changed() {
    let (store, told) = store();
    for event in [
        Event::Init,
        Event::InitApply(namespace("a", "1")),
        Event::InitApply(namespace("b", "2")),
        Event::InitApply(namespace("c", "3")),
        Event::InitDone,
    ] {
        store.take(event);
    }
    assert_eq!(told(), ["a", "b", "c"]);
    for event in [
        Event::Init,
        Event::InitApply(namespace("a", "1")),
        Event::InitApply(namespace("b", "9")),
        Event::InitDone,
    ] {
        store.take(event);
    }
    assert_eq!(told(), ["b", "c"], "a is as it was");
    assert_eq!(store.all().len(), 2);
    store.take(Event::Delete(namespace("a", "12")));
    store.take(Event::Delete(namespace("a", "12")));
    assert_eq!(told(), ["a"]);
}

#[test]
fn a_list_that_breaks_off_removes_nothing() {
    let (store, _) = store();
    store.take(Event::Init);
    store.take(Event::InitApply(namespace("a", "1")));
    store.take(Event::InitDone);
    store.take(Event::Init);
    store.take(Event::Init);
    assert!(store.get(&Key::cluster("a")).is_some());
    store.take(Event::InitDone);
    assert!(store.get(&Key::cluster("a")).is_none());
}

#[test]
fn a_namespace_is_a_range() {
    let store = Store::default();
    for (namespace, name) in [("a", "z"), ("b", "1"), ("b", "2"), ("b-c", "1"), ("c", "1")] {
        let mut object = k8s_openapi::api::rbac::v1::RoleBinding::default();
        object.metadata.namespace = Some(namespace.to_owned());
        object.metadata.name = Some(name.to_owned());
        store.take(Event::Apply(object));
    }
    let names: Vec<String> = store
        .within("b")
        .iter()
        .map(|object| Key::of(&**object).to_string())
        .collect();
    assert_eq!(names, ["b/1", "b/2"]);
    assert!(store.within("d").is_empty());
}
