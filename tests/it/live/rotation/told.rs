//! What becomes of the Secrets, of the APIServices and of the webhook configurations, write by write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

use bulward::certs::{Usage, blocks, covers};
use futures::TryStreamExt;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Client, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use super::judge::{Leaf, Texts, judge};
use super::{Phase, WEBHOOK};
use crate::harness::ControlPlane;
use crate::harness::pki::encode;
use crate::live::install::{NAMESPACE, SERVICES};

/// Everything that was seen.
#[derive(Default)]
struct Seen {
    secrets: BTreeMap<String, Texts>,
    /// Texts of `ca.crt` in `bulward-ca`, in order.
    bundles: Vec<String>,
    retired: usize,
    /// All certificates that there were, by Secret.
    leaves: BTreeMap<String, BTreeSet<String>>,
    verified: usize,
    wrong: Vec<String>,
    /// By object: the caBundle after each write, the first one before all of them.
    told: BTreeMap<String, Vec<String>>,
}

pub(super) struct Told {
    /// What the keepers keep.
    leaves: &'static [Leaf],
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<JoinHandle<()>>,
}

/// All objects, and every change of them from then on.
async fn follow<K>(api: Api<K>, mut see: impl FnMut(K) + Send + 'static) -> JoinHandle<()>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let list = api.list(&ListParams::default()).await.unwrap();
    let mut version = list.metadata.resource_version.unwrap();
    list.items.into_iter().for_each(&mut see);
    tokio::spawn(async move {
        loop {
            let params = WatchParams::default().timeout(290);
            let mut events = std::pin::pin!(api.watch(&params, &version).await.unwrap());
            while let Some(event) = events.try_next().await.unwrap() {
                match event {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                        version = object.meta().resource_version.clone().unwrap();
                        see(object);
                    }
                    WatchEvent::Deleted(object) => version = object.meta().resource_version.clone().unwrap(),
                    WatchEvent::Bookmark(mark) => version = mark.metadata.resource_version,
                    WatchEvent::Error(error) => panic!("{error:?}"),
                }
            }
        }
    })
}

fn texts(secret: &Secret) -> Texts {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    secret
        .data
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), text(&value.0)))
        .collect()
}

impl Seen {
    fn secret(&mut self, secret: &Secret, leaves: &[Leaf]) {
        let (name, texts) = (secret.metadata.name.clone().unwrap(), texts(secret));
        if name == "bulward-ca" {
            let bundle = texts["ca.crt"].clone();
            if self.bundles.last() != Some(&bundle) {
                self.retired += usize::from(self.phase() == Phase::Promoted && blocks(&bundle).len() == 1);
                self.bundles.push(bundle);
            }
        } else if let Some(leaf) = texts.get("tls.crt") {
            self.leaves.entry(name.clone()).or_default().insert(leaf.clone());
        }
        self.secrets.insert(name, texts);
        // They come one by one at first.
        if self.secrets.len() >= 4 {
            match judge(&self.secrets, leaves) {
                Ok(count) => self.verified += count,
                Err(why) => self.wrong.push(why),
            }
        }
    }

    fn phase(&self) -> Phase {
        let Some(secret) = self.secrets.get("bulward-ca") else {
            return Phase::Alone;
        };
        match blocks(&secret["ca.crt"]).len() {
            1 => Phase::Alone,
            _ if secret.contains_key("next.key") => Phase::Announced,
            _ => Phase::Promoted,
        }
    }

    fn told(&mut self, object: String, bundle: Option<Vec<u8>>) {
        let bundle = String::from_utf8(bundle.unwrap_or_default()).unwrap();
        self.told.entry(object).or_default().push(bundle);
    }
}

impl Told {
    pub(super) async fn follow(plane: &ControlPlane, leaves: &'static [Leaf]) -> Told {
        let client: Client = plane.client("admin").await;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = Vec::new();
        let see = seen.clone();
        tasks.push(
            follow(Api::namespaced(client.clone(), NAMESPACE), move |secret: Secret| {
                see.lock().secret(&secret, leaves);
            })
            .await,
        );
        let see = seen.clone();
        let services = move |service: APIService| {
            let name = service.metadata.name.unwrap();
            if SERVICES.contains(&name.as_str()) {
                let bundle = service.spec.unwrap().ca_bundle.unwrap().0;
                let mut seen = see.lock();
                let text = String::from_utf8(bundle.clone()).unwrap();
                // kube-apiserver writes its status.
                if seen.told.get(&name).and_then(|told| told.last()) != Some(&text) {
                    seen.told(name, Some(bundle));
                }
            }
        };
        tasks.push(follow(Api::all(client.clone()), services).await);
        let see = seen.clone();
        let validating = move |found: ValidatingWebhookConfiguration| {
            if found.metadata.name.as_deref() == Some(WEBHOOK) {
                let webhook = found.webhooks.unwrap().remove(0);
                see.lock().told(
                    "validating".to_owned(),
                    webhook.client_config.ca_bundle.map(|bundle| bundle.0),
                );
            }
        };
        tasks.push(follow(Api::all(client.clone()), validating).await);
        let see = seen.clone();
        let mutating = move |found: MutatingWebhookConfiguration| {
            if found.metadata.name.as_deref() == Some(WEBHOOK) {
                let webhook = found.webhooks.unwrap().remove(0);
                see.lock().told(
                    "mutating".to_owned(),
                    webhook.client_config.ca_bundle.map(|bundle| bundle.0),
                );
            }
        };
        tasks.push(follow(Api::all(client), mutating).await);
        Told { leaves, seen, tasks }
    }

    pub(super) fn phase(&self) -> Phase {
        self.seen.lock().phase()
    }

    /// How many times the authority before was given up.
    pub(super) fn retired(&self) -> usize {
        self.seen.lock().retired
    }

    pub(super) fn state(&self) -> String {
        format!("{:?}, {}", self.phase(), self.figures())
    }

    /// As a caBundle carries it.
    pub(super) fn bundle(&self) -> String {
        encode(&self.seen.lock().secrets["bulward-ca"]["ca.crt"])
    }

    /// Whether the authority that signs has signed everything.
    pub(super) fn leaves_by_the_first(&self) -> Result<(), String> {
        let seen = self.seen.lock();
        let bundle = &seen.secrets["bulward-ca"]["ca.crt"];
        let usages = [
            ("bulward-apiserver-tls", Usage::Server),
            ("bulward-apiserver-etcd", Usage::Client),
            ("bulward-etcd-tls", Usage::Peer),
        ];
        let kept = |name: &str| self.leaves.iter().any(|leaf| leaf.0 == name);
        for (name, usage) in usages.into_iter().filter(|(name, _)| kept(name)) {
            let leaf = &seen.secrets[name]["tls.crt"];
            covers(leaf, &blocks(bundle)[0], usage, &[], SystemTime::now()).map_err(|why| format!("{name}: {why}"))?;
        }
        Ok(())
    }

    /// Whether the webhook configurations were told the authorities that there are.
    pub(super) fn webhooks_trust_the_same(&self) -> Result<(), String> {
        let seen = self.seen.lock();
        let other = ["validating", "mutating"]
            .into_iter()
            .find(|kind| seen.told[*kind].last() != seen.bundles.last());
        other.map_or(Ok(()), |kind| Err(format!("the {kind} one trusts others")))
    }

    pub(super) fn figures(&self) -> String {
        let seen = self.seen.lock();
        let count = |name: &str| seen.leaves.get(name).map_or(0, BTreeSet::len);
        let writes: Vec<String> = seen
            .told
            .iter()
            .map(|(name, told)| format!("{name} {}", told.len() - 1))
            .collect();
        format!(
            "{} exchanges of the authority, {} bundles, certificates: {} serving, {} etcd client, {} etcd member; \
             {} chains verified by OpenSSL; writes of caBundle: {}",
            seen.retired,
            seen.bundles.len(),
            count("bulward-apiserver-tls"),
            count("bulward-apiserver-etcd"),
            count("bulward-etcd-tls"),
            seen.verified,
            writes.join(", "),
        )
    }

    /// Every chain was good at every moment, and whoever told an authority told what comes next: nobody went back, nobody said
    /// the same twice, and nobody left out the authority that had been signing until then.
    pub(super) fn end(self) {
        for task in &self.tasks {
            assert!(!task.is_finished(), "a watch ended");
            task.abort();
        }
        let seen = self.seen.lock();
        assert!(seen.wrong.is_empty(), "{:?}", seen.wrong);
        assert_eq!(seen.told.len(), SERVICES.len() + 2);
        for (name, told) in &seen.told {
            assert!(told.len() > 3, "{name} was told {} times", told.len() - 1);
            let mut rest = seen.bundles.iter();
            let mut signing: Option<String> = None;
            // A webhook configuration had none at first.
            for bundle in told.iter().filter(|bundle| !bundle.is_empty()) {
                let position = told.iter().filter(|other| *other == bundle).count();
                assert_eq!(position, 1, "{name} was told the same authorities {position} times");
                assert!(
                    rest.any(|next| next == bundle),
                    "{name} was told authorities out of order"
                );
                let trusted = blocks(bundle);
                let kept = signing.is_none_or(|before| trusted.contains(&before));
                assert!(kept, "{name} was not told of the authority that signed until then");
                signing = trusted.into_iter().next();
            }
        }
    }
}
