use std::fs;

use openssl::{
    stack::Stack,
    x509::{X509, X509PurposeId, X509StoreContext, store::X509StoreBuilder},
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::*;
use crate::authn::certificates::{Authority, Leaf};

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn trusts(bundle: &TrustBundle, authority: &Authority) -> bool {
    let chain = authority.issue(Leaf::named("alice"));
    bundle.current().client_ca.verify(&chain, UnixTime::now()).is_ok()
}

fn empty() -> Arc<TrustBundle> {
    TrustBundle::from_files(TrustFlags::default()).unwrap()
}

/// OpenSSL's opinion on the same question.
fn judge(root: &Authority, chain: &[CertificateDer<'_>]) -> bool {
    let mut store = X509StoreBuilder::new().unwrap();
    store.add_cert(X509::from_der(&root.der()).unwrap()).unwrap();
    store.set_purpose(X509PurposeId::SSL_CLIENT).unwrap();
    let mut others = Stack::new().unwrap();
    for certificate in &chain[1..] {
        others.push(X509::from_der(certificate).unwrap()).unwrap();
    }
    let leaf = X509::from_der(&chain[0]).unwrap();
    let mut context = X509StoreContext::new().unwrap();
    context
        .init(&store.build(), &leaf, &others, |context| context.verify_cert())
        .unwrap()
}

#[test]
fn pool_and_openssl_agree() {
    let (root, other) = (Authority::new("root"), Authority::new("other"));
    let namesake = Authority::new("root");
    let expired_root = Authority::valid("old root", (2000, 2001));
    let below = root.intermediate("intermediate");
    let mut through = below.issue(Leaf::named("alice"));
    through.push(below.der());
    let expired = Leaf {
        years: (2020, 2021),
        ..Leaf::named("alice")
    };
    let server = Leaf {
        client_auth: false,
        ..Leaf::named("alice")
    };
    for (case, pool, chain, valid) in [
        ("direct", &root, root.issue(Leaf::named("alice")), true),
        ("intermediate sent along", &root, through, true),
        ("intermediate withheld", &root, below.issue(Leaf::named("alice")), false),
        ("other authority", &root, other.issue(Leaf::named("alice")), false),
        (
            "other authority of the same name",
            &root,
            namesake.issue(Leaf::named("alice")),
            false,
        ),
        ("expired", &root, root.issue(expired), false),
        ("for servers", &root, root.issue(server), false),
        (
            "expired authority",
            &expired_root,
            expired_root.issue(Leaf::named("alice")),
            false,
        ),
    ] {
        assert_eq!(pool.pool().verify(&chain, UnixTime::now()).is_ok(), valid, "{case}");
        assert_eq!(judge(pool, &chain), valid, "{case}, says OpenSSL");
    }
}

#[test]
fn pem_must_hold_certificates() {
    let authority = Authority::new("ca");
    let broken = authority.pem().replace("MII", "XXX");
    let truncated = authority.pem().replace("-----END CERTIFICATE-----", "");
    for pem in [
        "",
        "nonsense",
        &broken,
        &truncated,
        &format!("{}{broken}", authority.pem()),
    ] {
        let error = CaPool::from_pem("--client-ca-file /x", pem.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("--client-ca-file /x: "), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let twice = format!("# a comment\n{}\n{}", authority.pem(), authority.pem());
    assert!(CaPool::from_pem("x", twice.as_bytes()).unwrap().same(&authority.pool()));
}

#[test]
fn file_and_map_authorities_add_up() {
    let (file, first, second) = (Authority::new("file"), Authority::new("map"), Authority::new("map"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.crt");
    fs::write(&path, file.pem()).unwrap();
    let flags = TrustFlags {
        client_ca_file: Some(path),
        ..TrustFlags::default()
    };
    let bundle = TrustBundle::from_files(flags).unwrap();
    assert!(trusts(&bundle, &file) && !trusts(&bundle, &first));

    assert!(
        bundle
            .apply_config_map(&map(&[("client-ca-file", &first.pem())]))
            .unwrap()
    );
    assert!(trusts(&bundle, &file) && trusts(&bundle, &first));
    assert!(
        !bundle
            .apply_config_map(&map(&[("client-ca-file", &first.pem())]))
            .unwrap(),
        "nothing new"
    );

    assert!(
        bundle
            .apply_config_map(&map(&[("client-ca-file", &second.pem())]))
            .unwrap()
    );
    assert!(trusts(&bundle, &file) && trusts(&bundle, &second));
    assert!(!trusts(&bundle, &first), "the rotated authority is gone");
}

#[test]
fn bad_update_changes_nothing() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let bundle = empty();
    let good = map(&[
        ("client-ca-file", &old.pem()),
        ("requestheader-client-ca-file", &old.pem()),
        ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
        ("requestheader-username-headers", r#"["X-Remote-User"]"#),
    ]);
    assert!(bundle.apply_config_map(&good).unwrap());
    for (key, value) in [
        ("requestheader-client-ca-file", "-----BEGIN CERTIFICATE-----\nnonsense"),
        ("requestheader-allowed-names", "front-proxy-client"),
        ("requestheader-username-headers", r#"["X Remote User"]"#),
        ("requestheader-group-headers", r#"[1]"#),
    ] {
        let mut update = good.clone();
        update.insert("client-ca-file".to_owned(), new.pem());
        update.insert(key.to_owned(), value.to_owned());
        let error = bundle.apply_config_map(&update).unwrap_err().to_string();
        assert!(error.contains("extension-apiserver-authentication"), "{error}");
        assert!(!error.contains('\n'), "{error}");
        assert!(trusts(&bundle, &old) && !trusts(&bundle, &new), "{key}");
        let proxy = bundle.current().request_header.clone().unwrap();
        assert_eq!(proxy.allowed_names, ["front-proxy-client"], "{key}");
    }
}

#[test]
fn absent_bundles_leave_the_old_ones_in_force() {
    let old = Authority::new("old");
    let bundle = empty();
    bundle
        .apply_config_map(&map(&[("client-ca-file", &old.pem())]))
        .unwrap();
    assert!(
        bundle.current().request_header.is_none(),
        "no proxy without an authority for it"
    );
    assert!(!bundle.apply_config_map(&map(&[("client-ca-file", "")])).unwrap());
    assert!(!bundle.apply_config_map(&map(&[])).unwrap());
    assert!(trusts(&bundle, &old));
}

#[test]
fn flags_hide_the_proxy_of_the_map() {
    let (flag, map_ca) = (Authority::new("flag"), Authority::new("map"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.crt");
    fs::write(&path, flag.pem()).unwrap();
    let flags = TrustFlags {
        request_header_ca_file: Some(path),
        allowed_names: vec!["by-flag".to_owned()],
        ..TrustFlags::default()
    };
    let bundle = TrustBundle::from_files(flags).unwrap();
    bundle
        .apply_config_map(&map(&[("requestheader-client-ca-file", &map_ca.pem())]))
        .unwrap();
    let proxy = bundle.current().request_header.clone().unwrap();
    assert_eq!(proxy.allowed_names, ["by-flag"]);
    assert!(proxy.ca.same(&flag.pool()));
    assert_eq!(proxy.headers.username, ["x-remote-user"]);
    assert_eq!(proxy.headers.extra_prefix, ["x-remote-extra-"]);
}

#[test]
fn files_are_reread() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.crt");
    fs::write(&path, old.pem()).unwrap();
    let flags = TrustFlags {
        client_ca_file: Some(path.clone()),
        ..TrustFlags::default()
    };
    let bundle = TrustBundle::from_files(flags).unwrap();
    assert!(!bundle.reload_files().unwrap());
    fs::write(&path, new.pem()).unwrap();
    assert!(bundle.reload_files().unwrap());
    assert!(trusts(&bundle, &new) && !trusts(&bundle, &old));
    fs::write(&path, "half a cert").unwrap();
    assert!(bundle.reload_files().is_err());
    fs::remove_file(&path).unwrap();
    let error = bundle.reload_files().unwrap_err().to_string();
    assert!(error.starts_with("--client-ca-file: cannot read "), "{error}");
    assert!(trusts(&bundle, &new), "the last good one stays");
}

/// The first of January.
fn year(year: u64) -> UnixTime {
    let leap_days = (year - 1969) / 4;
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(
        ((year - 1970) * 365 + leap_days) * 24 * 60 * 60,
    ))
}

#[test]
fn a_chain_seen_before_is_still_refused_outside_of_its_validity() {
    let old = |authority: (i32, i32), leaf: (i32, i32)| {
        let authority = Authority::valid("root", authority);
        let leaf = Leaf {
            years: leaf,
            ..Leaf::named("alice")
        };
        (authority.pool(), authority.issue(leaf))
    };
    // Whichever of the two ends first, or begins last.
    for (case, (pool, chain)) in [
        ("leaf", old((2020, 2090), (2024, 2030))),
        ("authority", old((2024, 2030), (2020, 2090))),
    ] {
        for (at, valid) in [
            (2022, false),
            (2026, true),
            (2026, true),
            (2022, false),
            (2035, false),
            (2026, true),
        ] {
            assert_eq!(pool.verify(&chain, year(at)).is_ok(), valid, "{case} in {at}");
        }
    }
    let root = Authority::new("root");
    let below = root.intermediate("intermediate");
    let mut chain = below.issue(Leaf {
        years: (2020, 2095),
        ..Leaf::named("alice")
    });
    chain.push(below.der());
    let pool = root.pool();
    assert!(pool.verify(&chain, year(2026)).is_ok());
    let lapsed = pool.verify(&chain, year(2092));
    assert!(lapsed.is_err(), "intermediate and authority ended in 2090");
}

#[test]
fn a_chain_seen_before_counts_for_the_same_authorities_only() {
    let (one, other) = (Authority::new("one"), Authority::new("other"));
    let (own, foreign) = (one.issue(Leaf::named("alice")), other.issue(Leaf::named("alice")));
    let narrow = one.pool();
    let wide = narrow.union(&other.pool());
    let now = UnixTime::now();
    for _ in 0..2 {
        assert!(wide.verify(&own, now).is_ok() && wide.verify(&foreign, now).is_ok());
        assert!(narrow.verify(&own, now).is_ok());
        assert!(narrow.verify(&foreign, now).is_err(), "only the wide pool trusts it");
    }
    // The same leaf below something else is another chain, and a chain that failed is asked about again.
    let mut mixed = foreign.clone();
    mixed.extend(own);
    for _ in 0..2 {
        assert!(narrow.verify(&mixed, now).is_err());
    }
}

#[test]
fn an_authority_that_is_withdrawn_takes_its_chains_along() {
    let bundle = empty();
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let chain = old.issue(Leaf::named("alice"));
    let holds = || bundle.current().client_ca.verify(&chain, UnixTime::now()).is_ok();
    bundle
        .apply_config_map(&map(&[("client-ca-file", &old.pem())]))
        .unwrap();
    assert!(holds() && holds());
    bundle
        .apply_config_map(&map(&[("client-ca-file", &new.pem())]))
        .unwrap();
    assert!(!holds());
    bundle
        .apply_config_map(&map(&[("client-ca-file", &old.pem())]))
        .unwrap();
    assert!(holds());
}
