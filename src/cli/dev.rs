//! `bulward dev`: everything in one process and one folder, with users to try it as.

mod bootstrap;
mod client;
mod folder;
mod namespaces;
mod sample;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Failure, apiserver, descriptors, listen, signals};
use crate::{
    config::{
        Apiserver, Audit, Authentication, Authorization, Certificate, Cluster, RequestHeader, Serving, Storage, Tls,
    },
    controllers::manager::Manager,
    groups,
    http::{limits::Allowance, listener::Limits, shutdown::Shutdown},
    server,
    telemetry::metrics::controllers::ControllerMetrics,
    watchcache::log::Bounds,
};
use folder::{CONTROLLERS, Folder};

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Port to serve HTTPS on; 0 for any that is free
    #[arg(long, value_name = "PORT", default_value_t = 6443, env = "BULWARD_SECURE_PORT")]
    secure_port: u16,
    /// Folder for objects, certificates and kubeconfigs; made if need be, all of it is kept
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "./bulward-data",
        env = "BULWARD_DATA_DIR"
    )]
    data_dir: PathBuf,
    /// Address to listen on
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), env = "BULWARD_BIND_ADDRESS")]
    bind_address: IpAddr,
}

/// Serves until a signal comes; says what to try as soon as it does.
pub(super) async fn run(arguments: Args) -> Result<(), Failure> {
    let listener = listen(arguments.bind_address, arguments.secure_port).await?;
    let bound = listener
        .local_addr()
        .map_err(|error| Failure::Runtime(format!("cannot listen: {error}")))?;
    let address = reachable(bound);
    let folder = Folder::prepare(&arguments.data_dir, arguments.bind_address, address)
        .map_err(|error| Failure::Runtime(format!("data folder: {error}")))?;
    let config = config(&arguments, bound, &folder);
    descriptors::raise(config.serving.limits.max_connections);
    let shutdown = Shutdown::new();
    signals::follow(shutdown.clone(), config.serving.shutdown_delay)?;

    let draining = shutdown.draining().clone();
    let welcome = async {
        sample::ready(&folder).await.map_err(Failure::Runtime)?;
        let admin = client::client(&folder, "admin").map_err(Failure::Runtime)?;
        bootstrap::make(&admin).await.map_err(Failure::Runtime)?;
        if let Err(error) = sample::make(&folder).await {
            tracing::warn!(%error, "the sample is not complete");
        }
        let controllers = client::client(&folder, CONTROLLERS).map_err(Failure::Runtime)?;
        let mut manager = Manager::new(controllers, ControllerMetrics::new(), "dev", draining);
        groups::controllers(&mut manager, &groups::Options::default());
        let registry = groups::registry(&groups::Options {
            cluster: true,
            ..groups::Options::default()
        });
        let greet = async {
            if !sample::settled(&admin).await {
                tracing::warn!("the controllers have not come to the end of their work");
            }
            // Somebody who does not want to read it (a closed pipe) still wants the server.
            let _ = io::stdout().write_all(greeting(&arguments.data_dir, address).as_bytes());
        };
        let (lost, (), ()) = tokio::join!(manager.run(None), namespaces::run(admin.clone(), &registry), greet);
        lost.map_err(|error| Failure::Runtime(error.to_string()))?;
        std::future::pending().await
    };
    tokio::select! {
        served = server::run(config, listener, shutdown) => {
            served.map_err(|error| Failure::Runtime(error.to_string()))
        }
        failed = welcome => failed,
    }
}

fn config(arguments: &Args, bound: SocketAddr, folder: &Folder) -> Apiserver {
    Apiserver {
        serving: Serving {
            bind_address: bound.ip(),
            port: bound.port(),
            certificate: Certificate::Files {
                certificate: folder.serving_certificate(),
                key: folder.serving_key(),
            },
            certificate_refresh: apiserver::CERTIFICATE_REFRESH,
            limits: Limits::default(),
            shutdown_delay: Duration::ZERO,
            livez_grace_period: Duration::ZERO,
        },
        tls: Tls::default(),
        storage: Storage::Embedded {
            folder: arguments.data_dir.clone(),
        },
        encryption: None,
        history: Bounds::default(),
        limits: Allowance::default(),
        cluster: Cluster::None,
        authentication: Authentication {
            cluster: Cluster::None,
            skip_lookup: true,
            tolerate_lookup_failure: false,
            token_cache_ttl: Duration::ZERO,
            client_ca_file: Some(folder.authority_certificate()),
            request_header: RequestHeader::default(),
        },
        authorization: Authorization::StoredRoles,
        // Nobody here to whom a missing object means anything uses the filtered view (visibility.md V16).
        audit: Audit::default(),
        admission: crate::config::Admission::default(),
        unfiltered_users: Vec::new(),
        reserved_names: Vec::new(),
        kubecarrier_templates: false,
    }
}

/// Where clients on this machine reach a server that is bound like this.
fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

fn greeting(data_dir: &Path, address: SocketAddr) -> String {
    let kubectl = |user: &str| {
        let path = data_dir.join(format!("{user}.kubeconfig"));
        format!("kubectl --kubeconfig {}", quoted(&path.to_string_lossy()))
    };
    let (admin, alice, bob) = (kubectl("admin"), kubectl("alice"), kubectl("bob"));
    format!(
        "\
Bulward serves on https://{address}; everything is kept in {data_dir}.

Every caller sees just their own:
  {alice} get organizations
  {bob} get organizations

Watch as bob, and make him a member of acme from another terminal:
  {bob} get organizations --watch
  {alice} create rolebinding bob --role=project-admin --user=bob --namespace=acme

All of them, and what was made of them, for administrators alone:
  {admin} get organizations.storage.bulward.io
  {admin} get namespaces

Ctrl-C ends it.
",
        data_dir = data_dir.display()
    )
}

/// As a shell wants it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+:@%,".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
