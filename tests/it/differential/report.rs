//! Which differences are listed, which are not, and what is listed in vain.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Outcome;
use super::compare::Difference;
use super::known::Entry;
use crate::harness::programs;

/// Requests whose differences a failure shows; all of them are in the log.
const SHOWN: usize = 60;

/// Every difference judged by the list.
pub(super) struct Report<'a> {
    list: &'a [Entry],
    forms: Vec<(&'static str, &'a Outcome)>,
    listed: usize,
    unlisted: Vec<&'a Difference>,
}

impl<'a> Report<'a> {
    /// Judges, and writes everything into the log of this name.
    pub(super) fn new(name: &str, list: &'a [Entry], forms: Vec<(&'static str, &'a Outcome)>) -> Self {
        let mut report = Self {
            list,
            forms: Vec::new(),
            listed: 0,
            unlisted: Vec::new(),
        };
        let mut log = String::new();
        for (form, outcome) in &forms {
            for difference in &outcome.differences {
                // All entries are asked: each that fits is needed.
                let permits = list.iter().filter(|entry| entry.permits(difference));
                let permitted: Vec<&str> = permits.map(|entry| entry.reason.as_str()).collect();
                let mark = if permitted.is_empty() { "-" } else { "+" };
                let reasons = permitted.join(" / ");
                let Difference {
                    request,
                    place,
                    theirs,
                    ours,
                } = difference;
                let _ = writeln!(
                    log,
                    "{mark} {form}  {request}  {place}\n    theirs {theirs}\n    ours   {ours}\n    listed {reasons}"
                );
                match permitted.is_empty() {
                    true => report.unlisted.push(difference),
                    false => report.listed += 1,
                }
            }
        }
        report.forms = forms;
        self::log(&format!("{name}.txt"), &log);
        report
    }

    /// The figures, with the listed places by reason.
    pub(super) fn summary(&self) -> String {
        let mut text = String::new();
        for (form, outcome) in &self.forms {
            let (requests, places, found) = (outcome.requests, outcome.places, outcome.differences.len());
            let again = outcome.again;
            let _ = writeln!(
                text,
                "{form}: {requests} requests, {places} places compared, {found} differ; {again} scenarios were played again"
            );
        }
        let mut reasons: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for entry in self.list {
            let (entries, places) = reasons.entry(&entry.reason).or_default();
            *entries += 1;
            *places += entry.met.get();
        }
        let (listed, unlisted) = (self.listed, self.unlisted.len());
        let (entries, count) = (self.list.len(), reasons.len());
        let _ = writeln!(
            text,
            "{listed} differing places are listed in {entries} entries of {count} reasons, {unlisted} are not"
        );
        for (reason, (entries, places)) in reasons {
            let _ = writeln!(text, "{places:6} places in {entries:3} entries: {reason}");
        }
        text
    }

    /// Fails on what is not listed and, if the corpus was `whole`, on what is listed in vain.
    pub(super) fn assert(&self, whole: bool) {
        assert!(self.unlisted.is_empty(), "not listed: {}", show(&self.unlisted));
        let vain = self.list.iter().filter(|entry| entry.met.get() == 0);
        let vain: Vec<String> = vain.map(Entry::line).collect();
        assert!(!whole || vain.is_empty(), "listed, but gone:\n{}", vain.join("\n"));
    }
}

/// Keeps a text beside the logs of the programs.
pub(super) fn log(name: &str, text: &str) {
    let folder = programs::target().join("it-logs");
    std::fs::create_dir_all(&folder).expect("create the log folder");
    std::fs::write(folder.join(name), text).expect("write the log");
}

/// Differences as a failure shows them.
pub(super) fn show(differences: &[&Difference]) -> String {
    let mut text = format!("{} places differ:\n", differences.len());
    let mut by_request: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
    for difference in differences {
        by_request.entry(&difference.request).or_default().push(difference);
    }
    for (request, places) in by_request.iter().take(SHOWN) {
        let _ = writeln!(text, "{request}");
        for difference in places {
            let Difference {
                place, theirs, ours, ..
            } = difference;
            let _ = writeln!(text, "    {place}\n      theirs {theirs}\n      ours   {ours}");
        }
    }
    if by_request.len() > SHOWN {
        text.push_str("and more\n");
    }
    text
}
