//! `bulward manifests`: what a cluster needs to know to serve our groups, derived from the descriptors.

mod rbac;
mod workload;

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

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
    /// Comma-separated URLs of etcd.
    #[arg(long, default_value = "https://etcd.bulward-system.svc:2379")]
    pub etcd_servers: String,
    /// PEM file with the certificate authority that signed the server's certificate. Without it the APIServices carry none, and stay unavailable until one is put there.
    #[arg(long)]
    pub ca_file: Option<PathBuf>,
    /// Folder to write the files to, instead of printing them.
    #[arg(long)]
    pub output_dir: Option<PathBuf>,
}

/// A rendered file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Relative to the output folder, for example `deploy/rbac.yaml`.
    pub path: &'static str,
    /// One or more YAML documents.
    pub content: String,
}

/// Port on which the container listens; above 1024, since it runs without privileges.
const PORT: u16 = 6443;

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: "bulward-system".to_owned(),
            service: "bulward-apiserver".to_owned(),
            image: "ghcr.io/bulward/bulward:v0.1.0".to_owned(),
            etcd_servers: "https://etcd.bulward-system.svc:2379".to_owned(),
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
    for manifest in render(registry, options, ca.as_deref()) {
        let Some(folder) = &options.output_dir else {
            write!(out, "---\n# {}\n{}", manifest.path, manifest.content)?;
            continue;
        };
        let path = folder.join(manifest.path);
        let parent = path.parent().unwrap_or(folder);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, &manifest.content));
        written.map_err(|error| named(&path, error))?;
    }
    Ok(())
}

/// The manifests, in the order in which they should be applied. `ca` is the PEM of the certificate authority for `caBundle`.
pub fn render(registry: &Registry, options: &Options, ca: Option<&[u8]>) -> Vec<Manifest> {
    vec![
        Manifest {
            path: "deploy/namespace.yaml",
            content: workload::namespace(options),
        },
        Manifest {
            path: "deploy/rbac.yaml",
            content: rbac::rbac(registry, options),
        },
        Manifest {
            path: "deploy/service.yaml",
            content: workload::service(options),
        },
        Manifest {
            path: "deploy/deployment.yaml",
            content: workload::deployment(options),
        },
        Manifest {
            path: "apiservice/apiservice.yaml",
            content: api_services(registry, options, ca),
        },
    ]
}

/// One APIService a group version.
fn api_services(registry: &Registry, options: &Options, ca: Option<&[u8]>) -> String {
    let mut out = String::from(
        "# kube-apiserver forwards these API groups to the server. Where two groups have a resource of the same name, kubectl takes the one whose\n\
         # groupPriorityMinimum is higher: `kubectl get organizations` asks the filtered view.\n",
    );
    if ca.is_none() {
        out.push_str(
            "# spec.caBundle is missing: `bulward manifests --ca-file=ca.crt` fills it in, or cert-manager's CA injector does.\n\
             # Until then the APIServices report FailedDiscoveryCheck, since kube-apiserver cannot trust the server's certificate.\n",
        );
    }
    for (at, (group, version, priority)) in versions(registry).into_iter().enumerate() {
        if at > 0 {
            out.push_str("---\n");
        }
        api_service(&mut out, group, version, priority, options, ca);
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

fn api_service(out: &mut String, group: &Group, version: &str, priority: usize, options: &Options, ca: Option<&[u8]>) {
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
