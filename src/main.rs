//! The `bulward` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    bulward::http::tls::install_provider();
    bulward::cli::main()
}
