//! The data folder: authority, certificates, kubeconfigs. What is there and still good stays as it is.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    certs::{self, Authority, Leaf, Pair, files, keep},
    cli::apiserver::self_signed_names,
    wire::user::GROUP_MASTERS,
};

/// Who there is to try it as, with their groups.
const USERS: [(&str, &[&str]); 3] = [("admin", &[GROUP_MASTERS]), ("alice", &[]), ("bob", &[])];

/// Who the controllers are: the service account that `deploy/bulward.yaml` gives their rights to.
pub(super) const CONTROLLERS: &str = "system:serviceaccount:bulward-system:bulward-controller-manager";

/// A prepared data folder.
pub(super) struct Folder {
    certificates: PathBuf,
    /// Where the kubeconfigs point.
    pub(super) address: SocketAddr,
    /// The authority's certificate, PEM.
    pub(super) authority: String,
    users: Vec<(&'static str, Pair)>,
}

impl Folder {
    /// Makes what is missing in the folder, for a server that clients reach at `address`.
    pub(super) fn prepare(path: &Path, bind_address: IpAddr, address: SocketAddr) -> Result<Self, certs::Error> {
        files::private_folder(path)?;
        let certificates = path.join("certificates");
        files::private_folder(&certificates)?;
        let authority = Authority::load_or_create(&certificates, "bulward-dev-ca")?;
        let mut folder = Self {
            certificates,
            address,
            authority: authority.certificate_pem().to_owned(),
            users: Vec::new(),
        };
        let serving = Leaf::server(self_signed_names(bind_address, Vec::new()));
        keep(
            &authority,
            &serving,
            &folder.serving_certificate(),
            &folder.serving_key(),
        )?;
        for (user, groups) in USERS {
            let leaf = Leaf::client(user, groups);
            let pair = keep(&authority, &leaf, &folder.file(user, "crt"), &folder.file(user, "key"))?;
            let kubeconfig = kubeconfig(user, &pair, &folder.authority, address);
            let kubeconfig_path = path.join(format!("{user}.kubeconfig"));
            if files::read(&kubeconfig_path)?.as_ref() != Some(&kubeconfig) {
                files::write(&kubeconfig_path, kubeconfig.as_bytes(), files::Access::Private)?;
            }
            folder.users.push((user, pair));
        }
        let leaf = Leaf::client(CONTROLLERS, &["system:serviceaccounts"]);
        let (certificate, key) = (folder.file("controllers", "crt"), folder.file("controllers", "key"));
        let pair = keep(&authority, &leaf, &certificate, &key)?;
        folder.users.push((CONTROLLERS, pair));
        Ok(folder)
    }

    /// The authority of servers and users alike.
    pub(super) fn authority_certificate(&self) -> PathBuf {
        self.file("ca", "crt")
    }

    pub(super) fn serving_certificate(&self) -> PathBuf {
        self.file("bulward", "crt")
    }

    pub(super) fn serving_key(&self) -> PathBuf {
        self.file("bulward", "key")
    }

    /// A user's certificate.
    pub(super) fn user(&self, name: &str) -> Option<&Pair> {
        self.users
            .iter()
            .find_map(|(user, pair)| (*user == name).then_some(pair))
    }

    fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.certificates.join(format!("{name}.{extension}"))
    }
}

/// A kubeconfig that needs no other file, so that it can be copied elsewhere.
fn kubeconfig(user: &str, pair: &Pair, authority: &str, address: SocketAddr) -> String {
    format!(
        "\
apiVersion: v1
kind: Config
clusters:
- name: bulward
  cluster:
    server: https://{address}
    certificate-authority-data: {authority}
users:
- name: {user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: bulward
  context:
    cluster: bulward
    user: {user}
current-context: bulward
",
        authority = BASE64_STANDARD.encode(authority),
        certificate = BASE64_STANDARD.encode(&pair.certificate_pem),
        key = BASE64_STANDARD.encode(&pair.key_pem),
    )
}
