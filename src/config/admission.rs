//! Which of Kubernetes' admission plugins run.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// The cluster's say in writes. Where there is no cluster, there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// What does not run.
    pub disabled: BTreeSet<Plugin>,
    /// An AdmissionConfiguration, which says what webhooks are shown of us.
    pub config_file: Option<PathBuf>,
}

/// A plugin, by the name that kube-apiserver gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plugin {
    /// Nothing is created in namespaces that are not there or go.
    NamespaceLifecycle,
    /// Webhooks that change.
    MutatingAdmissionWebhook,
    /// Policies that judge.
    ValidatingAdmissionPolicy,
    /// Webhooks that judge.
    ValidatingAdmissionWebhook,
}

impl Plugin {
    /// All, in their order.
    pub const ALL: [Self; 4] = [
        Self::NamespaceLifecycle,
        Self::MutatingAdmissionWebhook,
        Self::ValidatingAdmissionPolicy,
        Self::ValidatingAdmissionWebhook,
    ];

    /// As flags and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NamespaceLifecycle => "NamespaceLifecycle",
            Self::MutatingAdmissionWebhook => "MutatingAdmissionWebhook",
            Self::ValidatingAdmissionPolicy => "ValidatingAdmissionPolicy",
            Self::ValidatingAdmissionWebhook => "ValidatingAdmissionWebhook",
        }
    }

    /// The plugin of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plugin| plugin.name() == name)
    }
}

impl Admission {
    /// Whether a plugin runs.
    pub fn runs(&self, plugin: Plugin) -> bool {
        !self.disabled.contains(&plugin)
    }
}
