//! How large a run is.

use std::time::Duration;

/// The sizes of a run; the defaults are those of the published figures.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Objects on each server when the reads begin.
    pub(crate) objects: usize,
    /// How often every work is measured on every server.
    pub(crate) rounds: usize,
    /// How long a read is measured in a round.
    pub(crate) read: Duration,
    /// Clients at once, each with a connection of its own.
    pub(crate) clients: usize,
    /// Bytes of an object as it is served.
    pub(crate) bytes: usize,
    /// Further flags for our server, for experiments.
    pub(crate) flags: Vec<String>,
    /// Measure only the reads whose name has this part; the objects are created in any case.
    pub(crate) only: Option<String>,
}

const USAGE: &str = "usage: cargo bench --bench peers -- [--objects 10000] [--rounds 5] [--seconds 2] [--clients 32] \
                     [--bytes 1000] [--only <part of a read's name>] [--flag=<of our server>]…";

impl Settings {
    /// Reads the command line.
    ///
    /// # Errors
    /// An unknown flag or a value that is no number.
    pub(crate) fn from_arguments() -> Result<Settings, String> {
        let mut settings = Settings {
            objects: 10_000,
            rounds: 5,
            read: Duration::from_secs(2),
            clients: 32,
            bytes: 1_000,
            flags: Vec::new(),
            only: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            if argument == "--bench" {
                // cargo says so to every benchmark.
                continue;
            }
            let (flag, value) = match argument.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (argument, arguments.next()),
            };
            let value = value.ok_or_else(|| format!("{flag} needs a value\n{USAGE}"))?;
            let wrong = |error: &dyn std::fmt::Display| format!("{flag} {value}: {error}\n{USAGE}");
            let number = || value.parse::<usize>().map_err(|error| wrong(&error));
            match flag.as_str() {
                "--objects" => settings.objects = number()?,
                "--rounds" => settings.rounds = number()?,
                "--clients" => settings.clients = number()?,
                "--bytes" => settings.bytes = number()?,
                "--seconds" => {
                    let seconds = value.parse().map_err(|error| wrong(&error))?;
                    settings.read = Duration::try_from_secs_f64(seconds).map_err(|error| wrong(&error))?;
                }
                "--only" => settings.only = Some(value),
                "--flag" => settings.flags.push(value),
                _ => return Err(format!("unknown flag {flag}\n{USAGE}")),
            }
        }
        if settings.objects < 100 || settings.rounds == 0 || settings.clients == 0 {
            return Err(format!("at least 100 objects, one round and one client\n{USAGE}"));
        }
        Ok(settings)
    }

    /// Whether a work is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|part| name.contains(part.as_str()))
    }
}
