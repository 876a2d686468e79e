//! Audit policies, and what they say of some requests, compared with a plain reading of the same document
//! (k8s.io/apiserver pkg/audit/policy/checker.go).

use bulward::audit::policy::{Policy, Request};
use bulward::audit::{Level, Stage};
use bulward::wire::user::UserInfo;
use serde_json::Value;

/// User, group, verb, and either a path or group, resource, subresource, namespace and name.
const REQUESTS: [[&str; 8]; 8] = [
    ["alice", "team", "get", "", "g", "things", "", "a"],
    [
        "alice",
        "system:authenticated",
        "update",
        "",
        "g",
        "things",
        "status",
        "a",
    ],
    ["robot", "system:serviceaccounts", "list", "", "", "pods", "", ""],
    ["robot", "x", "create", "", "", "pods", "log", "b"],
    [
        "system:anonymous",
        "system:unauthenticated",
        "get",
        "/healthz",
        "",
        "",
        "",
        "",
    ],
    ["alice", "team", "get", "/logs/x", "", "", "", ""],
    ["", "", "watch", "", "apiserver.bulward.io", "organizations", "", ""],
    ["", "", "post", "/", "", "", "", ""],
];

pub(super) fn target(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let policy = match Policy::parse(&text) {
        Ok(policy) => policy,
        Err(why) => {
            let why = why.to_string();
            assert!(!why.trim().is_empty() && !why.contains('\n'), "one line: {why:?}");
            return false;
        }
    };
    // Without types some texts are something else: numbers, flags, or nothing at all.
    let Ok(model) = serde_saphyr::from_str::<Value>(&text) else {
        return true;
    };
    if !told_plainly(&model) {
        return true;
    }
    for request in REQUESTS {
        let [user, group, verb, path, api_group, resource, subresource, namespace] = request;
        let user = UserInfo {
            name: user.to_owned(),
            groups: vec![group.to_owned()],
            ..UserInfo::default()
        };
        let asked = Request {
            user: Some(&user).filter(|user| !user.name.is_empty()),
            verb,
            is_resource: path.is_empty(),
            path,
            group: api_group,
            resource,
            subresource,
            namespace,
            name: "one",
        };
        let verdict = policy.evaluate(&asked);
        assert_eq!(verdict, policy.evaluate(&asked));
        let rules = model["rules"].as_array().expect("a policy has rules");
        let first = rules.iter().find(|rule| matches(rule, &asked));
        assert_eq!(verdict.level, first.map_or(Level::None, level), "{asked:?}");
        let Some(rule) = first else { continue };
        let own = rule["omitManagedFields"].as_bool();
        let omitted = own.or_else(|| model["omitManagedFields"].as_bool());
        assert_eq!(verdict.omit_managed_fields, omitted.unwrap_or(false), "{asked:?}");
        for (stage, name) in [(Stage::RequestReceived, "RequestReceived"), (Stage::Panic, "Panic")] {
            let both = [&model["omitStages"], &rule["omitStages"]];
            assert_eq!(
                verdict.omits(stage),
                both.iter().any(|list| among(list, name)),
                "{asked:?}"
            );
        }
    }
    true
}

/// Whether every text and flag is written as one: a document without types takes `1` and `yes` for something else.
fn told_plainly(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().all(|(name, value)| match name.as_str() {
            "metadata" => true,
            "omitManagedFields" => value.is_boolean() || value.is_null(),
            _ => told_plainly(value),
        }),
        Value::Array(items) => items.iter().all(told_plainly),
        value => value.is_string() || value.is_null(),
    }
}

fn level(rule: &Value) -> Level {
    match rule["level"].as_str() {
        Some("Metadata") => Level::Metadata,
        Some("Request") => Level::Request,
        Some("RequestResponse") => Level::RequestResponse,
        _ => Level::None,
    }
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn among(list: &Value, one: &str) -> bool {
    texts(list).contains(&one)
}

fn any(list: &Value, one: &str) -> bool {
    texts(list).is_empty() || among(list, one)
}

fn matches(rule: &Value, asked: &Request<'_>) -> bool {
    let (users, groups) = (texts(&rule["users"]), texts(&rule["userGroups"]));
    let user_matches = match asked.user {
        None => users.is_empty() && groups.is_empty(),
        Some(user) => {
            (users.is_empty() || users.contains(&&*user.name))
                && (groups.is_empty() || user.groups.iter().any(|group| groups.contains(&&**group)))
        }
    };
    if !user_matches || !any(&rule["verbs"], asked.verb) {
        return false;
    }
    let resources = rule["resources"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !resources.is_empty() || !texts(&rule["namespaces"]).is_empty() {
        return asked.is_resource
            && any(&rule["namespaces"], asked.namespace)
            && (resources.is_empty() || resources.iter().any(|one| resource(one, asked)));
    }
    let paths = texts(&rule["nonResourceURLs"]);
    let path = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(prefix) => asked.path.starts_with(prefix),
        None => *pattern == asked.path,
    };
    paths.is_empty() || !asked.is_resource && paths.iter().any(path)
}

fn resource(one: &Value, asked: &Request<'_>) -> bool {
    let group = one["group"].as_str().unwrap_or_default();
    if group != "*" && group != asked.group {
        return false;
    }
    let patterns = texts(&one["resources"]);
    if patterns.is_empty() {
        return true;
    }
    if !any(&one["resourceNames"], asked.name) {
        return false;
    }
    let whole = match asked.subresource {
        "" => asked.resource.to_owned(),
        part => format!("{}/{part}", asked.resource),
    };
    patterns.iter().any(|pattern| {
        *pattern == "*"
            || *pattern == whole
            || !asked.subresource.is_empty() && pattern.strip_prefix("*/") == Some(asked.subresource)
            || pattern.strip_suffix("/*") == Some(asked.resource)
    })
}
