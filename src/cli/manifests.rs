//! `bulward manifests`: what a cluster needs to know to serve our groups, derived from the descriptors.

mod cert_manager;
mod certs;
mod controller_manager;
mod etcd;
mod guards;
mod pods;
mod rbac;
mod workload;

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use super::certs::names::Installation;
use crate::rest::resource::{Group, Registry};

/// What `bulward manifests` is told.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Namespace of the server.
    #[arg(long, default_value = "bulward-system")]
    pub namespace: String,
    /// Name of the Service, the Deployment and the ServiceAccount.
    #[arg(long, default_value = "bulward-apiserver")]
    pub service: String,
    /// Container image.
    #[arg(long, default_value = "ghcr.io/bulward/bulward:v0.1.0")]
    pub image: String,
    /// Comma-separated URLs of an etcd that is there already. Without it, one of three members is part of the installation.
    #[arg(long)]
    pub etcd_servers: Option<String>,
    /// Have cert-manager make the certificates, instead of `bulward certs`.
    #[arg(long, conflicts_with = "etcd_servers")]
    pub cert_manager: bool,
    /// PEM file with the certificate authority that signed the server's certificate. Without it the APIServices carry none, and stay unavailable until one is put there, as `bulward certs bootstrap` and cert-manager do.
    #[arg(long)]
    pub ca_file: Option<PathBuf>,
    /// Folder to write all variants to, instead of printing one.
    #[arg(long)]
    pub output_dir: Option<PathBuf>,
}

/// A rendered file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Relative to the output folder, for example `deploy/bulward.yaml`.
    pub path: &'static str,
    /// One or more YAML documents.
    pub content: String,
}

/// The variants.
const WHOLE: &str = "deploy/bulward.yaml";
const EXTERNAL_ETCD: &str = "deploy/external-etcd.yaml";
const CERT_MANAGER: &str = "deploy/cert-manager.yaml";

const HEAD: &str = "\
# All of it: etcd, API server, controllers, and who makes their certificates.
#   kubectl apply -f deploy/bulward.yaml
#   kubectl wait --for=condition=available --timeout=5m -n {namespace} deployment/{service} deployment/bulward-controller-manager
";

const EXTERNAL_HEAD: &str = "\
# As bulward.yaml, with an etcd that is there already. Change --etcd-servers, and make the Secret with our certificate for it first:
#   kubectl create secret generic {service}-etcd -n {namespace} --from-file=ca.crt --from-file=tls.crt --from-file=tls.key
";

const CERT_MANAGER_HEAD: &str = "\
# As bulward.yaml, with cert-manager to make the certificates and to tell the APIServices the authority. It has to be installed first.
";

/// Port on which the container listens; above 1024, since it runs without privileges.
const PORT: u16 = 6443;

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: "bulward-system".to_owned(),
            service: "bulward-apiserver".to_owned(),
            image: "ghcr.io/bulward/bulward:v0.1.0".to_owned(),
            etcd_servers: None,
            cert_manager: false,
            ca_file: None,
            output_dir: None,
        }
    }
}

/// Prints the manifests, or writes them below `options.output_dir`.
///
/// # Errors
/// When the certificate authority cannot be read or a file or the standard output cannot be written; the text names the path.
pub fn run(registry: &Registry, options: &Options, out: &mut impl io::Write) -> io::Result<()> {
    let named = |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let ca = match &options.ca_file {
        Some(path) => Some(std::fs::read(path).map_err(|error| named(path, error))?),
        None => None,
    };
    let manifests = render(registry, options, ca.as_deref());
    let Some(folder) = &options.output_dir else {
        let wanted = match (&options.etcd_servers, options.cert_manager) {
            (Some(_), _) => EXTERNAL_ETCD,
            (None, true) => CERT_MANAGER,
            (None, false) => WHOLE,
        };
        let manifest = manifests.iter().find(|manifest| manifest.path == wanted);
        return manifest.map_or(Ok(()), |manifest| out.write_all(manifest.content.as_bytes()));
    };
    for manifest in manifests {
        let path = folder.join(manifest.path);
        let parent = path.parent().unwrap_or(folder);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, &manifest.content));
        written.map_err(|error| named(&path, error))?;
    }
    Ok(())
}

/// All variants of an installation, and the APIServices alone. `ca` is the PEM of the certificate authority for `caBundle`.
pub fn render(registry: &Registry, options: &Options, ca: Option<&[u8]>) -> Vec<Manifest> {
    let whole = [WHOLE, EXTERNAL_ETCD, CERT_MANAGER].map(|path| Manifest {
        path,
        content: installation(registry, options, path, ca),
    });
    let services = Manifest {
        path: "apiservice/apiservice.yaml",
        content: api_services(registry, options, ca, ""),
    };
    whole.into_iter().chain([services]).collect()
}

/// One file to apply.
fn installation(registry: &Registry, options: &Options, path: &str, ca: Option<&[u8]>) -> String {
    let installation = Installation {
        namespace: &options.namespace,
        service: &options.service,
        own_etcd: path != EXTERNAL_ETCD,
    };
    let (head, servers) = match path {
        EXTERNAL_ETCD => {
            let given = options.etcd_servers.clone();
            (
                EXTERNAL_HEAD,
                given.unwrap_or_else(|| "https://etcd.example.com:2379".to_owned()),
            )
        }
        CERT_MANAGER => (CERT_MANAGER_HEAD, etcd::servers(&installation)),
        _ => (HEAD, etcd::servers(&installation)),
    };
    let annotations = match path {
        CERT_MANAGER => format!(
            "  annotations:\n    cert-manager.io/inject-ca-from: {}/{}\n",
            options.namespace,
            installation.serving()
        ),
        _ => String::new(),
    };
    let mut parts = vec![
        workload::namespace(options),
        rbac::rbac(registry, options),
        guards::guards(options),
        workload::service(&options.namespace, &options.service),
        api_services(registry, options, ca, &annotations),
    ];
    parts.push(match path {
        CERT_MANAGER => cert_manager::certificates(options, &installation),
        _ => certs::certs(registry, options, &installation),
    });
    if installation.own_etcd {
        parts.push(etcd::etcd(options, &installation));
    }
    parts.push(workload::apiserver(options, &installation, &servers));
    parts.push(controller_manager::controller_manager(options));
    let head = head
        .replace("{namespace}", &options.namespace)
        .replace("{service}", &options.service);
    format!("{head}{}", parts.join("---\n"))
}

/// One APIService a group version.
fn api_services(registry: &Registry, options: &Options, ca: Option<&[u8]>, annotations: &str) -> String {
    let mut out = String::from(
        "# kube-apiserver forwards these API groups to the server. Where two groups have a resource of the same name, kubectl takes the one whose\n\
         # groupPriorityMinimum is higher: `kubectl get organizations` asks the filtered view.\n",
    );
    if ca.is_none() {
        out.push_str(
            "# spec.caBundle is missing: `bulward certs bootstrap` fills it in, `bulward manifests --ca-file=ca.crt`, or cert-manager's CA injector.\n\
             # Until then the APIServices report FailedDiscoveryCheck, since kube-apiserver cannot trust the server's certificate.\n",
        );
    }
    for (at, (group, version, priority)) in versions(registry).into_iter().enumerate() {
        if at > 0 {
            out.push_str("---\n");
        }
        api_service(&mut out, group, (version, priority), options, ca, annotations);
    }
    out
}

/// Every group version with its `versionPriority`; the most preferred version has the highest.
fn versions(registry: &Registry) -> Vec<(&Group, &str, usize)> {
    let groups = registry.groups.iter().flat_map(|group| {
        let versions = group.versions();
        let count = versions.len();
        versions
            .into_iter()
            .enumerate()
            .map(move |(at, version)| (group, version, 10 * (count - at)))
    });
    groups.collect()
}

fn api_service(
    out: &mut String,
    group: &Group,
    (version, priority): (&str, usize),
    options: &Options,
    ca: Option<&[u8]>,
    annotations: &str,
) {
    let Options { namespace, service, .. } = options;
    let Group {
        name,
        priority: minimum,
        ..
    } = group;
    let text = format!(
        "apiVersion: apiregistration.k8s.io/v1\n\
         kind: APIService\n\
         metadata:\n\
         \x20 name: {version}.{name}\n\
         {annotations}\
         spec:\n\
         \x20 group: {name}\n\
         \x20 version: {version}\n\
         \x20 groupPriorityMinimum: {minimum}\n\
         \x20 versionPriority: {priority}\n\
         \x20 service:\n\
         \x20   name: {service}\n\
         \x20   namespace: {namespace}\n\
         \x20   port: 443\n"
    );
    out.push_str(&text);
    if let Some(ca) = ca {
        writeln!(out, "  caBundle: {}", STANDARD.encode(ca)).expect("a string takes all text");
    }
}
