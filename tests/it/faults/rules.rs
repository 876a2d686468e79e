//! What a user must see, from what an administrator sees: the rule of visibility in its plainest form.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::SOON;
use crate::harness::eventually;
use crate::harness::in_process::{Caller, key, revision};
use crate::harness::tenancy::{all_projects, organizations, stored};

/// A list's items, once the server answers.
async fn listed(caller: &Caller, path: &str) -> Vec<Value> {
    let list = eventually("a list", SOON, async || {
        let answer = caller.attempt(http::Method::GET, path, &[], "").await?;
        if answer.code == 200 {
            Ok(answer.json())
        } else {
            Err(answer.text())
        }
    });
    list.await["items"].as_array().expect("a list has items").clone()
}

/// Whether `user` owns the object or is a member of it.
fn belongs(object: &Value, user: &str) -> bool {
    let named = |list: &Value| {
        list.as_array()
            .is_some_and(|all| all.iter().any(|one| one["name"] == user))
    };
    named(&object["spec"]["owners"]) || named(&object["status"]["members"])
}

/// Compares, while nobody writes, what `user` lists with what the rules say.
pub(super) async fn hold(user: &str, caller: &Caller, admin: &Caller) {
    let all = listed(admin, &stored(&organizations())).await;
    let projects = listed(admin, &stored(&all_projects())).await;
    let own = projects.iter().filter(|project| belongs(project, user));
    let through: BTreeSet<&str> = own
        .filter_map(|project| project["metadata"]["namespace"].as_str())
        .collect();
    let sees = |organization: &&Value| {
        let claimed = organization["status"]["namespace"]["name"].as_str();
        belongs(organization, user) || claimed.is_some_and(|namespace| through.contains(namespace))
    };
    let pair = |object: &Value| (key(object), revision(object));
    let expected: BTreeMap<String, u64> = all.iter().filter(sees).map(pair).collect();
    let got = listed(caller, &organizations()).await;
    assert_eq!(
        got.iter().map(pair).collect::<BTreeMap<_, _>>(),
        expected,
        "Organizations of {user}"
    );
    let expected: BTreeMap<String, u64> = projects.iter().filter(|one| belongs(one, user)).map(pair).collect();
    let got = listed(caller, &all_projects()).await;
    assert_eq!(
        got.iter().map(pair).collect::<BTreeMap<_, _>>(),
        expected,
        "Projects of {user}"
    );
}
