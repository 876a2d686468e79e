//! The cluster's admission.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Error;
use super::identity::client;
use crate::admission::Plugins;
use crate::admission::equivalents::Equivalents;
use crate::admission::lifecycle::NamespaceLifecycle;
use crate::admission::mutating_policies;
use crate::admission::policy::Policies;
use crate::admission::sources::Sources;
use crate::admission::webhook::configuration::Identities;
use crate::admission::webhook::mutating::MutatingAdmissionWebhook;
use crate::admission::webhook::validating::ValidatingAdmissionWebhook;
use crate::authz::Authorizer;
use crate::config::{Apiserver, Plugin};
use crate::http::health::{Endpoint, Health};
use crate::rest::resource::Registry;
use crate::telemetry::metrics::Metrics;

/// What follows the cluster, and decides.
pub(super) struct Admissions {
    sources: Arc<Sources>,
    policies: Option<Arc<Policies>>,
    plugins: Arc<Plugins>,
}

impl Admissions {
    /// Follows the cluster until `stop`; there is nothing to follow without one.
    pub(super) async fn follow(
        config: &Apiserver,
        registry: &Registry,
        authorizer: &Arc<dyn Authorizer>,
        all: &Metrics,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, Error> {
        // Also if nothing follows: what is wrong with it is not to be found out when something does.
        let shown = match &config.admission.config_file {
            Some(file) => Identities::load(file)
                .map_err(|why| Error::Admission(format!("--admission-control-config-file {why}")))?,
            None => Identities::default(),
        };
        if Plugin::ALL.into_iter().all(|plugin| !config.admission.runs(plugin)) {
            return Ok(None);
        }
        let Some(client) = client("--kubeconfig", &config.cluster).await? else {
            return Ok(None);
        };
        let resources = Arc::new(Equivalents::new(registry));
        let sources = Sources::follow(&client, resources.clone(), shown, stop);
        tokio::spawn(mutating_policies::follow(
            client.clone(),
            resources.clone(),
            stop.clone(),
        ));
        let metrics = all.admission();
        let mut plugins = Plugins::new(metrics.clone());
        let mut policies = None;
        for plugin in Plugin::ALL.into_iter().filter(|plugin| config.admission.runs(*plugin)) {
            let (sources, metrics, authorizer) = (sources.clone(), metrics.clone(), authorizer.clone());
            match plugin {
                Plugin::NamespaceLifecycle => plugins.push(plugin.name(), Arc::new(NamespaceLifecycle(sources))),
                Plugin::MutatingAdmissionWebhook => {
                    let webhooks = MutatingAdmissionWebhook {
                        sources,
                        metrics,
                        authorizer,
                    };
                    plugins.push(plugin.name(), Arc::new(webhooks));
                }
                Plugin::ValidatingAdmissionPolicy => {
                    let followed = Arc::new(Policies::follow(
                        &client,
                        sources.namespaces().clone(),
                        resources.clone(),
                        authorizer,
                        (all.policies(), metrics),
                        stop,
                    ));
                    plugins.push(plugin.name(), followed.clone());
                    policies = Some(followed);
                }
                Plugin::ValidatingAdmissionWebhook => {
                    let webhooks = ValidatingAdmissionWebhook {
                        sources,
                        metrics,
                        authorizer,
                    };
                    plugins.push(plugin.name(), Arc::new(webhooks));
                }
            }
        }
        let plugins = Arc::new(plugins);
        Ok(Some(Self {
            sources,
            policies,
            plugins,
        }))
    }

    /// What the store asks.
    pub(super) fn plugins(&self) -> Arc<Plugins> {
        self.plugins.clone()
    }

    /// Adds a check: who has not read the configuration refuses writes, and should be sent none.
    pub(super) fn checked(self, health: Health) -> Health {
        health.with("informer-sync", &[Endpoint::Readyz], move || {
            let policies = || self.policies.as_ref().and_then(|policies| policies.missing());
            let missing = self.sources.missing().or_else(policies);
            async move { missing.map_or(Ok(()), |name| Err(format!("{name} have not been read yet"))) }
        })
    }
}
