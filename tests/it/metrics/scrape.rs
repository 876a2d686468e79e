//! The text at `/metrics`, taken apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::in_process::Caller;

/// A sample's labels.
pub(crate) type Labels = BTreeMap<String, String>;

/// Everything that was exported at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrape {
    /// The families' names, with their types.
    pub(crate) types: BTreeMap<String, String>,
    samples: BTreeMap<(String, Labels), f64>,
}

impl Scrape {
    pub(crate) async fn of(caller: &Caller) -> Self {
        Self::at(caller, "/metrics").await
    }

    pub(crate) async fn at(caller: &Caller, path: &str) -> Self {
        let answer = caller.get(path).await;
        assert_eq!(answer.code, 200, "{path}: {}", answer.text());
        Self::parse(&answer.text())
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut scrape = Self::default();
        for line in text.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').expect("a name and a type");
                scrape.types.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') && !line.is_empty() {
                let (sample, value) = line.rsplit_once(' ').expect("a sample and its value");
                let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
                let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
                let labels = labels.strip_suffix('}').expect("labels end");
                scrape.samples.insert((name.to_owned(), parse_labels(labels)), value);
            }
        }
        scrape
    }

    /// All samples of a name.
    pub(crate) fn samples(&self, name: &str) -> impl Iterator<Item = (&Labels, f64)> {
        let of_name = self.samples.iter().filter(move |((own, _), _)| own == name);
        of_name.map(|((_, labels), value)| (labels, *value))
    }

    /// The sum of a name's samples with these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let matches = |own: &Labels| {
            labels
                .iter()
                .all(|(name, value)| own.get(*name).is_some_and(|own| own == value))
        };
        let matching = self.samples(name).filter(|(own, _)| matches(own));
        matching.map(|(_, value)| value).sum()
    }

    /// By how much a name's samples have grown since `before`, those that have grown at all.
    pub(crate) fn growth(&self, before: &Self, name: &str) -> BTreeMap<Labels, f64> {
        let grown = self.samples(name).map(|(labels, value)| {
            let key = (name.to_owned(), labels.clone());
            (
                labels.clone(),
                value - before.samples.get(&key).copied().unwrap_or_default(),
            )
        });
        grown.filter(|(_, more)| *more != 0.0).collect()
    }

    /// The names of a family's labels, if it has any samples.
    pub(crate) fn labels(&self, family: &str) -> Option<BTreeSet<String>> {
        let mut found = None;
        for suffix in ["", "_count"] {
            for (labels, _) in self.samples(&format!("{family}{suffix}")) {
                found.get_or_insert_with(BTreeSet::new).extend(labels.keys().cloned());
            }
        }
        found
    }

    /// The bounds of a histogram's buckets, if it has any samples.
    pub(crate) fn buckets(&self, family: &str) -> BTreeSet<String> {
        let samples = self
            .samples
            .keys()
            .filter(|(name, _)| *name == format!("{family}_bucket"));
        let bound = |text: &String| match text.parse::<f64>() {
            Ok(number) => number.to_string(),
            Err(_) => text.clone(),
        };
        samples.filter_map(|(_, labels)| labels.get("le").map(bound)).collect()
    }
}

fn parse_labels(text: &str) -> Labels {
    let mut labels = Labels::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = after.char_indices();
        let mut end = after.len();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                '"' => {
                    end = at + 1;
                    break;
                }
                other => value.push(other),
            }
        }
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        rest = &after[end..];
    }
    labels
}

#[test]
fn a_scrape_is_taken_apart() {
    let scrape = Scrape::parse("# TYPE a counter\na{x=\"1,\\\"2\",y=\"\"} 3\na{x=\"4\",y=\"z\"} 4\nb 1.5e+06\n");
    assert_eq!(scrape.types["a"], "counter");
    assert_eq!(scrape.sum("a", &[]), 7.0);
    assert_eq!(scrape.sum("a", &[("x", "1,\"2")]), 3.0);
    assert_eq!(scrape.sum("b", &[]), 1_500_000.0);
    assert_eq!(scrape.growth(&Scrape::parse("b 1500000\n"), "b"), BTreeMap::new());
    assert_eq!(scrape.labels("a").unwrap().into_iter().collect::<Vec<_>>(), ["x", "y"]);
}
