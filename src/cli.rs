//! The command line: reads it, runs what it asks for, and says in one line what went wrong.

mod apiserver;
mod certs;
mod controller_manager;
mod descriptors;
mod dev;
pub mod manifests;
mod migrate;
mod signals;
mod storage;
#[cfg(test)]
mod tests;

use std::{
    ffi::OsString,
    io,
    net::{IpAddr, SocketAddr},
    process::ExitCode,
};

use clap::{Parser, Subcommand, error::ErrorKind};
use tokio::net::TcpListener;

use crate::{
    config, groups,
    telemetry::logging::{self, Format},
};

/// Organizations and Projects for Kubernetes: an API server behind the aggregation layer that shows every caller just
/// their own.
#[derive(Debug, Parser)]
#[command(name = "bulward", version, propagate_version = true, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How much to log: 0 what an operator should see, 2 every request as well, 4 debugging, 6 everything. RUST_LOG
    /// overrides it
    #[arg(
        short,
        long = "v",
        global = true,
        value_name = "LEVEL",
        default_value_t = 0,
        env = "BULWARD_V"
    )]
    verbosity: u8,
    /// How a log line looks
    #[arg(long, global = true, value_enum, default_value_t, env = "BULWARD_LOGGING_FORMAT")]
    logging_format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve behind a kube-apiserver's aggregation layer
    Apiserver(Box<apiserver::Args>),
    /// Make Organizations and Projects real on the cluster: namespaces and members
    ControllerManager(Box<controller_manager::Args>),
    /// Serve on this machine, without a cluster, with users to try it as
    Dev(dev::Args),
    /// Make certificates: an authority of our own, and what it issues
    Certs(certs::Args),
    /// Take over what another system keeps
    Migrate(migrate::Args),
    /// Look after what is stored: export, import, check, compact, encrypt again
    Storage(Box<storage::Args>),
    /// Print how much is recorded of which request unless --audit-policy-file says otherwise
    AuditPolicy,
    /// Print what a cluster needs to know: APIServices, RBAC, Service, Deployment
    Manifests(manifests::Options),
}

/// Why a command did not succeed; one line.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// The command line makes no sense: exit code 2.
    Usage(String),
    /// It did, but what it asked for did not work out: exit code 1.
    Runtime(String),
}

/// Runs the process' command line. Exit codes: 0 done, 1 failed, 2 not understood.
pub fn main() -> ExitCode {
    match run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let (code, line) = match failure {
                Failure::Usage(line) => (2, line),
                Failure::Runtime(line) => (1, line),
            };
            eprintln!("bulward: {line}");
            ExitCode::from(code)
        }
    }
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    let start_logging = || logging::start(cli.logging_format, cli.verbosity);
    let command = match cli.command {
        // Traces are begun where logs are, and first.
        Command::Apiserver(arguments) => return block_on(apiserver::run(*arguments, start_logging)),
        other => other,
    };
    start_logging();
    match command {
        Command::Apiserver(_) => Ok(()),
        Command::ControllerManager(arguments) => block_on(controller_manager::run(*arguments)),
        Command::Dev(arguments) => block_on(dev::run(arguments)),
        Command::Certs(arguments) => certs::run(arguments),
        Command::Migrate(arguments) => block_on(migrate::run(arguments)),
        Command::Storage(arguments) => block_on(storage::run(*arguments)),
        Command::AuditPolicy => print(crate::audit::policy::DEFAULT),
        Command::Manifests(options) => manifests::run(
            &groups::registry(&groups::Options::default()),
            &options,
            &mut io::stdout(),
        )
        .map_err(|error| Failure::Runtime(error.to_string())),
    }
}

/// To standard output.
fn print(text: &str) -> Result<(), Failure> {
    match io::Write::write_all(&mut io::stdout(), text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Runtime(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Help and version are printed; everything else becomes one line, with clap's tip if it has one.
fn explain(error: &clap::Error) -> Result<(), Failure> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match error.print() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::Runtime(format!("standard output: {error}")))
            }
            _ => Ok(()),
        };
    }
    let text = error.render().to_string();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // The usage begins with the command whose command is missing.
        let usage = text.lines().find_map(|line| line.strip_prefix("Usage: "));
        let command = usage.and_then(|usage| usage.split(" [").next()).unwrap_or("bulward");
        return Err(Failure::Usage(format!("no command given (try {command} --help)")));
    }
    let mut paragraphs = text.split("\n\n").map(|paragraph| {
        let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
        lines.join(" ")
    });
    let what = paragraphs.next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(&what);
    let tip = paragraphs.find_map(|paragraph| paragraph.strip_prefix("tip: ").map(str::to_owned));
    Err(Failure::Usage(match tip {
        Some(tip) => format!("{what} ({tip})"),
        None => format!("{what} (try --help)"),
    }))
}

fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Runtime(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(command);
    // What still runs in the background has nothing left to say.
    runtime.shutdown_background();
    result
}

/// Listens, or says which flag would help.
async fn listen(address: IpAddr, port: u16) -> Result<TcpListener, Failure> {
    let address = SocketAddr::new(address, port);
    TcpListener::bind(address).await.map_err(|error| {
        let help = match error.kind() {
            io::ErrorKind::AddrInUse => "the port is in use, choose another one with --secure-port".to_owned(),
            io::ErrorKind::PermissionDenied => {
                "not permitted, choose a --secure-port above 1023 or grant CAP_NET_BIND_SERVICE".to_owned()
            }
            io::ErrorKind::AddrNotAvailable => "no such address on this machine, see --bind-address".to_owned(),
            _ => error.to_string(),
        };
        Failure::Runtime(format!("cannot listen on {address}: {help}"))
    })
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Self::Usage(error.to_string())
    }
}
