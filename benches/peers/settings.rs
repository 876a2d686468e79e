//! How large a run is.

use std::time::Duration;

/// The sizes of a run; the defaults are those of the published figures.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Objects on each server when the reads begin.
    pub(crate) objects: usize,
    /// Numbers of objects at which lists of ten are compared; at the last one starts and memory are measured.
    pub(crate) sizes: Vec<usize>,
    /// How often every work is measured on every server.
    pub(crate) rounds: usize,
    /// How often each server is started with the most objects.
    pub(crate) starts: usize,
    /// Parts in which the objects are created, each on all servers in turn.
    pub(crate) parts: usize,
    /// How long a read is measured in a round.
    pub(crate) read: Duration,
    /// Clients at once, each with a connection of its own.
    pub(crate) clients: usize,
    /// Bytes of an object as it is served.
    pub(crate) bytes: usize,
    /// Watchers of one change.
    pub(crate) watchers: usize,
    /// Grants that are timed.
    pub(crate) grants: usize,
    /// Ours alone, up to a million objects.
    pub(crate) long: bool,
    /// Whether the documents are written.
    pub(crate) write: bool,
    /// Further flags for our server, for experiments.
    pub(crate) flags: Vec<String>,
    /// Parts of the names of what is measured; everything where there is none.
    pub(crate) only: Vec<String>,
}

const USAGE: &str = "usage: cargo bench --bench peers -- [--long] [--write] [--objects 10000] [--sizes 1000,10000,100000] \
                     [--rounds 5] [--starts 3] [--parts 20] [--seconds 1.5] [--clients 32] [--bytes 1000] \
                     [--watchers 10000] [--grants 1000] [--only create,GET,LIST,grant,watches,growth] \
                     [--flag=<of our server>]…";

impl Settings {
    /// Reads the command line.
    ///
    /// # Errors
    /// An unknown flag or a value that is no number.
    pub(crate) fn from_arguments() -> Result<Settings, String> {
        let mut settings = Settings {
            objects: 10_000,
            sizes: Vec::new(),
            rounds: 5,
            starts: 3,
            parts: 20,
            read: Duration::from_millis(1_500),
            clients: 32,
            bytes: 1_000,
            watchers: 10_000,
            grants: 1_000,
            long: false,
            write: false,
            flags: Vec::new(),
            only: Vec::new(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // cargo says so to every benchmark.
                "--bench" => continue,
                "--long" => settings.long = true,
                "--write" => settings.write = true,
                _ => {
                    let (flag, value) = match argument.split_once('=') {
                        Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                        None => (argument, arguments.next()),
                    };
                    let value = value.ok_or_else(|| format!("{flag} needs a value\n{USAGE}"))?;
                    settings.set(&flag, value)?;
                }
            }
        }
        if settings.sizes.is_empty() {
            settings.sizes = vec![1_000, 10_000, 100_000];
            settings.sizes.extend(settings.long.then_some(1_000_000));
        }
        let smallest = settings.sizes.iter().copied().min().unwrap_or_default();
        let smallest = smallest.min(settings.objects);
        let counts = [settings.rounds, settings.starts, settings.parts, settings.clients];
        if smallest < 100 || counts.contains(&0) || !settings.sizes.is_sorted() {
            let text = "at least 100 objects, sizes that grow, and one of everything else";
            return Err(format!("{text}\n{USAGE}"));
        }
        if settings.write && !settings.only.is_empty() {
            return Err(format!("--write keeps whole runs, not what --only leaves\n{USAGE}"));
        }
        Ok(settings)
    }

    fn set(&mut self, flag: &str, value: String) -> Result<(), String> {
        let wrong = |error: &dyn std::fmt::Display| format!("{flag} {value}: {error}\n{USAGE}");
        let number = |text: &str| text.parse::<usize>().map_err(|error| wrong(&error));
        match flag {
            "--objects" => self.objects = number(&value)?,
            "--sizes" => self.sizes = value.split(',').map(number).collect::<Result<_, _>>()?,
            "--rounds" => self.rounds = number(&value)?,
            "--starts" => self.starts = number(&value)?,
            "--parts" => self.parts = number(&value)?,
            "--clients" => self.clients = number(&value)?,
            "--bytes" => self.bytes = number(&value)?,
            "--watchers" => self.watchers = number(&value)?,
            "--grants" => self.grants = number(&value)?,
            "--seconds" => {
                let seconds = value.parse().map_err(|error| wrong(&error))?;
                self.read = Duration::try_from_secs_f64(seconds).map_err(|error| wrong(&error))?;
            }
            "--only" => self.only = value.split(',').map(str::to_owned).collect(),
            "--flag" => self.flags.push(value),
            _ => return Err(format!("unknown flag {flag}\n{USAGE}")),
        }
        Ok(())
    }

    /// Whether a work is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}
