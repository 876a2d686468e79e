//! The same requests to sample-apiserver and to our library that serves the same kinds: what both then export.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bulward::telemetry::metrics::Metrics;
use http::Method;
use serde_json::json;

use super::absent::{ABSENT, ABSENT_UNTIL, covers};
use super::scrape::{Labels, Scrape};
use crate::audit::{events, recording};
use crate::harness::in_process::{Caller, DEADLINE, InProcess, Watching, memory};
use crate::harness::{ControlPlane, SampleApiserver, eventually, guardian};
use crate::wardle;

const FLUNDERS: &str = "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders";
const EVERYWHERE: &str = "/apis/wardle.example.com/v1alpha1/flunders";

/// What both record of the requests of this test, and of nothing else.
const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: None
  nonResourceURLs: ["/metrics"]
- level: Metadata
  users: [admin]
  verbs: [get, list, watch]
  resources: [{group: wardle.example.com, resources: [flunders, "flunders/*"]}]
- level: RequestResponse
  users: [admin]
  verbs: [create, delete]
  resources: [{group: wardle.example.com, resources: [flunders]}]
- level: Request
  users: [admin, stranger]
  resources: [{group: wardle.example.com, resources: [flunders]}]
- level: Metadata
  users: [admin]
  nonResourceURLs: ["/livez*", "/healthz*", "/readyz", "/version", "/apis"]
  omitStages: [RequestReceived]
"#;
/// Watches that the test makes.
const WATCHES: usize = 4;

/// What grows by the same on both sides, label by label.
const SAME_GROWTH: [&str; 13] = [
    "apiserver_request_total",
    "apiserver_request_duration_seconds_count",
    "apiserver_request_sli_duration_seconds_count",
    "apiserver_response_sizes_count",
    "apiserver_request_body_size_bytes_count",
    "apiserver_watch_events_total",
    "apiserver_watch_events_sizes_count",
    "apiserver_watch_list_duration_seconds_count",
    "apiserver_cache_list_total",
    "apiserver_cache_list_fetched_objects_total",
    "apiserver_cache_list_returned_objects_total",
    "apiserver_audit_event_total",
    "apiserver_audit_level_total",
];

/// What has the same values, label by label, while a watch goes on.
const SAME_VALUE: [&str; 2] = ["apiserver_longrunning_requests", "apiserver_requested_deprecated_apis"];

/// Of what counts other requests than ours as well: every label value that Go has.
const SAME_LABELS: [(&str, &str); 6] = [
    ("apiserver_request_filter_duration_seconds_count", "filter"),
    ("authentication_attempts", "result"),
    ("authenticated_user_requests", "username"),
    ("authorization_attempts_total", "result"),
    ("apiserver_current_inflight_requests", "request_kind"),
    ("field_validation_request_duration_seconds_count", "field_validation"),
];

/// Of k8s.io/apiserver's metrics those that operators know, whether or not Go's server shows them in this test.
const CONTRACT: &str = "
    apiserver_request_total apiserver_request_duration_seconds apiserver_request_sli_duration_seconds
    apiserver_request_slo_duration_seconds apiserver_response_sizes apiserver_longrunning_requests
    apiserver_current_inflight_requests apiserver_current_inqueue_requests apiserver_request_terminations_total
    apiserver_request_aborts_total apiserver_request_post_timeout_total apiserver_request_filter_duration_seconds
    apiserver_request_body_size_bytes apiserver_watch_events_total apiserver_watch_events_sizes
    apiserver_watch_list_duration_seconds apiserver_tls_handshake_errors_total apiserver_requested_deprecated_apis
    apiserver_selfrequest_total field_validation_request_duration_seconds
    apiserver_audit_event_total apiserver_audit_level_total apiserver_audit_error_total
    apiserver_audit_requests_rejected_total
    authenticated_user_requests authentication_attempts authentication_duration_seconds authorization_attempts_total
    authorization_duration_seconds authentication_token_cache_request_total authentication_token_cache_fetch_total
    authentication_token_cache_active_fetch_count authentication_token_cache_request_duration_seconds
    apiserver_delegated_authn_request_total apiserver_delegated_authn_request_duration_seconds
    apiserver_delegated_authz_request_total apiserver_delegated_authz_request_duration_seconds
    apiserver_client_certificate_expiration_seconds
    apiserver_admission_step_admission_duration_seconds apiserver_admission_controller_admission_duration_seconds
    apiserver_admission_webhook_admission_duration_seconds apiserver_admission_webhook_rejection_count
    apiserver_admission_webhook_request_total apiserver_admission_webhook_fail_open_count
    apiserver_flowcontrol_dispatched_requests_total apiserver_flowcontrol_rejected_requests_total
    apiserver_flowcontrol_current_inqueue_requests apiserver_flowcontrol_current_executing_requests
    apiserver_flowcontrol_nominal_limit_seats apiserver_flowcontrol_request_wait_duration_seconds
    apiserver_flowcontrol_current_limit_seats
    apiserver_storage_objects apiserver_resource_objects apiserver_storage_size_bytes etcd_request_duration_seconds
    etcd_requests_total apiserver_storage_list_total apiserver_cache_list_total
    apiserver_watch_cache_events_dispatched_total apiserver_watch_cache_resource_version
    process_cpu_seconds_total process_resident_memory_bytes process_open_fds process_max_fds process_start_time_seconds
";

/// Both servers, each with somebody who may do everything, with somebody who may do nothing, and with what is recorded.
struct Side {
    admin: Caller,
    stranger: Caller,
    recorded: PathBuf,
}

/// What a side exported before and after, and while its last watch went on.
struct Told {
    before: Scrape,
    during: Scrape,
    after: Scrape,
}

#[tokio::test]
async fn the_same_requests_are_counted_as_the_go_server_counts_them() {
    let plane = ControlPlane::shared().await;
    let folder = guardian::temporary("metrics");
    let recorded = folder.path().join("go.log");
    let settings = recording(folder.path(), POLICY);
    let flags = [
        format!("--audit-policy-file={}", folder.path().join("policy.yaml").display()),
        format!("--audit-log-path={}", recorded.display()),
    ];
    let sample = SampleApiserver::start_with(plane, plane.etcd(), &flags).await;
    let sample = sample.expect("a sample-apiserver");
    let direct = async |user: &str, groups: &[&str]| {
        let pair = plane.ca().client(user, groups);
        Caller::through(plane.client_past_aggregator(&sample.url(), &pair).await)
    };
    let theirs = Side {
        admin: direct("admin", &["system:masters"]).await,
        stranger: direct("stranger", &[]).await,
        recorded,
    };
    let opened = memory().await;
    let server = InProcess::serving(opened.storage.clone(), settings, wardle::registry()).await;
    let ours = Side {
        admin: server.admin(),
        stranger: server.user("stranger", &[]),
        recorded: folder.path().join("audit.log"),
    };
    // Go counts etcd's bookmarks, and has the metric once a list had to wait for one.
    eventually("Go's server has been told of progress", DEADLINE, async || {
        let listed = theirs.admin.get(FLUNDERS).await;
        assert_eq!(listed.code, 200, "{}", listed.text());
        let scrape = Scrape::of(&theirs.admin).await;
        match scrape.types.contains_key("etcd_bookmark_total") {
            true => Ok(()),
            false => Err("no bookmark yet".to_owned()),
        }
    })
    .await;
    let theirs = theirs.tell().await;
    let ours = ours.tell().await;

    let mut wrong = Vec::new();
    let mut compared = 0;
    let mut compare = |what: &str, left: BTreeMap<Labels, f64>, right: BTreeMap<Labels, f64>| {
        assert!(!right.is_empty(), "{what}: Go has nothing to compare");
        compared += right.len();
        for labels in left.keys().chain(right.keys()).collect::<BTreeSet<_>>() {
            let (left, right) = (left.get(labels), right.get(labels));
            if left != right {
                wrong.push(format!("{what}{labels:?}: ours {left:?}, theirs {right:?}"));
            }
        }
    };
    for name in SAME_GROWTH {
        let growth = |told: &Told| own(told.after.growth(&told.before, name));
        compare(name, growth(&ours), growth(&theirs));
    }
    for name in SAME_VALUE {
        let values = |told: &Told| {
            let samples = told.during.samples(name);
            own(samples.map(|(labels, value)| (labels.clone(), value)).collect())
        };
        // Go keeps what is zero by now.
        let positive = |values: BTreeMap<Labels, f64>| values.into_iter().filter(|(_, value)| *value > 0.0).collect();
        compare(name, positive(values(&ours)), positive(values(&theirs)));
    }
    compare("requests that ended in a stage", ended(&ours), ended(&theirs));
    for (name, label) in SAME_LABELS {
        let values = |told: &Told| -> BTreeSet<String> {
            let samples = told.after.samples(name);
            samples.filter_map(|(labels, _)| labels.get(label).cloned()).collect()
        };
        let missing: Vec<String> = values(&theirs).difference(&values(&ours)).cloned().collect();
        compared += values(&theirs).len();
        if !missing.is_empty() {
            wrong.push(format!("{name}: no {label} of {missing:?}"));
        }
    }
    wrong.extend(families(&ours.after, &theirs.after, &mut compared));
    println!("{compared} series, names and bucket lists compared");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is about the requests of this test: Go's server looks after its fischers itself, and of whoever looks at the metrics
/// nothing is recorded.
fn own(samples: BTreeMap<Labels, f64>) -> BTreeMap<Labels, f64> {
    let is_own = |labels: &Labels| {
        let resource = labels.get("resource").map_or("", String::as_str);
        matches!(resource, "" | "flunders") && labels.get("level").is_none_or(|level| level != "None")
    };
    samples.into_iter().filter(|(labels, _)| is_own(labels)).collect()
}

/// How many requests more came through each stage than through all of them, however often the metrics were looked at.
fn ended(told: &Told) -> BTreeMap<Labels, f64> {
    let name = "apiserver_request_filter_duration_seconds_count";
    let passed = told.after.growth(&told.before, name);
    let through = passed.values().copied().fold(f64::INFINITY, f64::min);
    passed
        .into_iter()
        .map(|(labels, count)| (labels, count - through))
        .collect()
}

/// Names, types, names of labels and buckets.
fn families(ours: &Scrape, theirs: &Scrape, compared: &mut usize) -> Vec<String> {
    let described = Metrics::new();
    let described: BTreeMap<_, _> = described
        .described()
        .iter()
        .map(|own| (own.name.as_str(), own))
        .collect();
    let mut wrong = Vec::new();
    for (name, kind) in &theirs.types {
        *compared += 1;
        let absent = ABSENT.iter().any(|(pattern, _)| covers(pattern, name));
        let until = ABSENT_UNTIL.iter().any(|(known, _)| known == name);
        let Some(own) = described.get(name.as_str()) else {
            if !absent && !until {
                wrong.push(format!(
                    "{name} is missing, and tests/it/metrics/absent.rs does not say why"
                ));
            }
            continue;
        };
        if absent || until {
            wrong.push(format!("{name} is said to be absent, and is there"));
        }
        if own.kind != kind {
            wrong.push(format!("{name} is a {}, theirs is a {kind}", own.kind));
        }
        let labels: BTreeSet<String> = own.labels.iter().cloned().collect();
        if theirs.labels(name).is_some_and(|theirs| theirs != labels) {
            wrong.push(format!(
                "{name} has labels {labels:?}, theirs {:?}",
                theirs.labels(name)
            ));
        }
        let (left, right) = (ours.buckets(name), theirs.buckets(name));
        if !left.is_empty() && !right.is_empty() && left != right {
            wrong.push(format!("{name} has buckets {left:?}, theirs {right:?}"));
        }
    }
    for (pattern, _) in ABSENT {
        if !theirs.types.keys().any(|name| covers(pattern, name)) {
            wrong.push(format!(
                "{pattern} is said to be absent, and Go has no such thing either"
            ));
        }
    }
    wrong
}

/// Everything that the contract names is here, or it is said why not.
#[test]
fn what_the_contract_names_is_exported_or_excused() {
    let described = Metrics::new();
    let described: BTreeSet<&str> = described.described().iter().map(|own| own.name.as_str()).collect();
    let excused = |name: &str| {
        let absent = ABSENT.iter().any(|(pattern, _)| covers(pattern, name));
        absent || ABSENT_UNTIL.iter().any(|(known, _)| *known == name)
    };
    let names: Vec<&str> = CONTRACT.split_whitespace().collect();
    for name in &names {
        assert!(described.contains(name) != excused(name), "{name}");
    }
    for (name, _) in ABSENT_UNTIL {
        assert!(!described.contains(name), "{name} is said to be absent, and is there");
    }
    println!("{} names of the contract", names.len());
}

impl Side {
    async fn tell(&self) -> Told {
        let admin = &self.admin;
        let before = Scrape::of(admin).await;
        self.write().await;
        self.read().await;
        let nobody = self.stranger.get(FLUNDERS).await;
        assert_eq!(nobody.code, 403, "{}", nobody.text());
        let watch = admin
            .watch(&format!("{FLUNDERS}?fieldSelector=metadata.name%3Dx"))
            .await;
        let during = Scrape::of(admin).await;
        drop(watch);
        // A watch is recorded and counted when the server has noticed that it is over.
        eventually("the ends of all watches are recorded", DEADLINE, async || {
            let events = events(&self.recorded);
            let ends = events.iter().filter(|event| event["verb"] == "watch");
            let ends = ends.filter(|event| event["stage"] == "ResponseComplete").count();
            if ends == WATCHES {
                Ok(())
            } else {
                Err(format!("{ends} of {WATCHES}"))
            }
        })
        .await;
        let ended = |scrape: &Scrape| scrape.sum("apiserver_longrunning_requests", &[("resource", "flunders")]) == 0.0;
        let after = eventually("all watches have ended", DEADLINE, async || {
            let scrape = Scrape::of(admin).await;
            let counted = scrape.growth(&before, "apiserver_request_total");
            let watches = counted
                .iter()
                .filter(|(labels, _)| labels["verb"] == "WATCH" && labels["resource"] == "flunders");
            let watches: f64 = watches.map(|(_, count)| count).sum();
            if ended(&scrape) && watches >= 4.0 {
                Ok(scrape)
            } else {
                Err(format!("{watches} watches counted"))
            }
        })
        .await;
        Told { before, during, after }
    }

    async fn write(&self) {
        let object = |name: &str| {
            json!({
                "apiVersion": "wardle.example.com/v1alpha1", "kind": "Flunder", "metadata": {"name": name},
                "spec": {"reference": "x", "referenceType": "Fischer"},
            })
        };
        let a = format!("{FLUNDERS}/a");
        let apply = format!("{a}?fieldManager=x&force=true");
        let (json, merge, yaml) = (
            "application/json",
            "application/merge-patch+json",
            "application/apply-patch+yaml",
        );
        for (method, path, media, body, code) in [
            (Method::POST, FLUNDERS.to_owned(), json, object("a").to_string(), 201),
            (
                Method::POST,
                format!("{FLUNDERS}?fieldValidation=Strict"),
                json,
                object("b").to_string(),
                201,
            ),
            (
                Method::POST,
                format!("{FLUNDERS}?dryRun=All"),
                json,
                object("a").to_string(),
                409,
            ),
            (
                Method::POST,
                format!("{FLUNDERS}?dryRun=Some"),
                json,
                object("a").to_string(),
                422,
            ),
            (
                Method::POST,
                format!("{FLUNDERS}?fieldValidation=No"),
                json,
                object("c").to_string(),
                422,
            ),
            (Method::POST, FLUNDERS.to_owned(), json, "{".to_owned(), 400),
            (
                Method::PATCH,
                a.clone(),
                merge,
                json!({"metadata": {"labels": {"x": "y"}}}).to_string(),
                200,
            ),
            (Method::PATCH, apply, yaml, object("a").to_string(), 200),
            (Method::PUT, a.clone(), json, object("a").to_string(), 200),
            (Method::PUT, a.clone(), json, object("b").to_string(), 400),
            (Method::DELETE, a.clone(), json, String::new(), 200),
            (Method::DELETE, a, json, String::new(), 404),
        ] {
            let answer = self.admin.send(method, &path, &[("content-type", media)], body).await;
            // An update without a revision is refused by Go's store and so by ours.
            assert!(
                answer.code == code || (code == 200 && answer.code == 422),
                "{}: {}",
                answer.request,
                answer.text()
            );
        }
    }

    async fn read(&self) {
        let aggregated = (
            "accept",
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        );
        for (path, code) in [
            (FLUNDERS.to_owned(), 200),
            (format!("{FLUNDERS}/b"), 200),
            (format!("{FLUNDERS}/nope"), 404),
            (EVERYWHERE.to_owned(), 200),
            (format!("{FLUNDERS}?fieldSelector=metadata.name%3Db"), 200),
            (format!("{FLUNDERS}?labelSelector=x%3Dy"), 200),
            (format!("{FLUNDERS}/b/status"), 404),
            ("/apis/wardle.example.com/v1alpha1/nopes".to_owned(), 404),
            ("/apis/none.example.com/v1/things".to_owned(), 404),
            ("/apis/wardle.example.com/v1alpha1".to_owned(), 200),
            ("/livez".to_owned(), 200),
            ("/readyz".to_owned(), 200),
            ("/livez/ping".to_owned(), 200),
            ("/healthz?verbose".to_owned(), 200),
            ("/version".to_owned(), 200),
            ("/apis".to_owned(), 200),
            ("/openapi/v3".to_owned(), 200),
        ] {
            let answer = self.admin.get(&path).await;
            assert_eq!(answer.code, code, "{path}: {}", answer.text());
        }
        let discovery = self.admin.send(Method::GET, "/apis", &[aggregated], "").await;
        assert_eq!(discovery.code, 200);
        let wrong = self.admin.send(Method::POST, &format!("{FLUNDERS}/b"), &[], "").await;
        assert_eq!(wrong.code, 405, "{}", wrong.text());
        for path in [
            format!("{FLUNDERS}?timeoutSeconds=1"),
            format!("{EVERYWHERE}?timeoutSeconds=1"),
            format!(
                "{EVERYWHERE}?timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                 &allowWatchBookmarks=true"
            ),
        ] {
            let watch: Watching = self.admin.watch(&path).await;
            watch.rest().await;
        }
        let deleted = self.admin.send(Method::DELETE, FLUNDERS, &[], "").await;
        assert_eq!(deleted.code, 200, "{}", deleted.text());
    }
}
