//! `bulward storage compact`.

use super::{Failure, Place};
use crate::storage::Revision;

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// The oldest revision to keep; the newest one without it
    #[arg(long, value_name = "REVISION")]
    revision: Option<Revision>,
    /// Compact an etcd although that forgets the history of all its keys, not of ours alone: whoever else watches or pages
    /// there from before that revision has to begin again
    #[arg(long)]
    whole_etcd: bool,
}

/// Forgets.
pub(super) async fn run(arguments: Args) -> Result<(), Failure> {
    let opened = arguments.place.open().await?;
    if opened.shared && !arguments.whole_etcd {
        return Err(Failure::Usage(
            "--whole-etcd: compaction of an etcd concerns everybody's keys in it, say that you mean it; etcd's own \
             --auto-compaction-retention is the better way"
                .to_owned(),
        ));
    }
    let newest = opened.stored.current_revision().await?;
    let revision = arguments.revision.unwrap_or(newest);
    opened.stored.compact(revision).await?;
    println!("compacted up to revision {revision} of {newest}");
    Ok(())
}
