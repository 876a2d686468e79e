//! Outputs without what differs between any two runs, and without what sets our kinds apart on purpose.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// What is replaced in every output. Order matters: ages are looked for when times are gone.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+ [-+]\d{4}|Z)", "TIME"),
        (r#"("?resourceVersion"?: ?"?)\d+"#, "${1}RV"),
        (r"(Resource Version: +)\d+", "${1}RV"),
        // what -v=6 logs
        (r"(?m)^[IWEF]\d{4} .*\n", ""),
        // diff's folders, edit's files, which kubectl names by random numbers
        (r"(LIVE|MERGED)-\d+", "$1"),
        (r"kubectl-edit-\d+", "kubectl-edit"),
        // as the last column, or before the wide ones
        (r"(?m)(^| )(\d+[smhd]){1,2}( |$)", "${1}AGE$3"),
        // columns are as wide as their widest cell
        (r"(\S) {2,}", "$1  "),
        (r"(?m) +$", ""),
    ];
    compiled(&rules)
});

/// The column that only our filtered view has.
static ROLE: LazyLock<Vec<(Regex, &str)>> =
    LazyLock::new(|| compiled(&[("  (ROLE|owner|member)(  |\n)", "$2"), ("    ", "  ")]));

fn compiled(rules: &[(&str, &'static str)]) -> Vec<(Regex, &'static str)> {
    rules
        .iter()
        .map(|(from, to)| (Regex::new(from).expect("a pattern"), *to))
        .collect()
}

/// `group` is what `{group}` stood for.
pub(super) fn text(output: &str, group: &str, folder: &Path) -> String {
    let output = output
        .replace(&folder.display().to_string(), "FOLDER")
        .replace(group, "GROUP");
    apply(&RULES, output)
}

/// The same output without the ROLE column.
pub(super) fn without_role(output: String) -> String {
    apply(&ROLE, output)
}

fn apply(rules: &[(Regex, &str)], text: String) -> String {
    rules
        .iter()
        .fold(text, |text, (from, to)| from.replace_all(&text, *to).into_owned())
}

#[test]
fn what_two_runs_print_becomes_equal() {
    let folder = Path::new("/x/flow-1");
    let table =
        "NAME   STATUS   ROLE    AGE   NAMESPACE\na      Ready    owner   3m2s   a\nb               owner   9s    \n";
    let normal = "NAME  STATUS  ROLE  AGE  NAMESPACE\na  Ready  owner  AGE  a\nb  owner  AGE\n";
    assert_eq!(text(table, "g.io", folder), normal);
    let without = "NAME  STATUS  AGE  NAMESPACE\na  Ready  AGE  a\nb  AGE\n";
    assert_eq!(without_role(normal.to_owned()), without);
    let yaml =
        "  resourceVersion: \"12\"\n  uid: 0b4e5a1c-1111-2222-3333-0123456789ab\n  at: \"2026-01-02T03:04:05Z\"\n";
    assert_eq!(
        text(yaml, "g.io", folder),
        "  resourceVersion: \"RV\"\n  uid: UID\n  at: \"TIME\"\n"
    );
    assert_eq!(
        text(
            "--- /x/flow-1/LIVE-42/g.io.v1.A..b\t2026-01-02 03:04:05.678 +0000\n",
            "g.io",
            folder
        ),
        "--- FOLDER/LIVE/GROUP.v1.A..b\tTIME\n"
    );
}
