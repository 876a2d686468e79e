//! The connections to the cluster's members, and which of them is asked.
//!
//! Every member has a client of its own: the requests go to one member until it fails, then to the next. etcd-client's
//! own balancing picks at random, dead members included.

mod files;

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use arc_swap::ArcSwap;
use etcd_client::{Client, ConnectOptions, KvClient, WatchClient};
use tokio::sync::{OnceCell, watch};
use tokio::time::timeout;

use self::files::Files;
use super::Config;
use super::answer::{self, Failure};
use crate::storage::Error;

/// Time that a request has, with everything that is tried for it.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// A member that does not answer for so long is not asked again before the others, where there are others.
const SILENCE: Duration = Duration::from_secs(2);
/// Time that a connection has to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A silent connection is asked for a sign of life after this long; etcd hangs up on clients that ask more often than
/// every 5 seconds (`--grpc-keepalive-min-time`).
const KEEPALIVE: Duration = Duration::from_secs(6);
/// A connection that gives no sign of life for this long is dead: 9 seconds in all.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// Larger answers than this cannot be represented by gRPC; etcd-client's default of 4 MiB is a handful of objects.
const MESSAGE_SIZE: usize = i32::MAX as usize;

/// Whether a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// It is a small question: no answer within [`SILENCE`] is a failure, too, where there are other members.
    Promptly,
    /// It changes nothing, or nothing more when it is carried out twice.
    Always,
    /// Only when no member can have seen it.
    Unsent,
}

pub(super) struct Members {
    endpoints: Vec<String>,
    /// Without certificates.
    plain: ConnectOptions,
    /// The certificates at the start, if there are any.
    started_with: Option<Files>,
    /// Replaced as a whole when other certificates are to be shown or believed.
    current: ArcSwap<Set>,
    /// Counts the failures: its remainder is the member to ask.
    turn: watch::Sender<usize>,
}

struct Set {
    members: Vec<Member>,
    options: ConnectOptions,
}

struct Member {
    endpoint: String,
    /// Set once the first request has got through as far as authentication, which is part of connecting.
    client: OnceCell<Client>,
}

/// A client for key requests without etcd-client's size limit.
pub(super) fn kv(client: &Client) -> KvClient {
    client.kv_client().max_decoding_message_size(MESSAGE_SIZE)
}

/// A client for watches without etcd-client's size limit.
pub(super) fn watch(client: &Client) -> WatchClient {
    client.watch_client().max_decoding_message_size(MESSAGE_SIZE)
}

impl Members {
    /// Checks the configuration and reads the files; connects to nothing yet.
    pub(super) async fn new(config: &Config) -> Result<Self, Error> {
        if config.endpoints.is_empty() {
            return Err(Error::Failed("no etcd endpoint is configured".to_owned()));
        }
        let secure = config
            .endpoints
            .iter()
            .filter(|url| url.starts_with("https://"))
            .count();
        let plain = config.endpoints.iter().filter(|url| url.starts_with("http://")).count();
        if secure + plain != config.endpoints.len() || (secure > 0 && plain > 0) {
            return Err(Error::Failed(format!(
                "etcd endpoints must all start with http:// or all with https://: {}",
                config.endpoints.join(", ")
            )));
        }
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_keep_alive(KEEPALIVE, KEEPALIVE_TIMEOUT)
            // etcd hangs up on clients that ask for signs of life without an open request.
            .with_keep_alive_while_idle(false)
            .with_tcp_keepalive(KEEPALIVE)
            .with_require_leader(true);
        match (&config.user, &config.password) {
            (Some(user), Some(password)) => {
                options = options.with_user(user, password).with_auto_token_refresh(true);
            }
            (None, None) => {}
            _ => {
                return Err(Error::Failed(
                    "etcd needs both a user and a password, or neither".to_owned(),
                ));
            }
        }
        let plain = options.clone();
        let mut started_with = None;
        if secure > 0 {
            let files = Files::read(config).await?;
            options = options.with_tls(files.options());
            started_with = Some(files);
        } else if config.ca_file.is_some() || config.cert_file.is_some() || config.key_file.is_some() {
            return Err(Error::Failed(
                "certificate files for etcd are configured, but its endpoints are http://".to_owned(),
            ));
        }
        Ok(Self {
            endpoints: config.endpoints.clone(),
            plain,
            started_with,
            current: ArcSwap::from_pointee(Set::new(&config.endpoints, options)),
            turn: watch::Sender::new(0),
        })
    }

    /// Sends a request to the member whose turn it is, and to the others when it fails and `retry` allows.
    pub(super) async fn call<T, F, A>(&self, retry: Retry, request: F) -> Result<T, Error>
    where
        F: FnMut(Client) -> A,
        A: Future<Output = Result<T, etcd_client::Error>>,
    {
        self.call_any(retry, request).await.map(|(answer, _)| answer)
    }

    /// As [`Self::call`]; answers also whose turn it was.
    pub(super) async fn call_any<T, F, A>(&self, retry: Retry, mut request: F) -> Result<(T, usize), Error>
    where
        F: FnMut(Client) -> A,
        A: Future<Output = Result<T, etcd_client::Error>>,
    {
        let asked = self.turn();
        let answer = timeout(REQUEST_TIMEOUT, async {
            // A lone member is asked twice: its connection may have been broken for long without anyone noticing.
            let attempts = self.endpoints.len().max(2);
            let mut attempt = 1;
            loop {
                let turn = self.turn();
                let set = self.current.load_full();
                let member = &set.members[turn % set.members.len()];
                let last = attempt >= attempts;
                let give_up = retry == Retry::Promptly && !last;
                let answer = self.attempt((member, &set.options), turn, give_up, &mut request);
                let failure = match answer.await {
                    Ok(answer) => return Ok((answer, turn)),
                    Err(failure) => failure,
                };
                if !matches!(failure.error, Error::Unavailable(_)) {
                    return Err(failure.error);
                }
                tracing::debug!(endpoint = member.endpoint, error = %failure.error, "etcd member failed");
                self.pass(turn);
                let again = retry != Retry::Unsent || failure.unsent || failure.token;
                if !again || last {
                    return Err(failure.error);
                }
                attempt += 1;
            }
        })
        .await;
        answer.unwrap_or_else(|_| {
            self.pass(asked);
            Err(self.late())
        })
    }

    /// Asks one member. When it is silent, others need not find that out again: it is the next one's turn. Whether this
    /// request goes on waiting depends on `give_up`.
    async fn attempt<T, F, A>(
        &self,
        (member, options): (&Member, &ConnectOptions),
        turn: usize,
        give_up: bool,
        request: &mut F,
    ) -> Result<T, Failure>
    where
        F: FnMut(Client) -> A,
        A: Future<Output = Result<T, etcd_client::Error>>,
    {
        let mut answer = pin!(member.request(options, request));
        if self.endpoints.len() > 1 {
            if let Ok(answer) = timeout(SILENCE, answer.as_mut()).await {
                return answer;
            }
            tracing::debug!(endpoint = member.endpoint, "etcd member is silent");
            self.pass(turn);
            if give_up {
                return Err(Failure {
                    error: self.late(),
                    unsent: false,
                    token: false,
                });
            }
        }
        answer.await
    }

    /// Makes it the next member's turn, unless another request has done so already.
    pub(super) fn pass(&self, turn: usize) {
        self.turn.send_if_modified(|now| {
            let own = *now == turn;
            if own {
                *now = turn.wrapping_add(1);
            }
            own
        });
    }

    /// Tells of each failure of a member.
    pub(super) fn failures(&self) -> watch::Receiver<usize> {
        self.turn.subscribe()
    }

    /// Counts the failures, as [`Self::pass`] takes it.
    fn turn(&self) -> usize {
        *self.turn.borrow()
    }

    pub(super) fn endpoint(&self, turn: usize) -> &str {
        &self.endpoints[turn % self.endpoints.len()]
    }

    /// The error for a request that got no answer in time.
    pub(super) fn late(&self) -> Error {
        let seconds = REQUEST_TIMEOUT.as_secs();
        Error::Unavailable(format!(
            "no answer from etcd at {} within {seconds} s",
            self.endpoints.join(", ")
        ))
    }
}

impl Set {
    fn new(endpoints: &[String], options: ConnectOptions) -> Self {
        let member = |endpoint: &String| Member {
            endpoint: endpoint.clone(),
            client: OnceCell::new(),
        };
        Self {
            members: endpoints.iter().map(member).collect(),
            options,
        }
    }
}

impl Member {
    async fn request<T, F, A>(&self, options: &ConnectOptions, request: &mut F) -> Result<T, Failure>
    where
        F: FnMut(Client) -> A,
        A: Future<Output = Result<T, etcd_client::Error>>,
    {
        let connect = || Client::connect([&self.endpoint], Some(options.clone()));
        let client = self.client.get_or_try_init(connect).await.map_err(|error| Failure {
            // The request itself has not been sent yet.
            unsent: true,
            ..answer::failure(&self.endpoint, &error)
        })?;
        match request(client.clone()).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(answer::failure(&self.endpoint, &error)),
        }
    }
}
