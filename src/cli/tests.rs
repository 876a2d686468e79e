use std::path::PathBuf;

use super::*;

use crate::config::{Apiserver, Authorization, Certificate, Cluster, Storage, UNFILTERED_USERS};
use crate::http::limits::Allowance;

/// What `bulward apiserver` makes of these flags.
fn apiserver(flags: &[&str]) -> Result<Apiserver, Failure> {
    let arguments = ["bulward", "apiserver"].iter().chain(flags).map(OsString::from);
    match Cli::try_parse_from(arguments) {
        Ok(cli) => match cli.command {
            Command::Apiserver(arguments) => Ok(arguments.config()?),
            other => panic!("{other:?}"),
        },
        Err(error) => Err(explain(&error).unwrap_err()),
    }
}

const ETCD: &str = "--etcd-servers=https://e1:2379,https://e2:2379";

#[test]
fn the_command_line_is_well_formed() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}

#[test]
fn defaults_are_kubernetes_own() {
    let config = apiserver(&[ETCD]).unwrap();
    assert_eq!(
        (config.serving.bind_address.to_string(), config.serving.port),
        ("0.0.0.0".to_owned(), 443)
    );
    assert_eq!(config.serving.shutdown_delay.as_secs(), 0);
    let Certificate::SelfSigned { folder, names } = &config.serving.certificate else {
        panic!()
    };
    assert_eq!(folder, &PathBuf::from("apiserver.local.config/certificates"));
    assert_eq!(names, &["localhost", "127.0.0.1", "::1"]);
    let Storage::Etcd(etcd) = &config.storage else { panic!() };
    assert_eq!(etcd.endpoints, ["https://e1:2379", "https://e2:2379"]);
    assert_eq!(etcd.prefix, "/bulward");
    assert_eq!((&etcd.ca_file, &etcd.client, &etcd.user), (&None, &None, &None));
    assert_eq!(config.cluster, Cluster::InCluster);
    let authentication = &config.authentication;
    assert_eq!(authentication.cluster, Cluster::InCluster);
    assert!(!authentication.skip_lookup && !authentication.tolerate_lookup_failure);
    assert_eq!(authentication.token_cache_ttl.as_secs(), 10);
    assert_eq!(authentication.request_header, config::RequestHeader::default());
    assert_eq!(
        config.authorization,
        Authorization::Delegated {
            cluster: Cluster::InCluster,
            always_allow_paths: ["/healthz", "/readyz", "/livez"].map(str::to_owned).to_vec(),
            allow_ttl: std::time::Duration::from_secs(10),
            deny_ttl: std::time::Duration::from_secs(10),
        }
    );
    assert_eq!(config.unfiltered_users, UNFILTERED_USERS);
    assert!(config.reserved_names.is_empty());
    assert_eq!((config.history.age.as_secs(), config.history.entries), (300, 100_000));
}

/// k8s.io/apiserver pkg/server/options/audit.go defaultLogBatchConfig.
#[test]
fn a_log_that_is_collected_is_not_waited_for() {
    let batch = |more: &[&str]| {
        let flags = [&[ETCD, "--audit-log-path=-", "--audit-log-mode=batch"][..], more].concat();
        apiserver(&flags).map(|config| config.audit.log.expect("a log").mode)
    };
    let expected = crate::audit::BatchOptions {
        buffer: 10_000,
        max_size: 1,
        max_wait: std::time::Duration::ZERO,
        throttle: None,
        concurrent: false,
        max_bytes: None,
    };
    assert_eq!(batch(&[]).unwrap(), crate::audit::Mode::Batch(expected));
    let throttled = "--audit-log-batch-throttle-enable";
    assert!(batch(&[throttled]).is_err(), "how many is not said");
    let rates = ["--audit-log-batch-throttle-qps=5", "--audit-log-batch-throttle-burst=1"];
    assert!(batch(&[throttled, rates[0], rates[1]]).is_ok());
}

#[test]
fn history_is_bounded_as_told() {
    let config = apiserver(&[ETCD, "--watch-history=90s", "--watch-history-events=7"]).unwrap();
    assert_eq!((config.history.age.as_secs(), config.history.entries), (90, 7));
    assert!(apiserver(&[ETCD, "--watch-history-events=0"]).is_err());
}

#[test]
fn every_flag_arrives() {
    let config = apiserver(&[
        "--kubeconfig=core",
        "--authentication-kubeconfig=authn",
        "--authorization-kubeconfig=authz",
        "--etcd-servers=https://e1:2379",
        "--etcd-servers=https://e2:2379",
        "--etcd-prefix=tenants/a/",
        "--etcd-cafile=ca",
        "--etcd-certfile=crt",
        "--etcd-keyfile=key",
        "--etcd-username=u",
        "--etcd-password-file=pw",
        "--secure-port=8443",
        "--bind-address=::1",
        "--tls-cert-file=tls.crt",
        "--tls-private-key-file=tls.key",
        "--client-ca-file=clients",
        "--requestheader-client-ca-file=proxy",
        "--requestheader-allowed-names=front-proxy,aggregator",
        "--requestheader-username-headers=X-A",
        "--requestheader-uid-headers=X-B",
        "--requestheader-group-headers=X-C,X-D",
        "--requestheader-extra-headers-prefix=X-E-",
        "--disable-http2-serving",
        "--tls-min-version=VersionTLS13",
        "--authentication-skip-lookup",
        "--authentication-tolerate-lookup-failure=true",
        "--authentication-token-webhook-cache-ttl=1m",
        "--authorization-always-allow-paths=/healthz,/openapi/*",
        "--authorization-webhook-cache-authorized-ttl=5m0s",
        "--authorization-webhook-cache-unauthorized-ttl=0",
        "--unfiltered-users=system:kube-controller-manager, me",
        "--reserved-names=kafka,team-*",
        "--shutdown-delay-duration=1m30s",
        "--max-connections=5",
        "-v=4",
        "--logging-format=json",
    ])
    .unwrap();
    let kubeconfig = |name: &str| Cluster::Kubeconfig(name.into());
    assert_eq!(config.cluster, kubeconfig("core"));
    assert_eq!(config.authentication.cluster, kubeconfig("authn"));
    assert_eq!(
        (config.serving.bind_address.to_string(), config.serving.port),
        ("::1".to_owned(), 8443)
    );
    let (certificate, key) = ("tls.crt".into(), "tls.key".into());
    assert_eq!(config.serving.certificate, Certificate::Files { certificate, key });
    assert!(config.tls.options.disable_http2);
    assert_eq!(config.serving.shutdown_delay.as_secs(), 90);
    assert_eq!(config.serving.limits.max_connections, 5);
    let etcd = config::Etcd {
        endpoints: ["https://e1:2379", "https://e2:2379"].map(str::to_owned).to_vec(),
        prefix: "/tenants/a".to_owned(),
        ca_file: Some("ca".into()),
        client: Some(("crt".into(), "key".into())),
        user: Some(("u".to_owned(), "pw".into())),
    };
    assert_eq!(config.storage, Storage::Etcd(etcd));
    let authentication = &config.authentication;
    assert!(authentication.skip_lookup && authentication.tolerate_lookup_failure);
    assert_eq!(authentication.token_cache_ttl.as_secs(), 60);
    assert_eq!(authentication.client_ca_file, Some("clients".into()));
    let header = &authentication.request_header;
    assert_eq!(header.client_ca_file, Some("proxy".into()));
    assert_eq!(header.allowed_names, ["front-proxy", "aggregator"]);
    assert_eq!(
        (&header.username_headers[..], &header.uid_headers[..]),
        (&["X-A".to_owned()][..], &["X-B".to_owned()][..])
    );
    assert_eq!(header.group_headers, ["X-C", "X-D"]);
    assert_eq!(header.extra_headers_prefix, ["X-E-"]);
    assert_eq!(
        config.authorization,
        Authorization::Delegated {
            cluster: kubeconfig("authz"),
            always_allow_paths: ["/healthz", "/openapi/*"].map(str::to_owned).to_vec(),
            allow_ttl: std::time::Duration::from_secs(300),
            deny_ttl: std::time::Duration::ZERO,
        }
    );
    assert_eq!(config.unfiltered_users, ["system:kube-controller-manager", "me"]);
    assert_eq!(config.reserved_names, ["kafka", "team-*"]);
}

#[test]
fn limits() {
    let config = apiserver(&[ETCD, "--kubeconfig=core"]).unwrap();
    assert_eq!(config.limits, Allowance::default());
    assert_eq!(config.serving.limits.max_connections_per_address, 2_500);
    let config = apiserver(&[
        ETCD,
        "--kubeconfig=core",
        "--max-requests-inflight=1",
        "--max-mutating-requests-inflight=2",
        "--max-watches-per-user=3",
        "--max-unsent-bytes=9",
        "--request-timeout=4s",
        "--min-request-timeout=5",
        "--goaway-chance=0.006",
        "--max-connections-per-address=7",
        "--http2-max-streams-per-connection=8",
    ])
    .unwrap();
    let expected = Allowance {
        reading: 1,
        mutating: 2,
        watches_per_user: 3,
        unsent_bytes: 9,
        request_timeout: std::time::Duration::from_secs(4),
        min_request_timeout: std::time::Duration::from_secs(5),
        goaway_chance: 0.006,
    };
    assert_eq!(config.limits, expected);
    assert_eq!(config.serving.limits.max_connections_per_address, 7);
    assert_eq!(config.serving.limits.max_concurrent_streams, 8);
}

#[test]
fn what_is_left_out_follows_the_kubeconfig() {
    let config = apiserver(&[ETCD, "--kubeconfig=core", "--authorization-kubeconfig="]).unwrap();
    let core = Cluster::Kubeconfig("core".into());
    assert_eq!(config.authentication.cluster, core);
    let Authorization::Delegated { cluster, .. } = config.authorization else {
        panic!()
    };
    assert_eq!(cluster, core);
}

#[test]
fn lists_can_be_emptied() {
    let config = apiserver(&[ETCD, "--unfiltered-users=", "--authorization-always-allow-paths="]).unwrap();
    assert!(config.unfiltered_users.is_empty());
    let Authorization::Delegated { always_allow_paths, .. } = config.authorization else {
        panic!()
    };
    assert!(always_allow_paths.is_empty());
}

#[test]
fn embedded_storage() {
    let config = apiserver(&["--storage=embedded", "--data-dir=/d"]).unwrap();
    assert_eq!(config.storage, Storage::Embedded { folder: "/d".into() });
    let own = apiserver(&[
        "--storage=embedded",
        "--data-dir=d",
        "--cert-names=b.svc,10.0.0.1",
        "--bind-address=10.0.0.1",
    ]);
    let Certificate::SelfSigned { names, .. } = own.unwrap().serving.certificate else {
        panic!()
    };
    assert_eq!(names, ["localhost", "127.0.0.1", "::1", "10.0.0.1", "b.svc"]);
}

#[test]
fn refusals_are_one_line_with_the_flag_and_the_remedy() {
    for (flags, flag, remedy) in [
        (&[][..], "--etcd-servers", "--storage=embedded"),
        (&["--etcd-servers=e:2379"], "--etcd-servers", "https://etcd-0.etcd:2379"),
        (&[ETCD, "--etcd-prefix="], "--etcd-prefix", "/bulward"),
        (&[ETCD, "--etcd-prefix=/"], "--etcd-prefix", "/bulward"),
        (&[ETCD, "--etcd-prefix=/registry"], "--etcd-prefix", "/bulward"),
        (&[ETCD, "--etcd-prefix=/registry/bulward"], "--etcd-prefix", "/bulward"),
        (&[ETCD, "--etcd-certfile=x"], "--etcd-certfile", "--etcd-keyfile"),
        (&[ETCD, "--etcd-keyfile=x"], "--etcd-keyfile", "--etcd-certfile"),
        (&[ETCD, "--etcd-username=x"], "--etcd-username", "--etcd-password-file"),
        (
            &["--etcd-servers=http://e:1", "--etcd-cafile=x"],
            "--etcd-cafile",
            "https://",
        ),
        (&[ETCD, "--data-dir=x"], "--data-dir", "--storage=embedded"),
        (&["--storage=embedded"], "--data-dir", "needs a folder"),
        (
            &[ETCD, "--storage=embedded", "--data-dir=x"],
            "--etcd-servers",
            "leave one",
        ),
        (&["--storage=bolt"], "--storage", "etcd, embedded"),
        (&[ETCD, "--secure-port=0"], "--secure-port", "1 to 65535"),
        (&[ETCD, "--secure-port=65536"], "--secure-port", "65535"),
        (&[ETCD, "--bind-address=localhost"], "--bind-address", "IP address"),
        (
            &[ETCD, "--tls-cert-file=x"],
            "--tls-cert-file",
            "--tls-private-key-file",
        ),
        (
            &[ETCD, "--tls-private-key-file=x"],
            "--tls-private-key-file",
            "--tls-cert-file",
        ),
        (&[ETCD, "--cert-dir="], "--cert-dir", "--tls-cert-file"),
        (&[ETCD, "--max-connections=0"], "--max-connections", "at least 1"),
        (&[ETCD, "--request-timeout=0s"], "--request-timeout", "at least 1s"),
        (
            &[ETCD, "--min-request-timeout=0"],
            "--min-request-timeout",
            "at least 1",
        ),
        (&[ETCD, "--goaway-chance=0.1"], "--goaway-chance", "from 0 to 0.02"),
        (&[ETCD, "--goaway-chance=-1"], "--goaway-chance", "from 0 to 0.02"),
        (
            &[ETCD, "--http2-max-streams-per-connection=0"],
            "--http2-max-streams-per-connection",
            "at least 1",
        ),
        (&[ETCD, "--reserved-names=Kafka"], "--reserved-names", "lower-case"),
        (
            &[ETCD, "--authorization-always-allow-paths=/a*b"],
            "--authorization-always-allow-paths",
            "at the end",
        ),
        (
            &[ETCD, "--authentication-token-webhook-cache-ttl=10"],
            "--authentication-token-webhook-cache-ttl",
            "10s",
        ),
        (
            &[
                ETCD,
                "--requestheader-client-ca-file=x",
                "--requestheader-username-headers=",
            ],
            "--requestheader-username-headers",
            "x-remote-user",
        ),
        (&[ETCD, "--etcd-server=x"], "--etcd-server", "--etcd-servers"),
        (&[ETCD, "extra"], "extra", "--help"),
    ] {
        let Err(Failure::Usage(line)) = apiserver(flags) else {
            panic!("{flags:?} was accepted")
        };
        assert!(
            line.contains(flag) && line.contains(remedy) && !line.contains('\n'),
            "{flags:?}: {line}"
        );
    }
}

#[tokio::test]
async fn a_busy_port_is_named() {
    let taken = listen([127, 0, 0, 1].into(), 0).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let Err(Failure::Runtime(line)) = listen([127, 0, 0, 1].into(), port).await else {
        panic!()
    };
    assert_eq!(
        line,
        format!("cannot listen on 127.0.0.1:{port}: the port is in use, choose another one with --secure-port")
    );
}
