use std::time::SystemTime;

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
    metrics.request(&LIST, StatusCode::OK, Duration::from_millis(30), Some(2_000));
    metrics.request(&LIST, StatusCode::OK, Duration::from_millis(3), Some(200));
    metrics.request(&LIST, StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(3), None);
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
    assert_eq!(value(&metrics, "apiserver_response_sizes_sum"), 2_200.0);
}

#[test]
fn watches_have_no_duration() {
    let metrics = Metrics::new();
    let watch = RequestLabels { verb: "WATCH", ..LIST };
    let running = metrics.long_running(&watch);
    assert_eq!(value(&metrics, "apiserver_longrunning_requests{"), 1.0);
    drop(running);
    assert_eq!(value(&metrics, "apiserver_longrunning_requests{"), 0.0);
    metrics.request(&watch, StatusCode::OK, Duration::from_secs(600), None);
    assert_eq!(value(&metrics, "apiserver_request_total{"), 1.0);
    assert!(!text(&metrics).contains("apiserver_request_duration_seconds_count"));
}

#[test]
fn every_recorder_shows() {
    let metrics = Metrics::new();
    let _in_flight = metrics.in_flight(RequestKind::Mutating);
    metrics.terminated(&LIST, StatusCode::TOO_MANY_REQUESTS);
    metrics.watch_events("g", "v", "r", 3);
    metrics.authentication("success", Duration::ZERO);
    metrics.authorization("denied", Duration::ZERO);
    metrics.token_review("201");
    metrics.access_review("<error>");
    metrics.storage_objects(&"organizations.apiserver.bulward.io", 7);
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
            3.0,
        ),
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
