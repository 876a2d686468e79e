//! Random roles under random maxima: kube-apiserver's authorizer allows just what both allow.

use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::super::stage::SOON;
use super::{Request, a_maker, makers, may, settled, stage, templates};
use crate::harness::eventually;
use crate::harness::tenancy::{a_project, as_stored, projects, stored, user};

/// Random pairs of a role and a maximum in one run.
const CASES: usize = 8;
/// Requests that are asked about at once.
const AT_ONCE: usize = 16;

const VERBS: [&str; 3] = ["get", "list", "delete"];
const GROUPS: [&str; 4] = ["", "apps", "batch", "storage.bulward.io"];
const RESOURCES: [&str; 5] = ["pods", "pods/log", "deployments", "deployments/scale", "organizations"];
const NAMES: [&str; 3] = ["", "a", "b"];

fn some(random: &mut StdRng, all: &[&'static str]) -> Vec<&'static str> {
    let count = random.random_range(1..=3.min(all.len()));
    (0..count).map(|_| all[random.random_range(0..all.len())]).collect()
}

fn rules(random: &mut StdRng) -> Vec<Value> {
    let rule = |random: &mut StdRng| {
        let mut rule = json!({
            "verbs": some(random, &["*", "get", "list", "delete", "get", "list"]),
            "apiGroups": some(random, &["*", "", "apps", "batch", "storage.bulward.io", ""]),
            "resources": some(
                random,
                &["*", "*/scale", "*/log", "pods", "pods/log", "deployments", "deployments/scale", "organizations"],
            ),
        });
        if random.random_bool(0.25) {
            rule["resourceNames"] = json!(some(random, &["a", "b"]));
        }
        rule
    };
    let count = random.random_range(1..=4);
    (0..count).map(|_| rule(random)).collect()
}

/// As RBAC's authorizer does it, with the simplest means.
fn allows(rules: &[Value], [verb, group, resource, name]: Request<'_>) -> bool {
    let has = |rule: &Value, list: &str, wanted: &[&str]| {
        let list = rule[list].as_array();
        list.into_iter()
            .flatten()
            .any(|one| wanted.iter().any(|wanted| one == wanted))
    };
    let sub = resource
        .split_once('/')
        .map(|(_, sub)| format!("*/{sub}"))
        .unwrap_or_default();
    rules.iter().any(|rule| {
        has(rule, "verbs", &["*", verb])
            && has(rule, "apiGroups", &["*", group])
            && has(rule, "resources", &["*", resource, &sub])
            && (rule.get("resourceNames").is_none() || has(rule, "resourceNames", &[name]))
    })
}

#[tokio::test]
async fn what_is_effective_is_what_was_asked_for_and_permitted() {
    let seed = std::env::var("BULWARD_ROLES_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("BULWARD_ROLES_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let admin = stage().await.admin().await;
    admin.organization("role-agree", &[user("alice")]).await;
    admin.ready_organization("role-agree").await;
    let mut cases = Vec::new();
    for number in 0..CASES {
        let (requested, mut maximum) = (rules(&mut random), rules(&mut random));
        let selector = json!({"matchLabels": {"role-agree": number.to_string()}});
        let spec = json!({"scopes": ["Project"], "projectSelector": selector, "rules": maximum});
        let name = format!("role-agree-{number}");
        admin
            .caller
            .post(&templates(), &a_maker("OrganizationRoleTemplate", &name, spec))
            .await
            .expect(201);
        let subject = format!("subject-{number}");
        let spec = json!({"subjects": [user(&subject)], "projectSelector": selector, "rules": requested});
        let roles = makers("role-agree", "projectroles");
        admin
            .caller
            .post(&roles, &a_maker("ProjectRole", &format!("r{number}"), spec))
            .await
            .expect(201);
        let mut project = as_stored(a_project(&format!("p{number}"), &[user("alice")]));
        project["metadata"]["labels"] = selector["matchLabels"].clone();
        admin
            .caller
            .post(&stored(&projects("role-agree")), &project)
            .await
            .expect(201);
        // What rbac-admin grants is part of the maximum, too; no random request is about it.
        let rbac =
            json!({"verbs": ["*"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"]});
        maximum.push(rbac);
        cases.push((number, subject, requested, maximum));
    }
    for (number, subject, requested, maximum) in &cases {
        let path = format!("{}/r{number}", makers("role-agree", "projectroles"));
        let one = |it: &Value| {
            it["status"]["targets"]
                .as_array()
                .is_some_and(|targets| targets.len() == 1)
        };
        admin.until(&path, "one target", one).await;
        let role = settled(&admin, &path).await;
        let namespace = format!("role-agree-p{number}");
        let effective = role["status"]["effectiveRules"].as_array().cloned().unwrap_or_default();
        let requests = VERBS.into_iter().flat_map(|verb| {
            GROUPS.into_iter().flat_map(move |group| {
                RESOURCES
                    .into_iter()
                    .flat_map(move |resource| NAMES.map(|name| [verb, group, resource, name]))
            })
        });
        let requests: Vec<Request<'static>> = requests.collect();
        for request in &requests {
            let wanted = allows(requested, *request) && allows(maximum, *request) && request[1] != "storage.bulward.io";
            assert_eq!(
                allows(&effective, *request),
                wanted,
                "{request:?} of {effective:?}\nrequested {requested:?}\nmaximum {maximum:?}"
            );
        }
        // kube-apiserver's authorizer learns of a Role a moment after it was written.
        let agree = async || {
            let answers = futures::stream::iter(requests.clone()).map(|request| {
                let (admin, namespace) = (&admin, &namespace);
                async move { (request, may(admin, subject, namespace, request).await) }
            });
            let answers: Vec<(Request<'_>, bool)> = answers.buffer_unordered(AT_ONCE).collect().await;
            let differs = answers
                .into_iter()
                .find(|(request, allowed)| allows(&effective, *request) != *allowed);
            differs.map_or(Ok(()), |(request, allowed)| Err(format!("{request:?}: {allowed}")))
        };
        eventually(&format!("authorizer and status agree on {effective:?}"), SOON, agree).await;
    }
}
