//! The `bulward` binary.

use std::process::ExitCode;

/// The C library's own keeps what large bodies and answers have taken: after three minutes of abuse (docs/limits.md) 409 MiB of
/// 445, where this one gives back all but a few.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bulward::http::tls::install_provider();
    bulward::cli::main()
}
