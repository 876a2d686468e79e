//! The API groups: one folder each, one word here.

pub mod kubernetes;
pub mod tenancy;

use crate::controllers::manager::Manager;
use crate::rest::resource::Registry;

/// What groups may be told at start.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Patterns (`team-*`) of names that nobody may take, beside the built-in ones.
    pub reserved_names: Vec<String>,
    /// Whether what a cluster brings along is served as well: where there is no cluster.
    pub cluster: bool,
    /// Whether there are templates for KubeCarrier's providers and tenants.
    pub kubecarrier_templates: bool,
}

/// Every group that this server serves, in the order in which `/apis` lists them.
pub fn registry(options: &Options) -> Registry {
    let cluster = if options.cluster {
        kubernetes::groups()
    } else {
        Vec::new()
    };
    Registry {
        groups: [cluster, tenancy::groups(options)].into_iter().flatten().collect(),
    }
}

/// Registers every group's controllers.
pub fn controllers(manager: &mut Manager, options: &Options) {
    tenancy::controllers::register(manager, options);
}
