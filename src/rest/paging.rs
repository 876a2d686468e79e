//! Continue tokens: where a list goes on, sealed, so that they say nothing of objects that the caller cannot see and
//! carry no authority (visibility rule V6).
//!
//! The keys live in the store, made in one transaction: any replica opens any token, and a restart loses none. The newest
//! one seals; the one before it still opens.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::storage::{Entry, Error, Revision, Storage};
use crate::wire::json;
use crate::wire::status::Status;

/// Where the keys are stored.
pub const KEY: &str = "sealing/continue";
/// How long a key seals before the next one takes over.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// A token that does not open may have been sealed with a newer key; the store is asked for it at most this often.
const REFRESH: Duration = Duration::from_secs(1);
/// Bytes of a key.
const KEY_LEN: usize = 32;

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The revision of the first page; `None` goes on at the newest one.
    pub revision: Option<Revision>,
    /// The last key that has been listed.
    pub after: String,
}

/// Seals and opens positions.
pub struct Sealer {
    storage: Arc<dyn Storage>,
    /// Newest first.
    keys: ArcSwap<Vec<RandomizedNonceKey>>,
    refreshed: Mutex<Option<Instant>>,
}

/// The keys as they are stored, newest first.
#[derive(Serialize, Deserialize)]
struct Stored {
    keys: Vec<StoredKey>,
}

#[derive(Clone, Serialize, Deserialize)]
struct StoredKey {
    created: Timestamp,
    secret: String,
}

impl Sealer {
    /// Nothing is asked of the storage until the first token.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            storage,
            keys: ArcSwap::default(),
            refreshed: Mutex::new(None),
        }
    }

    /// A token for `position`, valid only for lists of `scope`.
    ///
    /// # Errors
    /// The keys cannot be had.
    pub async fn seal(&self, position: &Position, scope: &str) -> Result<String, Status> {
        if self.keys.load().is_empty() {
            self.refresh().await?;
        }
        let keys = self.keys.load();
        let key = keys
            .first()
            .ok_or_else(|| Status::internal("no key for continue tokens"))?;
        let mut sealed = json::to_vec(position);
        let nonce = key
            .seal_in_place_append_tag(Aad::from(scope), &mut sealed)
            .map_err(Status::internal)?;
        let token = [nonce.as_ref().as_slice(), &sealed].concat();
        Ok(BASE64_URL_SAFE_NO_PAD.encode(token))
    }

    /// What a token says.
    ///
    /// # Errors
    /// 400 for a token that nobody here has sealed for `scope`.
    pub async fn open(&self, token: &str, scope: &str) -> Result<Position, Status> {
        let bad = |why: &str| Status::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|error| bad(&error.to_string()))?;
        if let Some(position) = self.try_open(&bytes, scope) {
            return Ok(position);
        }
        self.refresh().await?;
        self.try_open(&bytes, scope)
            .ok_or_else(|| bad("it was not issued for this list"))
    }

    fn try_open(&self, bytes: &[u8], scope: &str) -> Option<Position> {
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
        self.keys.load().iter().find_map(|key| {
            let mut sealed = sealed.to_vec();
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let opened = key.open_in_place(nonce, Aad::from(scope), &mut sealed).ok()?;
            serde_json::from_slice(opened).ok()
        })
    }

    /// Reads the keys, unless that was done a moment ago.
    async fn refresh(&self) -> Result<(), Status> {
        let mut refreshed = self.refreshed.lock().await;
        if refreshed.is_some_and(|at| at.elapsed() < REFRESH) && !self.keys.load().is_empty() {
            return Ok(());
        }
        let stored = self.read_or_make().await.map_err(|error| match error {
            Error::Unavailable(cause) => {
                let mut status = Status::unavailable("the storage cannot be reached right now, try again");
                status.internal = Some(cause);
                status
            }
            error => Status::internal(error),
        })?;
        let keys = stored.keys.iter().filter_map(StoredKey::open).collect();
        self.keys.store(Arc::new(keys));
        *refreshed = Some(Instant::now());
        Ok(())
    }

    /// The stored keys; made where there are none, and renewed when they are old. Whoever loses that race takes what
    /// the winner stored.
    async fn read_or_make(&self) -> Result<Stored, Error> {
        let current = self.storage.get(KEY).await?;
        let stored = current.as_ref().map(parse).transpose()?;
        let newest = stored.as_ref().and_then(|stored| stored.keys.first());
        let age = newest.map(|key| Timestamp::now().duration_since(key.created));
        if let Some(age) = age
            && age.unsigned_abs() < LIFETIME
            && let Some(stored) = stored
        {
            return Ok(stored);
        }
        let fresh = Stored {
            keys: StoredKey::make().into_iter().chain(newest.cloned()).collect(),
        };
        let value = json::to_vec(&fresh).into();
        let written = match &current {
            Some(entry) => self.storage.compare_and_swap(KEY, entry.revision, value).await,
            None => self.storage.create(KEY, value).await,
        };
        match written {
            Ok(_) => Ok(fresh),
            Err(Error::Exists { current } | Error::Conflict { current }) => parse(&current),
            Err(error) => Err(error),
        }
    }
}

impl StoredKey {
    fn make() -> Option<Self> {
        let mut secret = [0; KEY_LEN];
        aws_lc_rs::rand::fill(&mut secret).ok()?;
        Some(Self {
            created: Timestamp::now(),
            secret: BASE64_STANDARD.encode(secret),
        })
    }

    fn open(&self) -> Option<RandomizedNonceKey> {
        let secret = BASE64_STANDARD.decode(&self.secret).ok()?;
        RandomizedNonceKey::new(&AES_256_GCM, &secret).ok()
    }
}

fn parse(entry: &Entry) -> Result<Stored, Error> {
    serde_json::from_slice(&entry.value).map_err(|_| Error::Failed(format!("{} holds no keys", entry.key)))
}

#[cfg(test)]
mod tests;
