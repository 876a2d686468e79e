use std::time::Duration;

use super::*;
use crate::authn::certificates::{Authority, Leaf, UID};

fn user(authority: &Authority, leaf: Leaf) -> Result<Option<UserInfo>, Rejection> {
    authenticate(&authority.pool(), &authority.issue(leaf), UnixTime::now())
}

fn subject(subject: &[(&'static str, &'static str)]) -> Leaf {
    Leaf {
        subject: subject.to_vec(),
        ..Leaf::default()
    }
}

#[test]
fn subject_becomes_caller() {
    let authority = Authority::new("ca");
    let leaf = subject(&[("O", "zebras"), ("CN", "älice"), ("O", "apes"), (UID, "u-1")]);
    let chain = authority.issue(leaf);
    let user = authenticate(&authority.pool(), &chain, UnixTime::now())
        .unwrap()
        .unwrap();
    assert_eq!(user.name, "älice");
    assert_eq!(user.groups, ["zebras", "apes"], "the certificate's order is kept");
    assert_eq!(user.uid, "u-1");
    let judge = openssl::x509::X509::from_der(&chain[0]).unwrap();
    let digest = judge.digest(openssl::hash::MessageDigest::sha256()).unwrap();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = BTreeMap::from([(CREDENTIAL_ID.to_owned(), vec![format!("X509SHA256={hex}")])]);
    assert_eq!(user.extra, expected);
}

#[test]
fn last_common_name_counts() {
    let authority = Authority::new("ca");
    let user = user(&authority, subject(&[("CN", "first"), ("CN", "last")])).unwrap();
    assert_eq!(user.unwrap().name, "last");
}

#[test]
fn certificate_without_name_is_nobody() {
    let authority = Authority::new("ca");
    assert_eq!(user(&authority, subject(&[("O", "apes")])).unwrap(), None);
    assert_eq!(authenticate(&authority.pool(), &[], UnixTime::now()).unwrap(), None);
}

#[test]
fn uid_must_be_one_and_not_empty() {
    let authority = Authority::new("ca");
    let two = user(&authority, subject(&[("CN", "alice"), (UID, "1"), (UID, "2")]));
    assert!(two.unwrap_err().to_string().contains("several uids"));
}

#[test]
fn time_and_purpose_are_checked() {
    let authority = Authority::new("ca");
    for (leaf, why) in [
        (
            Leaf {
                years: (2020, 2021),
                ..Leaf::named("alice")
            },
            "it ended at",
        ),
        (
            Leaf {
                years: (2080, 2090),
                ..Leaf::named("alice")
            },
            "not valid before",
        ),
        (
            Leaf {
                client_auth: false,
                ..Leaf::named("alice")
            },
            "extended key usage",
        ),
    ] {
        let error = user(&authority, leaf).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[test]
fn expires_in_the_middle_of_a_connection() {
    let authority = Authority::new("ca");
    let chain = authority.issue(Leaf {
        years: (2020, 2040),
        ..Leaf::named("alice")
    });
    let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let eve_of_2040 = 2_208_988_800 - 1;
    assert!(authenticate(&authority.pool(), &chain, at(eve_of_2040)).is_ok());
    assert!(authenticate(&authority.pool(), &chain, at(eve_of_2040 + 2)).is_err());
}
