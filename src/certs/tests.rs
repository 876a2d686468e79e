use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime},
};

use openssl::{
    asn1::Asn1Time,
    nid::Nid,
    pkey::PKey,
    ssl::SslFiletype,
    stack::Stack,
    x509::{X509, X509PurposeId, X509StoreContext, store::X509StoreBuilder, verify::X509VerifyParam},
};

use super::*;

/// OpenSSL's opinion of a chain; the time is the present unless given.
pub(super) fn openssl_verifies(certificate: &str, authority: &str, purpose: X509PurposeId, host: Option<&str>) -> bool {
    let mut store = X509StoreBuilder::new().unwrap();
    store.add_cert(X509::from_pem(authority.as_bytes()).unwrap()).unwrap();
    let mut param = X509VerifyParam::new().unwrap();
    param.set_purpose(purpose).unwrap();
    match host.map(|host| (host, host.parse())) {
        Some((_, Ok(address))) => param.set_ip(address).unwrap(),
        Some((host, Err(_))) => param.set_host(host).unwrap(),
        None => {}
    }
    store.set_param(&param).unwrap();
    let leaf = X509::from_pem(certificate.as_bytes()).unwrap();
    let mut context = X509StoreContext::new().unwrap();
    context
        .init(&store.build(), &leaf, &Stack::new().unwrap(), |context| {
            context.verify_cert()
        })
        .unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn openssl_accepts_what_the_authority_issues() {
    let authority = Authority::new("test-ca").unwrap();
    let ca = authority.certificate_pem();
    let serving = authority
        .issue(&Leaf::server([
            "bulward.bulward-system.svc",
            "localhost",
            "127.0.0.1",
            "::1",
        ]))
        .unwrap();
    for host in ["bulward.bulward-system.svc", "localhost", "127.0.0.1", "::1"] {
        let accepted = openssl_verifies(&serving.certificate_pem, ca, X509PurposeId::SSL_SERVER, Some(host));
        assert!(accepted, "{host}");
    }
    for host in ["other.bulward-system.svc", "127.0.0.2"] {
        assert!(
            !openssl_verifies(&serving.certificate_pem, ca, X509PurposeId::SSL_SERVER, Some(host)),
            "{host}"
        );
    }
    assert!(!openssl_verifies(
        &serving.certificate_pem,
        ca,
        X509PurposeId::SSL_CLIENT,
        None
    ));

    let client = authority
        .issue(&Leaf::client("admin", &["system:masters", "ops"]))
        .unwrap();
    assert!(openssl_verifies(
        &client.certificate_pem,
        ca,
        X509PurposeId::SSL_CLIENT,
        None
    ));
    assert!(!openssl_verifies(
        &client.certificate_pem,
        ca,
        X509PurposeId::SSL_SERVER,
        None
    ));

    let peer = authority.issue(&Leaf::peer("etcd", ["localhost"])).unwrap();
    for purpose in [X509PurposeId::SSL_CLIENT, X509PurposeId::SSL_SERVER] {
        assert!(openssl_verifies(&peer.certificate_pem, ca, purpose, None));
    }

    let other = Authority::new("test-ca").unwrap();
    assert!(!openssl_verifies(
        &client.certificate_pem,
        other.certificate_pem(),
        X509PurposeId::SSL_CLIENT,
        None
    ));
}

#[test]
fn names_keys_and_lifetimes_are_as_asked() {
    let authority = Authority::new("test-ca").unwrap();
    let pair = authority.issue(&Leaf::client("alice", &["devs", "ops"])).unwrap();
    let certificate = X509::from_pem(pair.certificate_pem.as_bytes()).unwrap();
    let entries = |nid| {
        let names = certificate.subject_name().entries_by_nid(nid);
        names.map(|entry| entry.data().to_string().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(entries(Nid::COMMONNAME), ["alice"]);
    assert_eq!(entries(Nid::ORGANIZATIONNAME), ["devs", "ops"]);
    let key = PKey::private_key_from_pem(pair.key_pem.as_bytes()).unwrap();
    assert!(certificate.public_key().unwrap().public_eq(&key));
    let left = Asn1Time::days_from_now(0)
        .unwrap()
        .diff(certificate.not_after())
        .unwrap();
    assert!((364..=365).contains(&left.days), "{left:?}");
    assert!(certificate.not_before() < &*Asn1Time::days_from_now(0).unwrap());

    let ca = X509::from_pem(authority.certificate_pem().as_bytes()).unwrap();
    let left = Asn1Time::days_from_now(0).unwrap().diff(ca.not_after()).unwrap();
    assert!((3649..=3650).contains(&left.days), "{left:?}");
    assert_eq!(
        ca.subject_key_id().unwrap().as_slice(),
        certificate.authority_key_id().unwrap().as_slice()
    );
}

#[test]
fn an_expired_certificate_is_one() {
    let authority = Authority::new("test-ca").unwrap();
    let now = SystemTime::now();
    let leaf = Leaf {
        not_before: now - Duration::from_secs(7200),
        not_after: now - Duration::from_secs(3600),
        ..Leaf::client("alice", &[])
    };
    let pair = authority.issue(&leaf).unwrap();
    assert!(!openssl_verifies(
        &pair.certificate_pem,
        authority.certificate_pem(),
        X509PurposeId::SSL_CLIENT,
        None
    ));
    assert!(
        covers(
            &pair.certificate_pem,
            authority.certificate_pem(),
            Usage::Client,
            &[],
            now
        )
        .is_err()
    );
}

#[test]
fn what_cannot_be_issued_is_refused() {
    let authority = Authority::new("test-ca").unwrap();
    assert!(matches!(
        authority.issue(&Leaf::client("a", &["1", "2", "3"])),
        Err(Error::Issue { .. })
    ));
    assert!(matches!(
        authority.issue(&Leaf::client("a", &[""])),
        Err(Error::Issue { .. })
    ));
    let long = "a".repeat(64);
    for name in ["käse.example", "", "a b", "a..b", "-a", "a.*.b", "https://a", &long] {
        let refused = authority.issue(&Leaf::server([name])).unwrap_err().to_string();
        assert!(refused.contains("neither a DNS name nor an IP address"), "{refused}");
    }
    authority.issue(&Leaf::server(["*.example", "a_b.c-d", "::1"])).unwrap();
}

#[test]
fn an_authority_is_taken_up_from_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let first = Authority::load_or_create(folder.path(), "test-ca").unwrap();
    let second = Authority::load_or_create(folder.path(), "test-ca").unwrap();
    assert_eq!(first.certificate_pem(), second.certificate_pem());
    let pair = second.issue(&Leaf::server(["localhost"])).unwrap();
    assert!(openssl_verifies(
        &pair.certificate_pem,
        first.certificate_pem(),
        X509PurposeId::SSL_SERVER,
        Some("localhost")
    ));
    assert_eq!(mode(&folder.path().join("ca.key")), 0o600);
    assert_eq!(mode(&folder.path().join("ca.crt")), 0o644);

    let other = Authority::new("test-ca").unwrap().pair();
    fs::write(folder.path().join("ca.key"), &other.key_pem).unwrap();
    let error = Authority::load_or_create(folder.path(), "test-ca")
        .unwrap_err()
        .to_string();
    assert!(error.contains("ca.key: not the key of"), "{error}");
    fs::write(folder.path().join("ca.crt"), "rubbish").unwrap();
    let error = Authority::load_or_create(folder.path(), "test-ca")
        .unwrap_err()
        .to_string();
    assert!(error.contains("ca.crt: no PEM certificate in it"), "{error}");
}

#[test]
fn a_serving_certificate_is_kept_while_it_is_good() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a/certificates");
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let files = self_signed_serving(&folder, &names(&["localhost", "127.0.0.1"])).unwrap();
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let (certificate, authority) = (read(&files.certificate), read(&files.authority));
    let accepted =
        |certificate: &str, host| openssl_verifies(certificate, &authority, X509PurposeId::SSL_SERVER, Some(host));
    assert!(accepted(&certificate, "localhost") && accepted(&certificate, "127.0.0.1"));
    assert_eq!(mode(&folder), 0o700);
    assert_eq!((mode(&files.key), mode(&files.certificate)), (0o600, 0o644));
    openssl::ssl::SslContext::builder(openssl::ssl::SslMethod::tls())
        .and_then(|mut context| {
            context.set_certificate_file(&files.certificate, SslFiletype::PEM)?;
            context.set_private_key_file(&files.key, SslFiletype::PEM)?;
            context.check_private_key()
        })
        .unwrap();

    // Fewer names: the old one does. More names: a new one by the same authority.
    self_signed_serving(&folder, &names(&["localhost"])).unwrap();
    assert_eq!(read(&files.certificate), certificate);
    self_signed_serving(&folder, &names(&["localhost", "10.0.0.1"])).unwrap();
    assert_ne!(read(&files.certificate), certificate);
    assert_eq!(read(&files.authority), authority);
    assert!(accepted(&read(&files.certificate), "10.0.0.1"));

    // Nearly expired: a new one.
    let near = Leaf {
        not_after: SystemTime::now() + RENEW_BEFORE / 2,
        ..Leaf::server(["localhost"])
    };
    let issued = Authority::load_or_create(&folder, "bulward-ca")
        .unwrap()
        .issue(&near)
        .unwrap();
    issued.save(&files.certificate, &files.key).unwrap();
    self_signed_serving(&folder, &names(&["localhost"])).unwrap();
    assert_ne!(read(&files.certificate), issued.certificate_pem);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 4, "no temporary files stay");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let parent = tempfile::tempdir().unwrap();
    fs::write(parent.path().join("file"), "").unwrap();
    for path in ["file/certs", "file"] {
        let error = self_signed_serving(&parent.path().join(path), &[]).unwrap_err();
        // The system's words in one case, ours in the other.
        assert!(error.to_string().to_lowercase().contains("not a directory"), "{error}");
    }
    let error = self_signed_serving(&parent.path().join("file/certs"), &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("file/certs: "), "{error}");
}

#[test]
fn an_authority_that_clients_trust_is_not_replaced_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let first = Authority::load_or_create(folder.path(), "test-ca").unwrap();
    fs::remove_file(path("ca.key")).unwrap();
    let error = Authority::load_or_create(folder.path(), "test-ca")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("ca.crt: its key") && error.contains("is missing"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(path("ca.crt")).unwrap(), first.certificate_pem());
    // What a crash leaves behind: nobody knows it yet.
    first.pair().save(&path("ca.crt"), &path("ca.key")).unwrap();
    fs::remove_file(path("ca.crt")).unwrap();
    Authority::load_or_create(folder.path(), "test-ca").unwrap();
    // One that has ended helps nobody.
    let ended = Authority::lasting("test-ca", Duration::from_secs(1)).unwrap();
    ended.pair().save(&path("ca.crt"), &path("ca.key")).unwrap();
    let next = Authority::load_or_create(folder.path(), "test-ca").unwrap();
    assert_ne!(next.certificate_pem(), ended.certificate_pem());
    assert_eq!(files::open_to_others(&path("ca.key")).unwrap(), None);
    fs::set_permissions(path("ca.key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(files::open_to_others(&path("ca.key")).unwrap(), Some(0o644));
}
