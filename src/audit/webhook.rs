//! Events as POSTs of EventLists to somebody's server (k8s.io/apiserver plugin/pkg/audit/webhook).

use async_trait::async_trait;
use bytes::Bytes;
use kube::Client;

use super::backend::{Delivery, Failure};
use super::event::Event;
use crate::cluster::webhook::{self, Backoff};

/// The server that a kubeconfig names.
pub struct Webhook {
    client: Client,
    backoff: Backoff,
}

impl Webhook {
    /// Sends through `client`, as often and for as long as `backoff` says: whatever goes wrong may go right the next time.
    pub fn new(client: Client, backoff: Backoff) -> Self {
        Self { client, backoff }
    }
}

#[async_trait]
impl Delivery for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    async fn deliver(&self, events: &[Bytes]) -> Result<(), Failure> {
        let list = Bytes::from(list(events));
        let send = || async {
            let sent = webhook::deliver(&self.client, list.clone()).await;
            sent.map_err(webhook::CallError::into_transient)
        };
        let sent = webhook::retry(&self.backoff, send).await;
        sent.map_err(|error| Failure(error.to_string()))
    }
}

fn list(events: &[Bytes]) -> Vec<u8> {
    let head = format!(
        r#"{{"kind":"EventList","apiVersion":"{}","metadata":{{}},"items":["#,
        Event::API_VERSION
    );
    let mut list = head.into_bytes();
    for (at, event) in events.iter().enumerate() {
        if at > 0 {
            list.push(b',');
        }
        list.extend_from_slice(event);
    }
    list.extend_from_slice(b"]}\n");
    list
}
