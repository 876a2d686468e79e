//! `/version`: what clients take for the version of Kubernetes that they talk to.
//!
//! Behaves as k8s.io/apiserver pkg/server/routes/version.go.

use serde_json::{Value, json};

/// The minor version of Kubernetes whose wire contract this server keeps.
const MINOR: &str = "36";
/// The oldest minor version whose clients are known to work.
const MINIMUM_MINOR: &str = "33";

/// The answer to `GET /version`. `gitVersion` names the Kubernetes version whose contract is kept, since clients choose features by it, and our own
/// version as the build part, which semantic versioning ignores.
pub fn info() -> Value {
    json!({
        "major": "1",
        "minor": MINOR,
        "emulationMajor": "1",
        "emulationMinor": MINOR,
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": MINIMUM_MINOR,
        "gitVersion": format!("v1.{MINOR}.0+bulward.{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": option_env!("BULWARD_GIT_COMMIT").unwrap_or_default(),
        "gitTreeState": option_env!("BULWARD_GIT_TREE_STATE").unwrap_or_default(),
        "buildDate": option_env!("BULWARD_BUILD_DATE").unwrap_or("1970-01-01T00:00:00Z"),
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, architecture()),
    })
}

/// Go's name for the processor.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
