use std::{fs, os::unix::fs::PermissionsExt};

use base64::{Engine, prelude::BASE64_STANDARD};
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::*;
use crate::certs::Facts;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(LOCAL, port)
}

#[tokio::test]
async fn kubeconfigs_stand_alone() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("data");
    Folder::prepare(&path, LOCAL, at(6443)).unwrap();
    for (user, groups) in [("admin", &["system:masters"][..]), ("alice", &[]), ("bob", &[])] {
        let file = path.join(format!("{user}.kubeconfig"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let kubeconfig = Kubeconfig::read_from(file).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .unwrap();
        assert_eq!(config.cluster_url.to_string(), "https://127.0.0.1:6443/");
        let certificate = config.auth_info.client_certificate_data.as_ref().unwrap();
        let facts = Facts::parse(std::str::from_utf8(&BASE64_STANDARD.decode(certificate).unwrap()).unwrap()).unwrap();
        assert_eq!(facts.common_name, user);
        assert_eq!(facts.organizations, groups);
        kube::Client::try_from(config).unwrap();
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_is_good_stays_and_the_port_follows() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path();
    let contents = || {
        let mut all = Vec::new();
        for folder in [path.to_owned(), path.join("certificates")] {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_file() {
                    all.push((entry.path(), fs::read_to_string(entry.path()).unwrap()));
                }
            }
        }
        all.sort();
        all
    };
    Folder::prepare(path, LOCAL, at(6443)).unwrap();
    let first = contents();
    Folder::prepare(path, LOCAL, at(6443)).unwrap();
    assert_eq!(contents(), first);

    Folder::prepare(path, LOCAL, at(7443)).unwrap();
    let moved: Vec<_> = first
        .iter()
        .map(|(path, text)| {
            (
                path.clone(),
                text.replace("https://127.0.0.1:6443", "https://127.0.0.1:7443"),
            )
        })
        .collect();
    assert_ne!(moved, first);
    assert_eq!(contents(), moved);

    // A user's key is lost: only that user gets a new certificate.
    fs::remove_file(path.join("certificates/bob.key")).unwrap();
    Folder::prepare(path, LOCAL, at(7443)).unwrap();
    let changed: Vec<_> = contents()
        .into_iter()
        .zip(moved)
        .filter(|(now, then)| now != then)
        .collect();
    let mut names: Vec<_> = changed
        .iter()
        .map(|((path, _), _)| path.file_name().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["bob.crt", "bob.key", "bob.kubeconfig"]);
}

#[test]
fn clients_are_told_an_address_that_they_can_reach() {
    let address = |text: &str| reachable(text.parse().unwrap()).to_string();
    assert_eq!(address("0.0.0.0:1"), "127.0.0.1:1");
    assert_eq!(address("[::]:1"), "[::1]:1");
    assert_eq!(address("192.0.2.7:1"), "192.0.2.7:1");
}

#[test]
fn the_greeting_can_be_pasted_into_a_shell() {
    let plain = greeting(Path::new("./bulward-data"), at(6443));
    assert!(
        plain.contains("kubectl --kubeconfig ./bulward-data/alice.kubeconfig get organizations\n"),
        "{plain}"
    );
    assert_eq!(quoted("it's"), r"'it'\''s'");
    assert!(greeting(Path::new("my data"), at(1)).contains("--kubeconfig 'my data/bob.kubeconfig' "));
}
