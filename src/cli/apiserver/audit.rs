//! The `--audit-*` flags, as kube-apiserver has them.

mod log;
mod webhook;

use std::path::PathBuf;
use std::time::Duration;

use super::{given, path, refused};
use crate::audit::{BatchOptions, Event, Mode, Truncate};
use crate::config::{Audit, Error};

#[derive(Debug, clap::Args)]
pub(super) struct AuditArgs {
    /// How much is recorded of which request (audit.k8s.io/v1 Policy); without it, as `bulward audit-policy` prints
    #[arg(long, value_name = "FILE", value_parser = path(), env = "BULWARD_AUDIT_POLICY_FILE")]
    audit_policy_file: Option<PathBuf>,
    #[command(flatten)]
    log: log::LogArgs,
    #[command(flatten)]
    webhook: webhook::WebhookArgs,
}

/// What requests wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ModeName {
    /// Nothing: events are collected, and lost where there are too many
    Batch,
    /// Its events; that they cannot be recorded is counted, and no matter
    Blocking,
    /// The same, but a request whose arrival cannot be recorded is refused
    BlockingStrict,
}

/// How one backend collects events.
struct Batching {
    buffer: (&'static str, usize),
    max_size: (&'static str, usize),
    max_wait: Duration,
    throttle: Option<(&'static str, f64, u32)>,
    concurrent: bool,
}

/// What one backend leaves out.
struct Truncating {
    enabled: bool,
    max_event: (&'static str, usize),
    max_batch: (&'static str, usize),
}

impl AuditArgs {
    pub(super) fn config(self) -> Result<Audit, Error> {
        Ok(Audit {
            policy_file: given(self.audit_policy_file),
            log: self.log.config()?,
            webhook: self.webhook.config()?,
        })
    }
}

impl ModeName {
    fn mode(self, batching: &Batching, truncating: &Truncating) -> Result<Mode, Error> {
        match self {
            Self::Blocking => Ok(Mode::Blocking),
            Self::BlockingStrict => Ok(Mode::BlockingStrict),
            Self::Batch => {
                for (flag, count) in [batching.buffer, batching.max_size] {
                    if count == 0 {
                        return Err(refused(flag, "0 would record nothing, allow at least 1"));
                    }
                }
                if let Some((flag, rate, burst)) = batching.throttle
                    && !(rate > 0.0 && rate.is_finite() && burst > 0)
                {
                    return Err(refused(flag, "the rate and the burst must be more than 0"));
                }
                Ok(Mode::Batch(BatchOptions {
                    buffer: batching.buffer.1,
                    max_size: batching.max_size.1,
                    max_wait: batching.max_wait,
                    throttle: batching.throttle.map(|(_, rate, burst)| (rate, burst)),
                    concurrent: batching.concurrent,
                    max_bytes: truncating.enabled.then_some(truncating.max_batch.1),
                }))
            }
        }
    }
}

impl Truncating {
    fn truncate(&self) -> Result<Option<Truncate>, Error> {
        let ((event_flag, max_event), (batch_flag, max_batch)) = (self.max_event, self.max_batch);
        if max_event == 0 {
            return Err(refused(event_flag, "0 would record nothing, allow at least 1"));
        }
        if max_batch < max_event {
            let why = format!("{max_batch} is less than one event may have, --{event_flag} {max_event}");
            return Err(refused(batch_flag, why));
        }
        Ok(self.enabled.then_some(Truncate { max_event }))
    }
}

/// There is one version of events.
fn version(flag: &'static str, text: &str) -> Result<(), Error> {
    match text == Event::API_VERSION {
        true => Ok(()),
        false => Err(refused(
            flag,
            format!("{text:?}: events have the form of {}", Event::API_VERSION),
        )),
    }
}
