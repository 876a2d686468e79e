//! `bulward certs`: certificates by an authority of our own, kept in a folder for trying things out, or in the Secrets of a cluster.

mod authorities;
mod bootstrap;
mod bundles;
pub(super) mod names;
mod secrets;

use std::path::{Path, PathBuf};

use super::{Failure, block_on};
use crate::certs::{self, Authority, Leaf, files, self_signed_serving};

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Keep a serving certificate, bulward.crt and bulward.key, by the authority ca.crt
    Serving {
        /// Folder, made if need be
        #[arg(long, value_name = "FOLDER", default_value = "certs")]
        dir: PathBuf,
        /// DNS names and IP addresses of the server
        #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
        names: Vec<String>,
    },
    /// Issue a client certificate, <user>.crt and <user>.key, by the authority ca.crt
    Client {
        /// Folder, made if need be
        #[arg(long, value_name = "FOLDER", default_value = "certs")]
        dir: PathBuf,
        /// The user name (CN)
        #[arg(long, value_name = "NAME")]
        user: String,
        /// The user's groups (O), two at most
        #[arg(long, value_name = "GROUPS", value_delimiter = ',')]
        groups: Vec<String>,
    },
    /// Keep an installation's certificates in Secrets, and have its APIServices trust them
    Bootstrap(bootstrap::Args),
}

/// Makes them, and prints the paths of those in a folder.
pub(super) fn run(arguments: Args) -> Result<(), Failure> {
    let made = match arguments.what {
        What::Bootstrap(arguments) => return block_on(bootstrap::run(arguments)),
        What::Serving { dir, names } => {
            self_signed_serving(&dir, &names).map(|files| vec![files.certificate, files.key, files.authority])
        }
        What::Client { dir, user, groups } => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | ':');
            if user.is_empty() || user.starts_with('.') || !user.chars().all(plain) {
                let why = "use letters, digits and -_.@: (the name is the file's as well)";
                return Err(Failure::Usage(format!("--user: {user:?}: {why}")));
            }
            if matches!(user.as_str(), "ca" | "bulward") {
                let why = "its files would replace the authority's or the server's, choose another name";
                return Err(Failure::Usage(format!("--user: {user:?}: {why}")));
            }
            client(&dir, &user, &groups)
        }
    };
    let made = made.map_err(|error| Failure::Runtime(format!("certs: {error}")))?;
    for path in made {
        println!("{}", path.display());
    }
    Ok(())
}

fn client(folder: &Path, user: &str, groups: &[String]) -> Result<Vec<PathBuf>, certs::Error> {
    files::private_folder(folder)?;
    let authority = Authority::load_or_create(folder, "bulward-ca")?;
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let (certificate, key) = (folder.join(format!("{user}.crt")), folder.join(format!("{user}.key")));
    authority
        .issue(&Leaf::client(user, &groups))?
        .save(&certificate, &key)?;
    Ok(vec![certificate, key, folder.join("ca.crt")])
}
