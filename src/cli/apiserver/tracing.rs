//! The flag about traces.

use std::path::PathBuf;

use super::{given, path, refused};
use crate::config::Error;
use crate::telemetry::traces::Configuration;

const FLAG: &str = "tracing-config-file";

#[derive(Debug, Default, clap::Args)]
pub(super) struct TracingArgs {
    /// TracingConfiguration that says where traces of requests are sent, and of how many; for builds with the feature `otel`
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_TRACING_CONFIG_FILE")]
    tracing_config_file: Option<PathBuf>,
}

impl TracingArgs {
    /// What the file says; nothing where there is none.
    pub(super) fn config(self) -> Result<Option<Configuration>, Error> {
        let Some(file) = given(self.tracing_config_file) else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(&file).map_err(|error| error.to_string());
        let read = text.and_then(|text| Configuration::read(&text));
        let read = read.map_err(|why| refused(FLAG, format!("{}: {why}", file.display())));
        read.map(Some)
    }
}

/// Has traces made as the file says.
pub(super) fn start(configuration: &Configuration) -> Result<(), Error> {
    crate::telemetry::traces::start(configuration).map_err(|why| refused(FLAG, why))
}
