use std::time::{Duration, SystemTime};

use http::StatusCode;

use super::*;

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.render()).unwrap()
}

/// The value of the one sample whose line starts so.
fn value(metrics: &Metrics, start: &str) -> f64 {
    let text = text(metrics);
    let mut found = text.lines().filter(|line| line.starts_with(start));
    let line = found.next().unwrap_or_else(|| panic!("no {start} in\n{text}"));
    assert_eq!(found.next(), None);
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

const LIST: RequestLabels<'static> = RequestLabels {
    verb: "LIST",
    dry_run: "",
    group: "apiserver.bulward.io",
    version: "v1alpha1",
    resource: "organizations",
    subresource: "",
    scope: "cluster",
    component: "apiserver",
};

#[test]
fn requests_are_counted_under_kubernetes_labels() {
    let metrics = Metrics::new();
    metrics.request(
        &LIST,
        StatusCode::OK,
        Duration::from_millis(30),
        Duration::from_millis(27),
        Some(2_000),
    );
    metrics.request(
        &LIST,
        StatusCode::OK,
        Duration::from_millis(3),
        Duration::ZERO,
        Some(200),
    );
    metrics.request(
        &LIST,
        StatusCode::SERVICE_UNAVAILABLE,
        Duration::from_secs(3),
        Duration::ZERO,
        None,
    );
    let total = "apiserver_request_total{code=\"200\",component=\"apiserver\",dry_run=\"\",\
                 group=\"apiserver.bulward.io\",resource=\"organizations\",scope=\"cluster\",subresource=\"\",\
                 verb=\"LIST\",version=\"v1alpha1\"} ";
    assert_eq!(value(&metrics, total), 2.0);
    assert_eq!(value(&metrics, "apiserver_request_total{code=\"503\""), 1.0);
    assert_eq!(value(&metrics, "apiserver_request_duration_seconds_count"), 3.0);
    let below_50_ms = "apiserver_request_duration_seconds_bucket{component=\"apiserver\",dry_run=\"\",\
                       group=\"apiserver.bulward.io\",resource=\"organizations\",scope=\"cluster\",subresource=\"\",\
                       verb=\"LIST\",version=\"v1alpha1\",le=\"0.05\"}";
    assert_eq!(value(&metrics, below_50_ms), 2.0);
    // What webhooks and queues took is not this server's.
    assert_eq!(value(&metrics, "apiserver_request_sli_duration_seconds_sum"), 3.006);
    assert_eq!(value(&metrics, "apiserver_response_sizes_sum"), 2_200.0);
}

#[test]
fn a_watch_is_counted_with_its_whole_time_but_promises_no_latency() {
    let metrics = Metrics::new();
    let watch = RequestLabels { verb: "WATCH", ..LIST };
    let running = metrics.long_running(&watch);
    assert_eq!(value(&metrics, "apiserver_longrunning_requests{"), 1.0);
    drop(running);
    assert_eq!(value(&metrics, "apiserver_longrunning_requests{"), 0.0);
    metrics.request(
        &watch,
        StatusCode::OK,
        Duration::from_secs(600),
        Duration::ZERO,
        Some(70),
    );
    assert_eq!(value(&metrics, "apiserver_request_total{"), 1.0);
    assert_eq!(value(&metrics, "apiserver_request_duration_seconds_sum{"), 600.0);
    assert_eq!(value(&metrics, "apiserver_response_sizes_sum{"), 70.0);
    assert!(!text(&metrics).contains("apiserver_request_sli_duration_seconds_count"));
}

#[test]
fn a_dry_run_promises_no_latency_either() {
    let metrics = Metrics::new();
    let dry = RequestLabels {
        verb: "POST",
        dry_run: "All",
        ..LIST
    };
    metrics.request(&dry, StatusCode::CREATED, Duration::ZERO, Duration::ZERO, Some(70));
    assert_eq!(value(&metrics, "apiserver_request_total{"), 1.0);
    let text = text(&metrics);
    assert!(!text.contains("apiserver_request_sli_duration_seconds_count"));
    assert!(!text.contains("apiserver_response_sizes_count"), "a write's answer");
}

#[test]
fn names_of_callers_are_not_told() {
    let metrics = Metrics::new();
    for name in ["alice", "bob", "admin", "carol@example.com", "system:apiserver"] {
        metrics.user(name);
    }
    assert_eq!(value(&metrics, "authenticated_user_requests{username=\"other\"}"), 3.0);
    assert_eq!(value(&metrics, "authenticated_user_requests{username=\"admin\"}"), 1.0);
    assert_eq!(
        value(&metrics, "authenticated_user_requests{username=\"email_id\"}"),
        1.0
    );
    assert!(!text(&metrics).contains("alice"));
}

#[test]
fn health_checks_are_counted_beside_the_others() {
    let metrics = Metrics::new();
    metrics.health_check("etcd", "readyz", false);
    metrics.health_check("etcd", "readyz", true);
    let slis = String::from_utf8(metrics.render_slis()).unwrap();
    for line in [
        "kubernetes_healthcheck{name=\"etcd\",type=\"readyz\"} 1",
        "kubernetes_healthchecks_total{name=\"etcd\",status=\"error\",type=\"readyz\"} 1",
        "kubernetes_healthchecks_total{name=\"etcd\",status=\"success\",type=\"readyz\"} 1",
    ] {
        assert!(slis.lines().any(|found| found == line), "{slis}");
    }
    assert!(!text(&metrics).contains("kubernetes_healthcheck"));
}

#[test]
fn totals_that_are_kept_elsewhere_only_grow() {
    let metrics = Metrics::new();
    let seen = |lists| KindTotals {
        lists,
        ..KindTotals::default()
    };
    for lists in [3, 5, 4] {
        metrics.kind_totals("g", "r", &seen(lists));
    }
    assert_eq!(value(&metrics, "apiserver_cache_list_total{group=\"g\""), 5.0);
}

#[test]
fn every_recorder_shows() {
    let metrics = Metrics::new();
    let _in_flight = metrics.in_flight(RequestKind::Mutating);
    metrics.terminated(&LIST, StatusCode::TOO_MANY_REQUESTS);
    metrics.aborted(&LIST);
    let watch = metrics.watch("g", "v", "r");
    watch.event(3);
    watch.event(4);
    watch.listed(["g", "v", "r", "cluster"], Duration::ZERO);
    metrics.authentication("success", Duration::ZERO);
    metrics.authorization("denied", Duration::ZERO);
    metrics.token_review("201", Duration::ZERO);
    metrics.access_review("<error>", Duration::ZERO);
    metrics.token_lookup(true, Duration::ZERO);
    metrics.token_fetched(false);
    metrics.certificate_expiration(-1.0);
    metrics.request_body("g", "r", "create", 10);
    metrics.field_validation("Strict", Duration::ZERO);
    metrics.filter("authorization", Duration::ZERO);
    metrics.deprecated("g", "v", "r", "", "1.10");
    metrics.storage_request("get", "g", "r", true, Duration::ZERO);
    metrics.revision_probe(Duration::ZERO);
    metrics.cache_progress(2, 9);
    metrics.objects("apiserver.bulward.io", "organizations", 7, 99);
    metrics.tls_handshake_error();
    metrics.connection(true);
    metrics.object_bytes(&"organizations.apiserver.bulward.io", 9);
    metrics.watchcache(42, 7, 8);
    metrics.watchers(3);
    metrics.visibility_index(5, 6, 11);
    for (start, expected) in [
        ("apiserver_current_inflight_requests{request_kind=\"mutating\"}", 1.0),
        ("apiserver_request_terminations_total{code=\"429\"", 1.0),
        (
            "apiserver_watch_events_total{group=\"g\",resource=\"r\",version=\"v\"}",
            2.0,
        ),
        ("apiserver_watch_events_sizes_sum", 7.0),
        ("apiserver_watch_list_duration_seconds_count", 1.0),
        ("apiserver_request_aborts_total{", 1.0),
        ("authentication_token_cache_request_total{status=\"hit\"}", 1.0),
        ("authentication_token_cache_fetch_total{status=\"error\"}", 1.0),
        ("apiserver_client_certificate_expiration_seconds_bucket{le=\"0\"}", 1.0),
        ("apiserver_request_body_size_bytes_sum{", 10.0),
        (
            "field_validation_request_duration_seconds_count{field_validation=\"Strict\"}",
            1.0,
        ),
        (
            "apiserver_request_filter_duration_seconds_count{filter=\"authorization\"}",
            1.0,
        ),
        ("apiserver_requested_deprecated_apis{", 1.0),
        ("etcd_requests_total{", 1.0),
        ("etcd_request_errors_total{", 1.0),
        ("bulward_revision_probe_duration_seconds_count", 1.0),
        ("bulward_watchcache_loads_total", 2.0),
        ("bulward_watchcache_lag_revisions", 9.0),
        ("apiserver_resource_size_estimate_bytes{", 99.0),
        ("authentication_attempts{result=\"success\"}", 1.0),
        ("authorization_attempts_total{result=\"denied\"}", 1.0),
        ("apiserver_delegated_authn_request_total{code=\"201\"}", 1.0),
        ("apiserver_delegated_authz_request_total{code=\"<error>\"}", 1.0),
        (
            "apiserver_storage_objects{resource=\"organizations.apiserver.bulward.io\"}",
            7.0,
        ),
        ("apiserver_tls_handshake_errors_total", 1.0),
        ("bulward_connections", 1.0),
        ("bulward_watchcache_revision", 42.0),
        ("bulward_watchcache_oldest_revision", 7.0),
        ("bulward_visibility_subjects", 5.0),
        ("bulward_visibility_postings", 6.0),
        ("bulward_visibility_bytes", 11.0),
        (
            "bulward_watchcache_object_bytes{resource=\"organizations.apiserver.bulward.io\"}",
            9.0,
        ),
        ("bulward_watchcache_log_bytes", 8.0),
        ("bulward_watchers", 3.0),
    ] {
        assert_eq!(value(&metrics, start), expected, "{start}");
    }
}

#[test]
fn the_process_is_measured() {
    let metrics = Metrics::new();
    assert!(value(&metrics, "process_resident_memory_bytes") > 1e6);
    assert!(value(&metrics, "process_open_fds") >= 3.0);
    assert!(value(&metrics, "process_max_fds") >= value(&metrics, "process_open_fds"));
    assert!(value(&metrics, "process_cpu_seconds_total") >= 0.0);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let age = now - value(&metrics, "process_start_time_seconds");
    assert!((-2.0..3600.0).contains(&age), "{age}");
}

#[test]
fn servers_do_not_share() {
    let (one, other) = (Metrics::new(), Metrics::new());
    one.tls_handshake_error();
    assert_eq!(value(&one, "apiserver_tls_handshake_errors_total"), 1.0);
    assert_eq!(value(&other, "apiserver_tls_handshake_errors_total"), 0.0);
}
