//! Events: what people should hear of without reading logs.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// The longest note that kube-apiserver accepts (pkg/apis/core/validation/events.go).
const LONGEST_NOTE: usize = 1024;

/// Writes events of `events.k8s.io/v1`; equal ones within some minutes become one with a count.
#[derive(Clone)]
pub struct Events {
    recorder: Arc<Recorder>,
}

impl Events {
    /// Events of this controller; `instance` tells its replicas apart.
    pub fn new(client: Client, controller: &str, instance: &str) -> Self {
        let reporter = Reporter {
            controller: controller.to_owned(),
            instance: Some(instance.chars().take(128).collect()),
        };
        Self {
            recorder: Arc::new(Recorder::new(client, reporter)),
        }
    }

    /// Something went as it should.
    pub async fn normal(&self, regarding: &ObjectReference, action: &str, reason: &str, note: String) {
        self.publish(EventType::Normal, regarding, action, reason, note).await;
    }

    /// Somebody should look at something.
    pub async fn warning(&self, regarding: &ObjectReference, action: &str, reason: &str, note: String) {
        self.publish(EventType::Warning, regarding, action, reason, note).await;
    }

    /// An event lies in the namespace of what it regards: without one nothing is written, lest it lands in `default`. That it
    /// could not be written is no reason to do anything again.
    async fn publish(&self, kind: EventType, regarding: &ObjectReference, action: &str, reason: &str, note: String) {
        if regarding.namespace.as_deref().unwrap_or_default().is_empty() {
            return;
        }
        let event = Event {
            type_: kind,
            reason: reason.to_owned(),
            note: Some(shortened(note)),
            action: action.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, regarding).await {
            tracing::info!(%error, reason, "an event could not be written");
        }
    }
}

fn shortened(mut note: String) -> String {
    if note.len() > LONGEST_NOTE {
        let end = (0..=LONGEST_NOTE - 3).rev().find(|end| note.is_char_boundary(*end));
        note.truncate(end.unwrap_or(0));
        note.push_str("...");
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_cut_between_characters() {
        assert_eq!(shortened("short".to_owned()), "short");
        let long = shortened("ä".repeat(2_000));
        assert!(long.len() <= LONGEST_NOTE && long.ends_with("ä..."), "{}", long.len());
    }
}
