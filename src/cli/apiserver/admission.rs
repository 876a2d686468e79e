//! Flags about admission.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{given, listed, path, refused};
use crate::config::{Admission, Error, Plugin};

#[derive(Debug, clap::Args)]
pub(super) struct AdmissionArgs {
    /// Admission plugins that run beside the default ones, which are all that there are: NamespaceLifecycle,
    /// MutatingAdmissionWebhook, ValidatingAdmissionPolicy, ValidatingAdmissionWebhook. Their order here does not matter
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        env = "BULWARD_ENABLE_ADMISSION_PLUGINS"
    )]
    enable_admission_plugins: Vec<String>,
    /// Admission plugins that do not run
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        env = "BULWARD_DISABLE_ADMISSION_PLUGINS"
    )]
    disable_admission_plugins: Vec<String>,
    /// AdmissionConfiguration (apiserver.config.k8s.io/v1): for MutatingAdmissionWebhook and ValidatingAdmissionWebhook the
    /// kubeconfig whose users are shown to webhooks, by their hosts
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_ADMISSION_CONTROL_CONFIG_FILE")]
    admission_control_config_file: Option<PathBuf>,
}

impl AdmissionArgs {
    pub(super) fn config(self) -> Result<Admission, Error> {
        let enabled = plugins("enable-admission-plugins", self.enable_admission_plugins)?;
        let disabled = plugins("disable-admission-plugins", self.disable_admission_plugins)?;
        if let Some(both) = enabled.intersection(&disabled).next() {
            let why = format!(
                "{} in enable-admission-plugins and disable-admission-plugins overlapped",
                both.name()
            );
            return Err(refused("disable-admission-plugins", why));
        }
        Ok(Admission {
            disabled,
            config_file: given(self.admission_control_config_file),
        })
    }
}

fn plugins(flag: &'static str, names: Vec<String>) -> Result<BTreeSet<Plugin>, Error> {
    let plugin = |name: String| {
        Plugin::of(&name).ok_or_else(|| {
            let known = Plugin::ALL.map(Plugin::name).join(", ");
            refused(flag, format!("{name:?} is no plugin here, there are {known}"))
        })
    };
    listed(names).into_iter().map(plugin).collect()
}
