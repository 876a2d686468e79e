//! Which authority signs, which are trusted, and how one follows another without a moment in which somebody is not trusted:
//! the next one is trusted everywhere before it signs, and the one before stays trusted until nothing of it is in use.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::certs::{Authority, Facts, Pair, blocks};

/// How long everything lasts, and when it is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetimes {
    /// Of what the authority signs.
    pub(super) leaf: Duration,
    /// It is signed anew when less than this is left.
    pub(super) renew_before: Duration,
    /// Of the authority.
    pub(super) authority: Duration,
    /// The next one is made when less than this is left.
    pub(super) authority_renew_before: Duration,
}

/// The authorities of an installation.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Authorities {
    /// The one that signs.
    pub(super) current: Pair,
    /// The one that will: trusted already.
    pub(super) next: Option<Pair>,
    /// Certificates of those that signed before: trusted still.
    pub(super) retired: Vec<String>,
}

/// What happens next, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next authority was made, and is to be trusted.
    Announced,
    /// The next authority signs from now on.
    Promoted,
    /// Those that signed before are not trusted any more.
    Retired,
    /// The authority had ended: another one takes its place at once.
    Replaced,
}

impl Step {
    /// One line.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Announced => "the next authority is made: it will be trusted first, and sign later",
            Self::Promoted => "the next authority signs from now on",
            Self::Retired => "nothing needs the authority before any more: it is not trusted from now on",
            Self::Replaced => "the authority has ended: another one takes its place at once, clients may notice",
        }
    }
}

impl Authorities {
    /// The first one.
    pub(super) fn new(name: &str, lifetimes: &Lifetimes) -> Result<Self, String> {
        let authority = Authority::lasting(name, lifetimes.authority).map_err(|error| error.to_string())?;
        Ok(Self {
            current: authority.pair(),
            next: None,
            retired: Vec::new(),
        })
    }

    /// From what a Secret holds: the certificates, the signing one first and the next one second, and their keys.
    pub(super) fn parse(certificates: &str, key: &str, next_key: Option<&str>) -> Result<Self, String> {
        let mut blocks = blocks(certificates).into_iter();
        let current = blocks.next().ok_or("ca.crt: no PEM certificate in it")?;
        let pair = |certificate_pem, key: &str| Pair {
            certificate_pem,
            key_pem: key.to_owned(),
        };
        let next = match next_key {
            Some(key) => {
                let certificate = blocks
                    .next()
                    .ok_or("next.key: its certificate is missing in ca.crt, remove the one or add the other")?;
                Some(pair(certificate, key))
            }
            None => None,
        };
        Ok(Self {
            current: pair(current, key),
            next,
            retired: blocks.collect(),
        })
    }

    /// All that are to be trusted, PEM.
    pub(super) fn bundle(&self) -> String {
        self.trusted().concat()
    }

    /// One short text for each that is to be trusted, in the same order for the same ones.
    pub(super) fn fingerprints(&self) -> Vec<String> {
        let short = |certificate: &str| {
            let digest = Sha256::digest(certificate);
            digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
        };
        let mut all: Vec<String> = self.trusted().into_iter().map(short).collect();
        all.sort_unstable();
        all
    }

    fn trusted(&self) -> Vec<&str> {
        let next = self.next.iter().map(|next| next.certificate_pem.as_str());
        let retired = self.retired.iter().map(String::as_str);
        [self.current.certificate_pem.as_str()]
            .into_iter()
            .chain(next)
            .chain(retired)
            .collect()
    }

    /// The one that signs. `place` opens the errors.
    pub(super) fn signer(&self, place: &str) -> Result<Authority, String> {
        let path = |key: &str| PathBuf::from(format!("{place}: {key}"));
        if self.not_after()? <= SystemTime::now() {
            return Err(format!("{place}: ca.crt: it has ended: put another authority there"));
        }
        Authority::from_pem(&self.current, &path("ca.crt"), &path("ca.key")).map_err(|error| error.to_string())
    }

    /// Until when the one that signs is valid.
    pub(super) fn not_after(&self) -> Result<SystemTime, String> {
        Ok(Facts::parse(&self.current.certificate_pem)?.not_after)
    }

    /// From when on.
    pub(super) fn not_before(&self) -> Result<SystemTime, String> {
        Ok(Facts::parse(&self.current.certificate_pem)?.not_before)
    }

    /// What is to become of them. `settled` says that for long enough everybody has trusted exactly these, and nothing has
    /// been in use that another one than the first signed.
    pub(super) fn step(
        &self,
        name: &str,
        settled: bool,
        lifetimes: &Lifetimes,
        now: SystemTime,
    ) -> Result<Option<(Self, Step)>, String> {
        let ends = self.not_after()?;
        if ends <= now {
            let next = match &self.next {
                Some(next) if Facts::parse(&next.certificate_pem)?.not_after > now => next.clone(),
                _ => Self::new(name, lifetimes)?.current,
            };
            let replaced = Self {
                current: next,
                next: None,
                retired: Vec::new(),
            };
            return Ok(Some((replaced, Step::Replaced)));
        }
        if let Some(next) = &self.next {
            let mut retired = vec![self.current.certificate_pem.clone()];
            retired.extend(self.retired.iter().cloned());
            let promoted = Self {
                current: next.clone(),
                next: None,
                retired,
            };
            return Ok(settled.then_some((promoted, Step::Promoted)));
        }
        if !self.retired.is_empty() {
            let alone = Self {
                retired: Vec::new(),
                ..self.clone()
            };
            return Ok(settled.then_some((alone, Step::Retired)));
        }
        if ends < now + lifetimes.authority_renew_before {
            let announced = Self {
                next: Some(Self::new(name, lifetimes)?.current),
                ..self.clone()
            };
            return Ok(Some((announced, Step::Announced)));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const LIFETIMES: Lifetimes = Lifetimes {
        leaf: HOUR,
        renew_before: Duration::from_secs(600),
        authority: Duration::from_secs(10 * 3600),
        authority_renew_before: Duration::from_secs(2 * 3600),
    };

    fn stepped(from: &Authorities, settled: bool, now: SystemTime) -> Option<(Authorities, Step)> {
        from.step("ca", settled, &LIFETIMES, now).unwrap()
    }

    /// The Secret keeps nothing but these texts.
    fn reread(authorities: &Authorities) -> Authorities {
        let next = authorities.next.as_ref().map(|next| next.key_pem.as_str());
        Authorities::parse(&authorities.bundle(), &authorities.current.key_pem, next).unwrap()
    }

    #[test]
    fn one_follows_the_other_and_both_are_trusted_meanwhile() {
        let now = SystemTime::now();
        let first = Authorities::new("ca", &LIFETIMES).unwrap();
        assert!(stepped(&first, true, now).is_none(), "it lasts");
        assert!(stepped(&first, true, now + 7 * HOUR).is_none());
        let late = now + 9 * HOUR;
        let (announced, step) = stepped(&first, true, late).unwrap();
        assert_eq!(step, Step::Announced);
        assert!(announced.current == first.current && announced.retired.is_empty());
        assert!(reread(&announced) == announced);
        assert_ne!(announced.fingerprints(), first.fingerprints());
        assert!(
            stepped(&announced, false, late).is_none(),
            "not everybody trusts it yet"
        );

        let (promoted, step) = stepped(&announced, true, late).unwrap();
        assert_eq!(step, Step::Promoted);
        assert!(Some(&promoted.current) == announced.next.as_ref());
        assert_eq!(promoted.retired, std::slice::from_ref(&first.current.certificate_pem));
        assert!(reread(&promoted) == promoted);
        assert_eq!(
            promoted.fingerprints(),
            announced.fingerprints(),
            "the same are trusted"
        );
        promoted.signer("secret x").unwrap();
        assert!(
            stepped(&promoted, false, now).is_none(),
            "something by the first is in use"
        );

        let (alone, step) = stepped(&promoted, true, now).unwrap();
        assert_eq!(step, Step::Retired);
        assert!(alone.retired.is_empty() && alone.next.is_none());
        assert_eq!(alone.bundle(), promoted.current.certificate_pem);
    }

    #[test]
    fn one_that_has_ended_is_replaced_at_once() {
        let first = Authorities::new("ca", &LIFETIMES).unwrap();
        let over = SystemTime::now() + 11 * HOUR;
        let (replaced, step) = stepped(&first, false, over).unwrap();
        assert_eq!(step, Step::Replaced);
        assert!(replaced.current != first.current && replaced.retired.is_empty());
        // Whoever was to follow does.
        let waiting = Authorities {
            next: Some(Authority::lasting("ca", 20 * HOUR).unwrap().pair()),
            ..first
        };
        let (replaced, _) = stepped(&waiting, false, over).unwrap();
        assert!(Some(&replaced.current) == waiting.next.as_ref());
    }

    #[test]
    fn damage_is_told_with_the_remedy() {
        let first = Authorities::new("ca", &LIFETIMES).unwrap();
        assert!(Authorities::parse("", &first.current.key_pem, None).is_err_and(|why| why.contains("ca.crt")));
        let lone = Authorities::parse(&first.bundle(), &first.current.key_pem, Some("key"));
        assert!(lone.is_err_and(|why| why.contains("next.key")));
        let other = Authority::new("ca").unwrap().pair().key_pem;
        let mixed = Authorities::parse(&first.bundle(), &other, None).unwrap();
        let why = mixed.signer("secret a/b").unwrap_err();
        assert!(why.contains("secret a/b: ca.key"), "{why}");
    }
}
