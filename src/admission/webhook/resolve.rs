//! Where the Service of a webhook is. kube-apiserver asks its own records, an extension server of Go's the DNS
//! (pkg/util/webhook/serviceresolver.go, kubernetes/staging/src/k8s.io/kube-aggregator/pkg/apiserver/resolvers.go). We ask the
//! Service, so that neither the pod's DNS policy nor its search path matters; where we may not, the DNS.

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use moka::future::Cache;

/// How long an address is believed; connections that are open stay.
const TTL: Duration = Duration::from_secs(30);

/// Finds Services.
#[derive(Clone)]
pub struct Resolver {
    client: Option<Client>,
    known: Cache<Reference, (String, u16)>,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The port.
    pub port: u16,
}

impl Reference {
    /// The name in certificates and in the DNS.
    pub fn host(&self) -> String {
        format!("{}.{}.svc", self.name, self.namespace)
    }
}

impl Resolver {
    /// Asks a cluster, or the DNS if there is none.
    pub fn new(client: Option<Client>) -> Self {
        let known = Cache::builder().max_capacity(1024).time_to_live(TTL).build();
        Self { client, known }
    }

    /// A host and a port to connect to.
    pub async fn resolve(&self, reference: &Reference) -> Result<(String, u16), String> {
        let found = self.known.try_get_with(reference.clone(), self.ask(reference)).await;
        found.map_err(|why| why.as_ref().clone())
    }

    async fn ask(&self, reference: &Reference) -> Result<(String, u16), String> {
        let by_name = (reference.host(), reference.port);
        let Some(client) = &self.client else {
            return Ok(by_name);
        };
        let services: Api<Service> = Api::namespaced(client.clone(), &reference.namespace);
        match services.get_opt(&reference.name).await {
            Ok(Some(service)) => place(&service, reference),
            Ok(None) => Err(format!("service {:?} not found", reference.name)),
            Err(error) => {
                tracing::debug!(%error, service = %reference.host(), "asking the DNS instead");
                Ok(by_name)
            }
        }
    }
}

/// Where a Service says it is.
fn place(service: &Service, reference: &Reference) -> Result<(String, u16), String> {
    let Reference { namespace, name, port } = reference;
    let spec = service.spec.as_ref();
    let sort = spec.and_then(|spec| spec.type_.as_deref()).unwrap_or("ClusterIP");
    if sort == "ExternalName" {
        let host = spec.and_then(|spec| spec.external_name.clone()).unwrap_or_default();
        return Ok((host, *port));
    }
    let mut ports = spec.and_then(|spec| spec.ports.as_ref()).into_iter().flatten();
    if !ports.any(|one| one.port == i32::from(*port)) {
        return Err(format!("no service port {port} found for service {name:?}"));
    }
    match spec.and_then(|spec| spec.cluster_ip.as_deref()).unwrap_or_default() {
        // headless: its name is all there is
        "" | "None" => Ok((reference.host(), *port)),
        address => {
            tracing::trace!(namespace, name, address, "resolved");
            Ok((address.to_owned(), *port))
        }
    }
}
