//! `bulward controller-manager`: flags by the names that kube-controller-manager gives them, so that operators know them.

mod serving;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use clap::ArgAction;

use super::{
    Failure,
    apiserver::{given, path, refused},
    listen, signals,
};
use crate::{
    cluster,
    config::{Error, parse_duration},
    controllers::{election::Election, manager::Manager},
    groups,
    http::shutdown::Shutdown,
    telemetry::metrics::controllers::ControllerMetrics,
};

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kubeconfig for the cluster; without it, the cluster of our own pod
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Leader election")]
    election: ElectionArgs,
    /// Address on which health and metrics are served
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), env = "BULWARD_BIND_ADDRESS")]
    bind_address: IpAddr,
    /// Port on which health and metrics are served by HTTPS, to whoever reaches it: it tells numbers, no names. 0 serves
    /// nothing
    #[arg(long, value_name = "PORT", default_value_t = 10257, env = "BULWARD_SECURE_PORT")]
    secure_port: u16,
    /// Make templates for KubeCarrier: what members of Projects with the label kubecarrier.io/project-role may do
    #[arg(long, env = "BULWARD_KUBECARRIER_TEMPLATES")]
    kubecarrier_templates: bool,
    #[command(flatten)]
    certificate: serving::CertificateArgs,
}

#[derive(Debug, clap::Args)]
struct ElectionArgs {
    /// Whether replicas agree on one that acts, the others waiting
    #[arg(
        long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_value_t = true, default_missing_value = "true", env = "BULWARD_LEADER_ELECT"
    )]
    leader_elect: bool,
    /// How long the others wait for a leader that says nothing
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_duration, env = "BULWARD_LEADER_ELECT_LEASE_DURATION")]
    leader_elect_lease_duration: Duration,
    /// How long a leader tries to say something before it gives up
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration, env = "BULWARD_LEADER_ELECT_RENEW_DEADLINE")]
    leader_elect_renew_deadline: Duration,
    /// Time between two tries, of the leader and of the others
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = parse_duration, env = "BULWARD_LEADER_ELECT_RETRY_PERIOD")]
    leader_elect_retry_period: Duration,
    /// Namespace of the lease
    #[arg(
        long,
        value_name = "NAMESPACE",
        default_value = "bulward-system",
        env = "BULWARD_LEADER_ELECT_RESOURCE_NAMESPACE"
    )]
    leader_elect_resource_namespace: String,
    /// Name of the lease
    #[arg(
        long,
        value_name = "NAME",
        default_value = "bulward-controller-manager",
        env = "BULWARD_LEADER_ELECT_RESOURCE_NAME"
    )]
    leader_elect_resource_name: String,
}

/// Reconciles until a signal comes or the lease is lost.
pub(super) async fn run(arguments: Args) -> Result<(), Failure> {
    let identity = identity();
    let election = arguments.election.config(&identity)?;
    let kubeconfig = given(arguments.kubeconfig);
    let client = cluster::client("--kubeconfig", kubeconfig.as_deref())
        .await
        .map_err(|error| Failure::Runtime(error.to_string()))?;
    let shutdown = Shutdown::new();
    signals::follow(shutdown.clone(), Duration::ZERO)?;
    let metrics = ControllerMetrics::new();
    if arguments.secure_port != 0 {
        let certificate = arguments.certificate.load(arguments.bind_address, &shutdown)?;
        let listener = listen(arguments.bind_address, arguments.secure_port).await?;
        serving::start(listener, certificate, metrics.clone(), &shutdown);
    }
    let mut manager = Manager::new(client, Arc::clone(&metrics), &identity, shutdown.draining().clone());
    let options = groups::Options {
        kubecarrier_templates: arguments.kubecarrier_templates,
        ..groups::Options::default()
    };
    groups::controllers(&mut manager, &options);
    manager
        .run(election)
        .await
        .map_err(|error| Failure::Runtime(error.to_string()))
}

impl ElectionArgs {
    /// What the flags say, if it makes sense (client-go tools/leaderelection NewLeaderElector).
    fn config(self, identity: &str) -> Result<Option<Election>, Error> {
        if !self.leader_elect {
            return Ok(None);
        }
        let election = Election {
            identity: identity.to_owned(),
            namespace: self.leader_elect_resource_namespace,
            name: self.leader_elect_resource_name,
            lease_duration: self.leader_elect_lease_duration,
            renew_deadline: self.leader_elect_renew_deadline,
            retry_period: self.leader_elect_retry_period,
        };
        if election.namespace.is_empty() {
            return Err(refused("leader-elect-resource-namespace", "name a namespace"));
        }
        if election.name.is_empty() {
            return Err(refused("leader-elect-resource-name", "name a lease"));
        }
        if election.retry_period.is_zero() {
            return Err(refused("leader-elect-retry-period", "must be more than 0"));
        }
        if election.lease_duration.subsec_nanos() != 0 {
            return Err(refused(
                "leader-elect-lease-duration",
                "leases know whole seconds, write for example 15s",
            ));
        }
        if election.lease_duration <= election.renew_deadline {
            let why = "must be longer than --leader-elect-renew-deadline, or two replicas might act at once";
            return Err(refused("leader-elect-lease-duration", why));
        }
        if election.renew_deadline <= election.retry_period.mul_f64(1.2) {
            let why =
                "must be longer than --leader-elect-retry-period and a fifth of it, or the first failure is the last";
            return Err(refused("leader-elect-renew-deadline", why));
        }
        Ok(Some(election))
    }
}

/// Who this process is among its replicas: the host's name, for people, and what no other process has.
pub(super) fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "bulward-controller-manager",
        host => host,
    };
    format!("{host}_{}", uuid::Uuid::new_v4())
}
