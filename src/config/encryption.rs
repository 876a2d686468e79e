//! What may be said about encryption at rest.

use std::path::PathBuf;
use std::time::Duration;

/// Where the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// An EncryptionConfiguration.
    pub file: PathBuf,
    /// How often it is looked at.
    pub refresh: Duration,
}
