//! The keys that seal and open values, and their file.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use bytes::Bytes;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::{MARK, configuration, is_encrypted};
use crate::storage::Error;

/// The scheme and its version, behind the mark.
const SCHEME: &[u8] = b"aesgcm:v1:";
/// Bytes of a tag.
const TAG_LEN: usize = 16;

/// With random nonces a key is good for so many values (NIST SP 800-38D, 8.3): a nonce that comes twice gives both away.
const GOOD_FOR: u64 = 1 << 32;
/// From so many on it is told to the operator, and again after as many more as below.
const TOLD_FROM: u64 = 1 << 31;
const TOLD_EVERY: u64 = 1 << 26;

/// One secret under its name.
struct Key {
    name: String,
    /// How many values it has sealed since the process began, under whatever configuration.
    sealed: Arc<AtomicU64>,
    /// What its values start with.
    header: Vec<u8>,
    secret: RandomizedNonceKey,
}

/// What a configuration says: which key seals, and which ones open. Neither printed nor logged.
pub struct Ring {
    /// In the order of the configuration.
    keys: Vec<Key>,
    /// Whether new values are left as they are: `identity` comes first.
    writes_plain: bool,
    /// Whether plain values are accepted: `identity` is there.
    reads_plain: bool,
}

/// The ring in force, which follows its file.
pub struct Keys {
    ring: ArcSwap<Ring>,
    /// Of the file's text that was looked at last.
    digest: Mutex<Option<[u8; 32]>>,
}

impl Ring {
    pub(super) fn new(writes_plain: bool, reads_plain: bool) -> Self {
        Self {
            keys: Vec::new(),
            writes_plain,
            reads_plain,
        }
    }

    /// Adds a key behind the others; `false` when the secret has no length that AES-GCM knows here.
    pub(super) fn add(&mut self, name: &str, secret: &[u8]) -> bool {
        let algorithm = match secret.len() {
            16 => &AES_128_GCM,
            32 => &AES_256_GCM,
            _ => return false,
        };
        let Ok(secret) = RandomizedNonceKey::new(algorithm, secret) else {
            return false;
        };
        self.keys.push(Key {
            name: name.to_owned(),
            sealed: Arc::default(),
            header: [MARK, SCHEME, name.as_bytes(), b":"].concat(),
            secret,
        });
        true
    }

    /// The same, with a key that has sealed so many values.
    #[cfg(test)]
    pub(super) fn having_sealed(self, name: &str, count: u64) -> Self {
        let own = self.keys.iter().find(|key| key.name == name).unwrap();
        own.sealed.store(count, Ordering::Relaxed);
        self
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }

    /// Encrypts what is to be stored under `key`.
    ///
    /// # Errors
    /// [`Error::Failed`] when the library refuses, or a plain value would look like an encrypted one.
    pub fn seal(&self, key: &str, value: &Bytes) -> Result<Bytes, Error> {
        let Some(first) = self.sealing() else {
            if is_encrypted(value) {
                return Err(Error::Failed(format!("key {key}: a plain value that looks encrypted")));
            }
            return Ok(value.clone());
        };
        first
            .count()
            .map_err(|why| Error::Failed(format!("key {key}: {why}")))?;
        let nonce_at = first.header.len();
        let start = nonce_at + NONCE_LEN;
        let mut out = Vec::with_capacity(start + value.len() + TAG_LEN);
        out.extend_from_slice(&first.header);
        out.extend_from_slice(&[0; NONCE_LEN]);
        out.extend_from_slice(value);
        let sealed = first
            .secret
            .seal_in_place_separate_tag(Aad::from(key), &mut out[start..]);
        let (nonce, tag) = sealed.map_err(|_| Error::Failed(format!("key {key}: its value cannot be encrypted")))?;
        out[nonce_at..start].copy_from_slice(nonce.as_ref());
        out.extend_from_slice(tag.as_ref());
        Ok(out.into())
    }

    /// Decrypts what is stored under `key`.
    ///
    /// # Errors
    /// [`Error::Failed`], which names the key and the encryption key, when no key of the ring opens it.
    pub fn open(&self, key: &str, value: Bytes) -> Result<Bytes, Error> {
        let failed = |why: String| Err(Error::Failed(format!("key {key}: {why}")));
        let Some(rest) = value.strip_prefix(MARK) else {
            return match self.reads_plain {
                true => Ok(value),
                false => failed(
                    "its value is plain text, which the encryption configuration accepts only with the provider identity"
                        .to_owned(),
                ),
            };
        };
        let named = rest.strip_prefix(SCHEME).and_then(split);
        let Some((name, _)) = named else {
            let scheme = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).take(32);
            let scheme: String = scheme.map(|byte| char::from(*byte)).collect();
            return failed(format!(
                "its value is encrypted by the scheme {scheme:?}, which is not known here"
            ));
        };
        let Some(own) = self.keys.iter().find(|own| own.name.as_bytes() == name) else {
            let name = String::from_utf8_lossy(name);
            return failed(format!(
                "its value is encrypted with the key {name:?}, which the encryption configuration does not hold"
            ));
        };
        match own.open(key, &value) {
            Some(opened) => Ok(opened),
            None => failed(format!(
                "the key {:?} does not open its value: it was damaged or comes from another place, or the key of that \
                 name has another secret now",
                own.name
            )),
        }
    }

    /// Whether the value is as this ring would write it.
    pub fn is_current(&self, value: &[u8]) -> bool {
        match self.sealing() {
            Some(first) => value.starts_with(&first.header),
            None => !is_encrypted(value),
        }
    }

    /// The key that seals; `None` where values are written as they are.
    fn sealing(&self) -> Option<&Key> {
        self.keys.first().filter(|_| !self.writes_plain)
    }

    /// What new values are encrypted with, for people.
    pub fn first(&self) -> String {
        match self.sealing() {
            Some(key) => format!("the key {:?}", key.name),
            None => "nothing (plain text)".to_owned(),
        }
    }
}

/// The name of the key that a value says it is encrypted with; `None` for plain text and for other schemes.
pub fn key_name(value: &[u8]) -> Option<String> {
    let (name, _) = split(value.strip_prefix(MARK)?.strip_prefix(SCHEME)?)?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// The name of the key, and what follows it.
fn split(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = rest.iter().take(256).position(|byte| *byte == b':')?;
    Some((&rest[..at], &rest[at + 1..]))
}

impl Key {
    /// Counts one more value.
    fn count(&self) -> Result<(), String> {
        let before = self.sealed.fetch_add(1, Ordering::Relaxed);
        if before >= GOOD_FOR {
            let name = &self.name;
            return Err(format!(
                "the encryption key {name:?} has encrypted 2^32 values and is used up, make another one the first"
            ));
        }
        if before >= TOLD_FROM && before.is_multiple_of(TOLD_EVERY) {
            tracing::warn!(
                key = self.name,
                values = before,
                "this process has encrypted so many values with one key, which is good for 2^32 in all: make another one \
                 the first soon, values will be refused then"
            );
        }
        Ok(())
    }

    fn open(&self, key: &str, value: &[u8]) -> Option<Bytes> {
        let (nonce, sealed) = value.strip_prefix(&*self.header)?.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut buffer = sealed.to_vec();
        let length = self
            .secret
            .open_in_place(nonce, Aad::from(key), &mut buffer)
            .ok()?
            .len();
        buffer.truncate(length);
        Some(buffer.into())
    }
}

impl Keys {
    /// A ring that stays as it is until [`Keys::replace`].
    pub fn new(ring: Ring) -> Self {
        Self {
            ring: ArcSwap::from_pointee(ring),
            digest: Mutex::default(),
        }
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// One line, without anything secret in it.
    pub fn load(file: &Path) -> Result<Self, String> {
        let text = read(file)?;
        let ring = configuration::parse(&text).map_err(|why| format!("{}: {why}", file.display()))?;
        let keys = Self::new(ring);
        *keys.digest.lock() = Some(digest(&text));
        Ok(keys)
    }

    /// The ring in force.
    pub fn ring(&self) -> arc_swap::Guard<Arc<Ring>> {
        self.ring.load()
    }

    /// How many values each key has sealed since the process began.
    pub fn sealed(&self) -> Vec<(String, u64)> {
        let ring = self.ring();
        let counts = ring.keys.iter();
        counts
            .map(|key| (key.name.clone(), key.sealed.load(Ordering::Relaxed)))
            .collect()
    }

    /// Puts another ring in force. What a key has sealed goes on being counted.
    pub fn replace(&self, mut ring: Ring) {
        let before = self.ring();
        for key in &mut ring.keys {
            if let Some(same) = before.keys.iter().find(|same| same.name == key.name) {
                key.sealed = same.sealed.clone();
            }
        }
        self.ring.store(Arc::new(ring));
    }

    /// Looks at the file every `interval`, for as long as anybody has the keys. One that cannot be used changes nothing.
    pub async fn follow(keys: Weak<Self>, file: PathBuf, interval: Duration) {
        let mut unreadable = false;
        loop {
            tokio::time::sleep(interval).await;
            let Some(keys) = keys.upgrade() else { return };
            let path = file.clone();
            let Ok(text) = tokio::task::spawn_blocking(move || read(&path)).await else {
                return;
            };
            match text.and_then(|text| keys.look(&text)) {
                Ok(false) => unreadable = false,
                Ok(true) => {
                    let first = keys.ring().first();
                    tracing::info!(file = %file.display(), "new values are encrypted with {first} from now on");
                    unreadable = false;
                }
                Err(why) => {
                    if !std::mem::replace(&mut unreadable, true) {
                        tracing::error!(
                            file = %file.display(), why,
                            "the encryption configuration cannot be used; the one before stays in force"
                        );
                    }
                }
            }
        }
    }

    /// Puts a text in force; says whether it is another one than at the last look.
    fn look(&self, text: &str) -> Result<bool, String> {
        let fresh = Some(digest(text));
        if *self.digest.lock() == fresh {
            return Ok(false);
        }
        let ring = configuration::parse(text)?;
        self.replace(ring);
        *self.digest.lock() = fresh;
        Ok(true)
    }
}

/// Of a text that has secrets, and is not kept for it.
fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}
