//! `bulward migrate`: what other systems keep, as objects of ours.

mod account;
mod accounts;
mod apply;
mod plan;
mod print;
mod rules;
#[cfg(test)]
mod tests;
mod world;

use super::Failure;

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Plan, and with --apply make, an Organization and Projects of every KubeCarrier Account. Nothing is ever deleted, and
    /// running it again goes on where it was left
    Accounts(Box<accounts::Args>),
}

/// Plans, prints, and applies if told to.
pub(super) async fn run(arguments: Args) -> Result<(), Failure> {
    match arguments.what {
        What::Accounts(arguments) => accounts::run(*arguments).await,
    }
}
