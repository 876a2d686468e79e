//! `docs/metrics.md` has every metric that is registered, and no other.

use std::collections::BTreeMap;
use std::path::Path;

use bulward::telemetry::metrics::controllers::ControllerMetrics;
use bulward::telemetry::metrics::{Described, Metrics};

/// Rows of the table under a heading, by name.
type Rows = BTreeMap<String, String>;

fn row(metric: &Described) -> (String, String) {
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let text = format!(
        "| `{}` | {} | {} | {} |",
        metric.name,
        metric.kind,
        labels.join(" "),
        metric.help.replace('|', "\\|"),
    );
    (metric.name.clone(), text)
}

fn written(text: &str, heading: &str) -> Rows {
    let section = text.split("\n## ").find(|section| section.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("docs/metrics.md has no section {heading:?}"));
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let name = |line: &str| line.split('`').nth(1).unwrap_or_default().to_owned();
    rows.map(|line| (name(line), line.to_owned())).collect()
}

#[test]
fn every_metric_is_documented_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let text = std::fs::read_to_string(path).unwrap();
    let controllers = ControllerMetrics::new();
    for (heading, described) in [
        ("The API server", Metrics::new().described()),
        ("The controller manager", controllers.described()),
    ] {
        let expected: Rows = described.iter().map(row).collect();
        let found = written(&text, heading);
        let lines: Vec<&str> = expected.values().map(String::as_str).collect();
        assert_eq!(
            found,
            expected,
            "docs/metrics.md, {heading}: the table should be\n{}\n",
            lines.join("\n")
        );
    }
}
