//! `bulward apiserver`: flags by the names that k8s.io/apiserver gives them, so that operators know them.

mod admission;
mod audit;
pub(super) mod encryption;
mod etcd;
mod history;
mod identity;
mod limits;
mod tls;
mod tracing;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use clap::{
    ValueEnum,
    builder::{OsStringValueParser, TypedValueParser},
};

use super::{Failure, descriptors, listen, signals};
use crate::{
    config::{self, Apiserver, Certificate, Cluster, Error, Serving, Storage, parse_duration},
    http::{listener::Limits, shutdown::Shutdown},
    server,
    telemetry::traces,
};

/// Connections that may be allowed: as many as a process can have open files.
const MAX_CONNECTIONS: usize = 1 << 20;
/// How often a mounted certificate is looked at.
pub(super) const CERTIFICATE_REFRESH: Duration = Duration::from_secs(5);

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kubeconfig for the cluster that we extend; without it, the cluster of our own pod
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Serving")]
    serving: ServingArgs,
    #[command(flatten, next_help_heading = "Serving")]
    tls: tls::TlsArgs,
    #[command(flatten, next_help_heading = "Storage")]
    storage: StorageArgs,
    #[command(flatten, next_help_heading = "Storage")]
    encryption: encryption::EncryptionArgs,
    #[command(flatten, next_help_heading = "Watches")]
    history: history::HistoryArgs,
    #[command(flatten, next_help_heading = "Limits")]
    limits: limits::LimitsArgs,
    #[command(flatten, next_help_heading = "Authentication")]
    authentication: identity::AuthenticationArgs,
    #[command(flatten, next_help_heading = "Authorization")]
    authorization: identity::AuthorizationArgs,
    #[command(flatten, next_help_heading = "Admission")]
    admission: admission::AdmissionArgs,
    #[command(flatten, next_help_heading = "Audit")]
    audit: audit::AuditArgs,
    #[command(flatten, next_help_heading = "Tracing")]
    tracing: tracing::TracingArgs,
    #[command(flatten, next_help_heading = "Tenancy")]
    tenancy: TenancyArgs,
}

#[derive(Debug, clap::Args)]
struct ServingArgs {
    /// Address to listen on
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED), env = "BULWARD_BIND_ADDRESS")]
    bind_address: IpAddr,
    /// Port to serve HTTPS on
    #[arg(long, value_name = "PORT", default_value_t = 443, env = "BULWARD_SECURE_PORT")]
    secure_port: u16,
    /// Serving certificate followed by its intermediates, PEM; read again when it changes
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_TLS_CERT_FILE")]
    tls_cert_file: Option<PathBuf>,
    /// Key of --tls-cert-file, PEM
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_TLS_PRIVATE_KEY_FILE")]
    tls_private_key_file: Option<PathBuf>,
    /// Without --tls-cert-file: folder in which to keep a certificate of our own making and its authority, ca.crt
    #[arg(
        long,
        value_name = "FOLDER", value_parser = path(),
        default_value = "apiserver.local.config/certificates",
        env = "BULWARD_CERT_DIR"
    )]
    cert_dir: PathBuf,
    /// DNS names and IP addresses, such as bulward.bulward-system.svc, that the certificate of --tls-cert-file must have, or
    /// that are put into one of our own making
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = "BULWARD_CERT_NAMES")]
    cert_names: Vec<String>,
    /// How long to go on serving, not ready, after SIGTERM, so that load balancers notice
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration, env = "BULWARD_SHUTDOWN_DELAY_DURATION")]
    shutdown_delay_duration: Duration,
    /// How long the first load may take. /livez fails after that, so that who asks starts the server anew; 0s lets it take
    /// as long as it wants
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration, env = "BULWARD_LIVEZ_GRACE_PERIOD")]
    livez_grace_period: Duration,
    /// Open connections; further ones wait
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 10_000,
        env = "BULWARD_MAX_CONNECTIONS"
    )]
    max_connections: usize,
    /// Open connections from one address; further ones are closed. A quarter of --max-connections when 0
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 0,
        env = "BULWARD_MAX_CONNECTIONS_PER_ADDRESS"
    )]
    max_connections_per_address: usize,
    /// Concurrent requests on one HTTP/2 connection
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = Limits::default().max_concurrent_streams,
        env = "BULWARD_HTTP2_MAX_STREAMS_PER_CONNECTION"
    )]
    http2_max_streams_per_connection: u32,
}

#[derive(Debug, clap::Args)]
pub(super) struct StorageArgs {
    /// Where objects are kept
    #[arg(long, value_enum, default_value_t, env = "BULWARD_STORAGE")]
    storage: Kind,
    /// With --storage=embedded: the folder
    #[arg(long, value_name = "FOLDER", value_parser = path(), env = "BULWARD_DATA_DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    etcd: etcd::EtcdArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// In etcd, for production
    #[default]
    Etcd,
    /// In a folder of this machine, for one server
    Embedded,
}

#[derive(Debug, clap::Args)]
struct TenancyArgs {
    /// Exact user names that read and write without filter or ownership check: the controllers to which a missing
    /// object means "the owner is gone"
    #[arg(
        long,
        value_name = "USERS",
        value_delimiter = ',',
        default_values_t = config::UNFILTERED_USERS.map(str::to_owned),
        env = "BULWARD_UNFILTERED_USERS"
    )]
    unfiltered_users: Vec<String>,
    /// Names that nobody may create, besides default, kube-*, openshift-* and bulward-*; `*` stands for any text
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',', env = "BULWARD_RESERVED_NAMES")]
    reserved_names: Vec<String>,
    /// The controllers make templates for KubeCarrier: the label kubecarrier.io/project-role of Projects grants something, and
    /// may be written only by those who are allowed the verb assign on projects
    #[arg(long, env = "BULWARD_KUBECARRIER_TEMPLATES")]
    kubecarrier_templates: bool,
}

/// Serves until a signal comes.
pub(super) async fn run(mut arguments: Args, start_logging: impl FnOnce()) -> Result<(), Failure> {
    if let Some(configuration) = std::mem::take(&mut arguments.tracing).config()? {
        tracing::start(&configuration)?;
    }
    start_logging();
    let config = arguments.config()?;
    descriptors::raise(config.serving.limits.max_connections);
    let listener = listen(config.serving.bind_address, config.serving.port).await?;
    let shutdown = Shutdown::new();
    signals::follow(shutdown.clone(), config.serving.shutdown_delay)?;
    let served = server::run(config, listener, shutdown).await;
    traces::finish().await;
    served.map_err(|error| Failure::Runtime(error.to_string()))
}

impl Args {
    /// What the flags say, if it makes sense.
    pub(super) fn config(self) -> Result<Apiserver, Error> {
        let cluster = given(self.kubeconfig).map_or(Cluster::InCluster, Cluster::Kubeconfig);
        Ok(Apiserver {
            tls: self.tls.config(listed(self.serving.cert_names.clone()))?,
            serving: self.serving.config()?,
            storage: self.storage.config()?,
            encryption: self.encryption.config(),
            history: self.history.config()?,
            limits: self.limits.config()?,
            authentication: self.authentication.config(&cluster)?,
            authorization: self.authorization.config(&cluster)?,
            audit: self.audit.config()?,
            cluster,
            admission: self.admission.config()?,
            unfiltered_users: listed(self.tenancy.unfiltered_users),
            reserved_names: reserved(self.tenancy.reserved_names)?,
            kubecarrier_templates: self.tenancy.kubecarrier_templates,
        })
    }
}

impl ServingArgs {
    fn config(self) -> Result<Serving, Error> {
        if self.secure_port == 0 {
            return Err(refused(
                "secure-port",
                "0 would serve nothing, choose a port from 1 to 65535",
            ));
        }
        if self.max_connections == 0 {
            return Err(refused("max-connections", "0 would serve nobody, allow at least 1"));
        }
        if self.max_connections > MAX_CONNECTIONS {
            let why = format!("more than {MAX_CONNECTIONS} are not served by one process");
            return Err(refused("max-connections", why));
        }
        if self.http2_max_streams_per_connection == 0 {
            let why = "0 would serve nobody over HTTP/2, allow at least 1";
            return Err(refused("http2-max-streams-per-connection", why));
        }
        let names = self_signed_names(self.bind_address, listed(self.cert_names));
        let certificate = certificate(self.tls_cert_file, self.tls_private_key_file, self.cert_dir, names)?;
        Ok(Serving {
            bind_address: self.bind_address,
            port: self.secure_port,
            certificate,
            certificate_refresh: CERTIFICATE_REFRESH,
            limits: Limits {
                max_connections: self.max_connections,
                max_connections_per_address: match self.max_connections_per_address {
                    0 => self.max_connections.div_ceil(4),
                    count => count,
                },
                max_concurrent_streams: self.http2_max_streams_per_connection,
                ..Limits::default()
            },
            shutdown_delay: self.shutdown_delay_duration,
            livez_grace_period: self.livez_grace_period,
        })
    }
}

impl StorageArgs {
    pub(super) fn config(self) -> Result<Storage, Error> {
        let folder = given(self.data_dir);
        match self.storage {
            Kind::Embedded => {
                if let Some(flag) = self.etcd.first_given() {
                    return Err(refused(
                        flag,
                        "has no meaning with --storage=embedded, leave one of the two out",
                    ));
                }
                let folder = folder.ok_or_else(|| refused("data-dir", "--storage=embedded needs a folder here"))?;
                Ok(Storage::Embedded { folder })
            }
            Kind::Etcd if folder.is_some() => Err(refused(
                "data-dir",
                "has a meaning with --storage=embedded only, add that or leave it out",
            )),
            Kind::Etcd => Ok(Storage::Etcd(self.etcd.config()?)),
        }
    }
}

/// The certificate that the flags name, or one of our own for these names.
pub(super) fn certificate(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    folder: PathBuf,
    names: Vec<String>,
) -> Result<Certificate, Error> {
    match (given(certificate), given(key)) {
        (Some(certificate), Some(key)) => Ok(Certificate::Files { certificate, key }),
        (Some(_), None) => Err(refused("tls-cert-file", "needs --tls-private-key-file as well")),
        (None, Some(_)) => Err(refused("tls-private-key-file", "needs --tls-cert-file as well")),
        (None, None) => Ok(Certificate::SelfSigned {
            folder: given(Some(folder)).ok_or_else(|| refused("cert-dir", "name a folder, or give --tls-cert-file"))?,
            names,
        }),
    }
}

/// The names in a certificate of our own making, by which a server on this address can be reached.
pub(super) fn self_signed_names(bind_address: IpAddr, further: Vec<String>) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let own = (!bind_address.is_unspecified()).then(|| bind_address.to_string());
    for name in own.into_iter().chain(further) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn reserved(patterns: Vec<String>) -> Result<Vec<String>, Error> {
    let patterns = listed(patterns);
    let plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '*');
    match patterns.iter().find(|pattern| !pattern.chars().all(plain)) {
        Some(odd) => {
            let why = format!("{odd:?} matches no name: use lower-case letters, digits, `-`, and `*` for any text");
            Err(refused("reserved-names", why))
        }
        None => Ok(patterns),
    }
}

/// Takes an empty path too, unlike clap.
pub(super) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// A flag set to nothing is a flag not set, as Go has it.
pub(super) fn given(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

/// The entries of a list that say something.
fn listed(entries: Vec<String>) -> Vec<String> {
    let trimmed = entries.into_iter().map(|entry| entry.trim().to_owned());
    trimmed.filter(|entry| !entry.is_empty()).collect()
}

pub(super) fn refused(flag: &'static str, why: impl Into<String>) -> Error {
    Error { flag, why: why.into() }
}
