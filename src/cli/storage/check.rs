//! `bulward storage check`.

use std::collections::BTreeMap;

use super::findings::{Level, findings};
use super::{Failure, Place, snapshot};
use crate::storage::encrypted::{is_encrypted, key_name};

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
}

/// Prints what is wrong, and how values are encrypted.
pub(super) async fn run(arguments: Args) -> Result<(), Failure> {
    let opened = arguments.place.open().await?;
    let mut entries = BTreeMap::new();
    let mut encryption: BTreeMap<String, usize> = BTreeMap::new();
    let revision = snapshot(&*opened.stored, |entry| {
        let how = match (key_name(&entry.value), is_encrypted(&entry.value)) {
            (Some(name), _) => format!("encrypted with the key {name:?}"),
            (None, true) => "encrypted by an unknown scheme".to_owned(),
            (None, false) => "plain text".to_owned(),
        };
        *encryption.entry(how).or_default() += 1;
        entries.insert(entry.key.clone(), opened.open(&entry));
        Ok(())
    })
    .await?;
    let count = entries.len();
    let found = findings(entries);
    for finding in &found {
        println!("{finding}");
    }
    println!("{count} entries at revision {revision}");
    for (how, count) in encryption {
        println!("{count} are {how}");
    }
    match found.iter().filter(|finding| finding.level == Level::Fault).count() {
        0 => Ok(()),
        faults => Err(Failure::Runtime(format!("{faults} faults were found"))),
    }
}
