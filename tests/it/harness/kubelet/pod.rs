//! A pod that runs.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Pod, PodSpec, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Api;
use kube::api::PostParams;
use tokio::time::Instant;

use super::Node;
use crate::harness::pki;
use crate::harness::process::{Log, Process};

/// How long a container has to end when it is told to.
const GRACE: Duration = Duration::from_secs(20);
/// Where a service account's token is mounted.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A pod's containers as processes.
pub(super) struct Running {
    pub(super) uid: Option<String>,
    containers: Vec<Started>,
    mounted: Vec<Mounted>,
    /// What its status says, if it says anything.
    pub(super) reported: Option<bool>,
    /// When it was told to end.
    told: Option<Instant>,
}

/// A Secret in a folder: replaced as a whole, as a node does it, by a link that leads to another folder.
struct Mounted {
    secret: String,
    folder: PathBuf,
    /// The resourceVersion that is there.
    version: Option<String>,
}

struct Started {
    name: String,
    command: Vec<String>,
    environment: Vec<(String, String)>,
    folder: PathBuf,
    log: Log,
    process: Process,
    /// The URL that the readiness probe asks.
    probe: Option<String>,
    client: kube::Client,
}

impl Running {
    /// Starts again what has ended, as a node does.
    pub(super) fn keep_alive(&mut self) {
        for container in &mut self.containers {
            if container.process.ended().is_some() {
                container.process = container.start();
            }
        }
    }

    /// Has the mounted Secrets be what they are by now.
    pub(super) fn refresh(&mut self, secrets: &[Secret]) {
        for mounted in &mut self.mounted {
            let same = |secret: &&Secret| secret.metadata.name.as_ref() == Some(&mounted.secret);
            if let Some(secret) = secrets.iter().find(same) {
                mounted.write(secret);
            }
        }
    }

    /// SIGTERM when it is first asked. Whether everything has ended by now, or had time enough: whoever does not end is killed when it is
    /// dropped.
    pub(super) fn ends(&mut self) -> bool {
        let told = *self.told.get_or_insert_with(|| {
            for container in &self.containers {
                if container.process.ended().is_none() {
                    container.process.signal("TERM");
                }
            }
            Instant::now()
        });
        let mut containers = self.containers.iter();
        told.elapsed() > GRACE || containers.all(|container| container.process.ended().is_some())
    }

    /// Whether every container runs and answers its probe.
    pub(super) async fn is_ready(&self) -> bool {
        for container in &self.containers {
            let answers = match &container.probe {
                Some(path) => {
                    let request = http::Request::get(path).body(Vec::new()).expect("a path");
                    let asked = container.client.request_text(request);
                    tokio::time::timeout(Duration::from_secs(5), asked)
                        .await
                        .is_ok_and(|answer| answer.is_ok())
                }
                None => true,
            };
            if !answers || container.process.ended().is_some() {
                return false;
            }
        }
        true
    }
}

impl Mounted {
    fn new(secret: &str, folder: &Path) -> Mounted {
        Mounted {
            secret: secret.to_owned(),
            folder: folder.to_owned(),
            version: None,
        }
    }

    fn write(&mut self, secret: &Secret) {
        if self.version == secret.metadata.resource_version {
            return;
        }
        let name = format!("..{}", uuid::Uuid::new_v4());
        let whole = self.folder.join(&name);
        std::fs::create_dir_all(&whole).expect("a folder of a Secret");
        for (file, bytes) in secret.data.iter().flatten() {
            std::fs::write(whole.join(file), &bytes.0).expect("a file of a Secret");
            let link = self.folder.join(file);
            if !link.is_symlink() {
                symlink(Path::new("..data").join(file), link).expect("a link to a file of a Secret");
            }
        }
        let fresh = self.folder.join("..data_tmp");
        symlink(&name, &fresh).expect("a link to a folder of a Secret");
        std::fs::rename(fresh, self.folder.join("..data")).expect("a link to the folder of a Secret");
        self.version.clone_from(&secret.metadata.resource_version);
    }
}

impl Started {
    fn start(&self) -> Process {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).current_dir(&self.folder);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Process::spawn(&self.name, &mut command, &self.log)
    }
}

impl Node {
    /// Starts a pod, or nothing yet while something that it mounts is not there.
    pub(super) async fn start(&self, pod: &Pod) -> Result<Option<Running>, kube::Error> {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let spec = pod.spec.clone().unwrap_or_default();
        let folder = self.folder.path().join(&name);
        let Some((volumes, mounted)) = self.volumes(pod, &spec, &folder).await? else {
            return Ok(None);
        };
        let containers = spec
            .containers
            .iter()
            .map(|container| self.container(&name, container, &volumes, &folder));
        Ok(Some(Running {
            uid: pod.metadata.uid.clone(),
            containers: containers.collect(),
            mounted,
            reported: None,
            told: None,
        }))
    }

    /// The folder of each volume.
    async fn volumes(
        &self,
        pod: &Pod,
        spec: &PodSpec,
        folder: &Path,
    ) -> Result<Option<(BTreeMap<String, PathBuf>, Vec<Mounted>)>, kube::Error> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let (mut volumes, mut mounts) = (BTreeMap::new(), Vec::new());
        for volume in spec.volumes.iter().flatten() {
            let path = folder.join(&volume.name);
            std::fs::create_dir_all(&path).expect("a folder of a volume");
            if let Some(source) = &volume.secret {
                let name = source.secret_name.clone().unwrap_or_default();
                let Some(secret) = secrets.get_opt(&name).await? else {
                    return Ok(None);
                };
                let mut mounted = Mounted::new(&name, &path);
                mounted.write(&secret);
                mounts.push(mounted);
            } else if volume.projected.is_some() {
                let token = self.token(pod, spec).await?;
                pki::token_kubeconfig(&path.join("kubeconfig"), &self.server, &self.authority, Some(&token));
            }
            volumes.insert(volume.name.clone(), path);
        }
        Ok(Some((volumes, mounts)))
    }

    /// A token of the pod's account, good while the pod is there.
    async fn token(&self, pod: &Pod, spec: &PodSpec) -> Result<String, kube::Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace);
        let bound = BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
        };
        let request = TokenRequest {
            spec: TokenRequestSpec {
                bound_object_ref: Some(bound),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let account = spec.service_account_name.as_deref().unwrap_or("default");
        let made = accounts
            .create_token_request(account, &PostParams::default(), &request)
            .await?;
        Ok(made.status.map(|status| status.token).unwrap_or_default())
    }

    fn container(
        &self,
        pod: &str,
        container: &Container,
        volumes: &BTreeMap<String, PathBuf>,
        folder: &Path,
    ) -> Started {
        let ports: Vec<u16> = container
            .ports
            .iter()
            .flatten()
            .filter_map(|port| u16::try_from(port.container_port).ok())
            .collect();
        let mut environment = Vec::new();
        let mut mounts = Vec::new();
        for mount in container.volume_mounts.iter().flatten() {
            let path = &volumes[&mount.name];
            if mount.mount_path == TOKEN {
                // Its address is not this one here, and its place not to be chosen: a kubeconfig says the same.
                let kubeconfig = path.join("kubeconfig").display().to_string();
                environment.push(("BULWARD_KUBECONFIG".to_owned(), kubeconfig));
            }
            mounts.push((mount.mount_path.clone(), path.display().to_string()));
        }
        for variable in container.env.iter().flatten() {
            let value = match &variable.value {
                Some(value) => value.clone(),
                None => pod.to_owned(),
            };
            environment.push((variable.name.clone(), value));
        }
        let given = container
            .command
            .iter()
            .flatten()
            .chain(container.args.iter().flatten());
        let mut command: Vec<String> = given
            .map(|argument| {
                let expanded = environment.iter().fold(argument.clone(), |argument, (name, value)| {
                    argument.replace(&format!("$({name})"), value)
                });
                mounted(&self.addresses.here(&expanded, pod, &ports), &mounts)
            })
            .collect();
        match &container.command {
            // Of an image that is not ours.
            Some(_) => command[0] = self.etcd.display().to_string(),
            None => command.insert(0, env!("CARGO_BIN_EXE_bulward").to_owned()),
        }
        let (url, path) = match container
            .readiness_probe
            .as_ref()
            .and_then(|probe| probe.http_get.as_ref())
        {
            Some(get) => {
                let (url, path) = self.probe(pod, container, get);
                (url, Some(path))
            }
            None => ("https://127.0.0.1:1".to_owned(), None),
        };
        let name = format!("{}-{pod}", self.plane);
        let log = Log::create(&name);
        let mut config = kube::Config::new(url.parse().expect("a URL"));
        config.accept_invalid_certs = true;
        config.default_retry = false;
        std::fs::create_dir_all(folder).expect("a folder of a pod");
        let client = kube::Client::try_from(config).expect("a client for a probe");
        let mut command_line = Command::new(&command[0]);
        command_line.args(&command[1..]).current_dir(folder);
        command_line.envs(environment.iter().map(|(name, value)| (name, value)));
        let process = Process::spawn(&name, &mut command_line, &log);
        Started {
            name,
            command,
            environment,
            folder: folder.to_owned(),
            log,
            process,
            probe: path,
            client,
        }
    }

    /// The server that a probe asks, and the path.
    fn probe(&self, pod: &str, container: &Container, get: &HTTPGetAction) -> (String, String) {
        let port = match &get.port {
            IntOrString::Int(port) => *port,
            IntOrString::String(name) => {
                let mut ports = container.ports.iter().flatten();
                let named = ports.find(|port| port.name.as_ref() == Some(name));
                named
                    .unwrap_or_else(|| panic!("{pod}: no port is called {name}"))
                    .container_port
            }
        };
        let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
        let port = self.addresses.port(pod, u16::try_from(port).expect("a port"));
        (
            format!("{scheme}://127.0.0.1:{port}"),
            get.path.clone().unwrap_or_default(),
        )
    }
}

/// An argument whose value is a path below a mount, as it is here.
fn mounted(argument: &str, mounts: &[(String, String)]) -> String {
    let Some((flag, value)) = argument.split_once('=') else {
        return argument.to_owned();
    };
    let below = |(mount, folder): &(String, String)| {
        let rest = value.strip_prefix(mount.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{flag}={folder}{rest}"))
    };
    mounts.iter().find_map(below).unwrap_or_else(|| argument.to_owned())
}
