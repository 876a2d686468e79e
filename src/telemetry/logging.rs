//! Logs go to standard error, as text or as one JSON object a line.

use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::traces;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// Verbosity from which on every request is logged.
pub const ACCESS_LOG: u8 = 2;
/// The target under which requests are logged.
pub const ACCESS_TARGET: &str = "bulward::access";

/// Starts logging for the whole process, and traces if these have been started; the first call counts. `verbosity` is klog's: 0 what an operator should see,
/// 2 every request as well, 4 debugging, 6 everything. `RUST_LOG` overrides it.
pub fn start(format: Format, verbosity: u8) {
    let filter = match EnvFilter::builder().try_from_env() {
        Ok(filter) if std::env::var_os("RUST_LOG").is_some_and(|value| !value.is_empty()) => filter,
        _ => EnvFilter::new(directives(verbosity)),
    };
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    if let Some(traces) = traces::layer() {
        // Logs and traces want different spans, so that each has a filter of its own.
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let lines = match format {
            Format::Text => lines.with_ansi(terminal).boxed(),
            Format::Json => lines.json().flatten_event(true).boxed(),
        };
        let all = tracing_subscriber::registry()
            .with(traces)
            .with(lines.with_filter(filter));
        let _ = all.try_init();
        return;
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // An error only says that logging has been started already.
    let _ = match format {
        Format::Text => builder.with_ansi(terminal).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// The filter for a verbosity. Libraries speak one level less than we do.
fn directives(verbosity: u8) -> String {
    let (own, others) = match verbosity {
        0..4 => (LevelFilter::INFO, LevelFilter::WARN),
        4..6 => (LevelFilter::DEBUG, LevelFilter::INFO),
        6..8 => (LevelFilter::TRACE, LevelFilter::DEBUG),
        8.. => (LevelFilter::TRACE, LevelFilter::TRACE),
    };
    let access = if verbosity >= ACCESS_LOG {
        own
    } else {
        LevelFilter::WARN
    };
    format!("{others},bulward={own},{ACCESS_TARGET}={access}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbosity_is_klogs() {
        assert_eq!(directives(0), "warn,bulward=info,bulward::access=warn");
        assert_eq!(directives(2), "warn,bulward=info,bulward::access=info");
        assert_eq!(directives(4), "info,bulward=debug,bulward::access=debug");
        assert_eq!(directives(10), "trace,bulward=trace,bulward::access=trace");
        for verbosity in 0..=u8::MAX {
            directives(verbosity).parse::<EnvFilter>().expect("a filter");
        }
    }
}
