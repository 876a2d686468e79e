//! Bytes for an object in the cache, and for a subject that an object names.

use bulward::groups::tenancy::facts::facts;
use bulward::visibility::KindId;
use bulward::watchcache::{KindSpec, Object, Snapshot};
use serde_json::{Value, json};

use crate::machine::{growth, row};

pub(crate) const ORGANIZATIONS: KindId = KindId(0);
pub(crate) const PROJECTS: KindId = KindId(1);
pub(crate) const COUNT: usize = 100_000;

/// Organizations and Projects as the server knows them.
pub(crate) fn specs() -> Vec<KindSpec> {
    let spec = |plural: &str, through| KindSpec {
        plural: plural.to_owned(),
        fields: vec!["status.phase".to_owned()],
        facts,
        through,
    };
    vec![spec("organizations", Some(PROJECTS)), spec("projects", None)]
}

/// An Organization of about 1,000 bytes with these owners and members, as it is stored.
pub(crate) fn organization(number: usize, owners: &[String], members: &[String]) -> Vec<u8> {
    let subjects = |names: &[String]| -> Vec<Value> {
        let subject = |name| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name});
        names.iter().map(subject).collect()
    };
    let object = json!({
        "metadata": {
            "annotations": {"example.com/padding": "x".repeat(420)},
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "generation": 1,
            "labels": {"app.kubernetes.io/part-of": "memory"},
            "name": name(number),
            "uid": format!("00000000-0000-4000-8000-{number:012}"),
        },
        "spec": {"metadata": {"displayName": name(number)}, "owners": subjects(owners)},
        "status": {"members": subjects(members), "namespace": {"name": name(number)}, "phase": "Active"},
    });
    object.to_string().into_bytes()
}

pub(crate) fn name(number: usize) -> String {
    format!("org-{number:07}")
}

/// As the reflector does it for one object.
pub(crate) fn put(snapshot: &mut Snapshot, specs: &[KindSpec], number: usize, stored: &[u8]) {
    let key = name(number).into();
    let object = Object::parse(&specs[0], key, 1, stored).expect("an object");
    snapshot.load(ORGANIZATIONS, object);
}

/// Owners of an object: one of its own, and one of a hundred that own a thousand objects each.
pub(crate) fn owners(number: usize) -> Vec<String> {
    vec![
        format!("owner-{number}@example.com"),
        format!("team-{}@example.com", number % 100),
    ]
}

/// A cache of [`COUNT`] objects.
pub(crate) fn snapshot(specs: &[KindSpec]) -> Snapshot {
    let mut snapshot = Snapshot::empty(specs, 1);
    for number in 0..COUNT {
        put(
            &mut snapshot,
            specs,
            number,
            &organization(number, &owners(number), &[]),
        );
    }
    snapshot
}

pub(crate) fn plain() {
    let specs = specs();
    let served = organization(0, &owners(0), &[]).len();
    let (_kept, bytes) = growth(COUNT, || snapshot(&specs));
    row(
        format!("an object of {served} stored bytes and 2 owners, of {COUNT}"),
        format!("{bytes} bytes"),
    );
}

/// Objects with 300 members, each of whom sees that one alone.
pub(crate) fn subjects() {
    members("own to each object", |number| number * MEMBERS);
}

/// Objects with 300 members, each of whom sees ten.
pub(crate) fn common_subjects() {
    members("of 10 objects each", |number| number / 10 * MEMBERS);
}

const MEMBERS: usize = 300;

fn members(what: &str, first: impl Fn(usize) -> usize) {
    const OBJECTS: usize = 1_000;
    let specs = specs();
    let bare = organization(0, &owners(0), &[]).len();
    let mut body = 0;
    let (_kept, bytes) = growth(OBJECTS * MEMBERS, || {
        let mut snapshot = Snapshot::empty(&specs, 1);
        for number in 0..OBJECTS {
            let from = first(number);
            let members = (from..from + MEMBERS).map(|one| format!("person-{one:06}@example.com"));
            let stored = organization(number, &owners(number), &members.collect::<Vec<_>>());
            body = (stored.len() - bare) / MEMBERS;
            put(&mut snapshot, &specs, number, &stored);
        }
        snapshot
    });
    let index = bytes.saturating_sub(u64::try_from(body).expect("a length"));
    row(
        format!("a member, {MEMBERS} an object, {what}"),
        format!("{index} bytes beside the {body} of the object's text"),
    );
}
