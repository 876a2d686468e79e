//! What the Go server exports and we do not, each with the reason; a name that ends with `*` stands for all that begin so.

/// What we do not have, and Go's server shows of itself.
pub(super) const ABSENT: &[(&str, &str)] = &[
    ("go_*", "the Go runtime's own"),
    (
        "grpc_client_*",
        "Go's etcd client counts its messages; etcd_requests_total counts ours",
    ),
    (
        "workqueue_*",
        "of controllers inside of the Go server; ours are the controller manager's, which exports them",
    ),
    ("aggregator_discovery_*", "of an aggregator, which we are not"),
    (
        "apiserver_envelope_encryption_*",
        "of KMS plug-ins, which we have none of",
    ),
    ("apiserver_storage_data_key_*", "of KMS plug-ins"),
    ("apiserver_storage_envelope_*", "of KMS plug-ins"),
    (
        "apiserver_validation_*",
        "watch over Go's change from written to generated validation",
    ),
    (
        "apiserver_webhooks_x509_*",
        "count what Go's TLS used to let pass; ours never has",
    ),
    ("cardinality_enforcement_*", "about Go's metrics library"),
    ("disabled_metrics_total", "about Go's metrics library"),
    ("hidden_metrics_total", "about Go's metrics library"),
    ("registered_metrics_total", "about Go's metrics library"),
    (
        "apiserver_request_timestamp_comparison_time",
        "times a detail of Go's updates that we do not have",
    ),
    (
        "apiserver_storage_events_received_total",
        "the same as apiserver_watch_cache_events_received_total: one cache, one watch",
    ),
    (
        "apiserver_storage_list_*",
        "lists are never answered from the storage; loading is bulward_watchcache_loads_total",
    ),
    (
        "apiserver_storage_size_bytes",
        "etcd says it itself, and several servers may share one",
    ),
    (
        "apiserver_watch_cache_consistent_read_total",
        "every read is consistent and none falls back to etcd; see bulward_revision_probe_duration_seconds",
    ),
    (
        "apiserver_watch_cache_events_dispatched_total",
        "events go to those alone who see the object: apiserver_watch_events_total",
    ),
    (
        "apiserver_watch_cache_initializations_total",
        "one cache for all resources: bulward_watchcache_loads_total",
    ),
    (
        "apiserver_watch_cache_read_wait_seconds",
        "a read waits for the storage's revision and then hardly ever: bulward_watchcache_lag_revisions",
    ),
    (
        "apiserver_watch_cache_resource_version",
        "one cache for all resources: bulward_watchcache_revision",
    ),
    (
        "watch_cache_capacity",
        "the history is bounded by bytes and age: bulward_watchcache_log_bytes",
    ),
    (
        "etcd_bookmark_total",
        "progress is asked for when somebody waits for it, not sent as bookmarks",
    ),
    (
        "apiserver_admission_step_admission_duration_seconds_summary",
        "the same as the histogram, in quantiles of one replica that nobody can add up",
    ),
    (
        "apiserver_flowcontrol_current_executing_seats",
        "a request takes one seat: apiserver_flowcontrol_current_executing_requests",
    ),
    (
        "apiserver_flowcontrol_current_inqueue_seats",
        "a request takes one seat: apiserver_flowcontrol_current_inqueue_requests",
    ),
    (
        "apiserver_flowcontrol_work_estimated_seats",
        "a request takes one seat, nothing is estimated",
    ),
    (
        "apiserver_flowcontrol_watch_count_samples",
        "for estimates of what a write costs its watchers; a request takes one seat",
    ),
    ("apiserver_flowcontrol_demand_seats*", "levels lend each other no seats"),
    (
        "apiserver_flowcontrol_lower_limit_seats",
        "levels lend each other no seats",
    ),
    (
        "apiserver_flowcontrol_upper_limit_seats",
        "levels lend each other no seats",
    ),
    ("apiserver_flowcontrol_target_seats", "levels lend each other no seats"),
    (
        "apiserver_flowcontrol_seat_fair_frac",
        "levels lend each other no seats",
    ),
    (
        "apiserver_flowcontrol_current_r",
        "of the virtual time in Go's queues; ours take turns",
    ),
    (
        "apiserver_flowcontrol_dispatch_r",
        "of the virtual time in Go's queues; ours take turns",
    ),
    (
        "apiserver_flowcontrol_latest_s",
        "of the virtual time in Go's queues; ours take turns",
    ),
    (
        "apiserver_flowcontrol_next_*",
        "of the virtual time in Go's queues; ours take turns",
    ),
    (
        "apiserver_flowcontrol_priority_level_*",
        "sampled each millisecond; the requests that have a seat over apiserver_flowcontrol_nominal_limit_seats",
    ),
    (
        "apiserver_flowcontrol_read_vs_write_current_requests",
        "sampled each millisecond; apiserver_current_inflight_requests tells the two apart",
    ),
    (
        "apiserver_flowcontrol_request_execution_seconds",
        "from a seat to the answer: apiserver_request_sli_duration_seconds",
    ),
    (
        "apiserver_flowcontrol_request_queue_length_after_enqueue",
        "how many wait is apiserver_flowcontrol_current_inqueue_requests, how long is ..._request_wait_duration_seconds",
    ),
    (
        "process_network_*",
        "counts the whole network namespace, not the process",
    ),
];

/// What we do not have, and Go's server shows once something has happened.
pub(super) const ABSENT_UNTIL: &[(&str, &str)] = &[
    (
        "apiserver_init_events_total",
        "counts what a watch that begins in the past is sent first: apiserver_watch_events_total has that",
    ),
    (
        "apiserver_request_post_timeout_total",
        "counts handlers that go on after a time-out: ours end with their request",
    ),
    (
        "apiserver_request_slo_duration_seconds",
        "the old name of apiserver_request_sli_duration_seconds, hidden by Go as well",
    ),
    (
        "apiserver_selfrequest_total",
        "counts what Go's server asks of itself; ours sends itself no requests",
    ),
];

/// Whether a name is one of a list's.
pub(super) fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}
