//! What the Go server exports and we do not, each with the reason; a name that ends with `*` stands for all that begin so.

/// What may be there or not: most of it is added by other parts of this server when they are configured.
pub(super) const MAYBE: &[&str] = &[
    "apiserver_admission_*",
    "apiserver_audit_*",
    "apiserver_flowcontrol_*",
    "apiserver_current_inqueue_requests",
    "apiserver_encryption_*",
    // Go has it once a watch began in the past.
    "apiserver_init_events_total",
];

/// What we do not have.
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
        "process_network_*",
        "counts the whole network namespace, not the process",
    ),
];

/// Whether a name is one of a list's.
pub(super) fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}
