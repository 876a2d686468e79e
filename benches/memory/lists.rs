//! What a list costs a caller who has many groups.

use bulward::visibility::Key;
use bulward::wire::subject::SubjectKey;

use crate::edits::micros;
use crate::machine::{median, row};
use crate::objects::{COUNT, ORGANIZATIONS, snapshot, specs};

pub(crate) fn run() {
    let specs = specs();
    let snapshot = snapshot(&specs);
    for groups in [3, 300] {
        let mut subjects: Vec<SubjectKey> = (1..groups)
            .map(|one| SubjectKey::group(&format!("team-{one}")))
            .collect();
        subjects.push(SubjectKey::user("owner-77@example.com"));
        subjects.sort();
        let time = median(2_001, || {
            let seen = snapshot.list_visible(ORGANIZATIONS, &subjects, None);
            assert_eq!(seen.len(), 1);
        });
        row(
            format!("list of 1 of {COUNT} objects, {groups} subjects"),
            format!("{:.2} µs", micros(time)),
        );
        let key: Key = "org-0000077".into();
        let object = snapshot.get(ORGANIZATIONS, &key).expect("it was loaded").clone();
        let time = median(2_001, || {
            assert!(snapshot.sees(ORGANIZATIONS, &object, &subjects));
        });
        row(
            format!("whether one object is visible, {groups} subjects"),
            format!("{:.2} µs", micros(time)),
        );
    }
    let subjects = [SubjectKey::user("team-7@example.com")];
    let time = median(501, || {
        assert_eq!(snapshot.list_visible(ORGANIZATIONS, &subjects, None).len(), COUNT / 100);
    });
    row(
        format!("list of {} of {COUNT} objects", COUNT / 100),
        format!("{:.1} µs", micros(time)),
    );
}
