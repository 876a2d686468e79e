//! The flags of how much a caller may have at once.

use std::time::Duration;

use super::refused;
use crate::config::{Error, parse_duration};
use crate::http::limits::Allowance;

/// The largest `--goaway-chance` (k8s.io/apiserver pkg/server/options/server_run_options.go).
const MAX_GOAWAY_CHANCE: f64 = 0.02;

#[derive(Debug, clap::Args)]
pub(super) struct LimitsArgs {
    /// Requests that read, at once, watches excepted; further ones wait, and no caller has more than half. No bound when 0
    #[arg(long, value_name = "COUNT", default_value_t = Allowance::default().reading, env = "BULWARD_MAX_REQUESTS_INFLIGHT")]
    max_requests_inflight: usize,
    /// The same for requests that write
    #[arg(long, value_name = "COUNT", default_value_t = Allowance::default().mutating, env = "BULWARD_MAX_MUTATING_REQUESTS_INFLIGHT")]
    max_mutating_requests_inflight: usize,
    /// Watches of one caller; further ones are refused. No bound when 0
    #[arg(long, value_name = "COUNT", default_value_t = Allowance::default().watches_per_user, env = "BULWARD_MAX_WATCHES_PER_USER")]
    max_watches_per_user: usize,
    /// Bytes of answers that wait to be read by their callers, of which no caller has more than half; further requests of who
    /// does not read are refused. No bound when 0
    #[arg(long, value_name = "BYTES", default_value_t = Allowance::default().unsent_bytes, env = "BULWARD_MAX_UNSENT_BYTES")]
    max_unsent_bytes: usize,
    /// How long a request may take that is no watch; a shorter `timeout` in the request counts
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration, env = "BULWARD_REQUEST_TIMEOUT")]
    request_timeout: Duration,
    /// How long a watch lasts whose client does not say: this many seconds at least, and less than twice as long
    #[arg(long, value_name = "SECONDS", default_value_t = Allowance::default().min_request_timeout.as_secs(), env = "BULWARD_MIN_REQUEST_TIMEOUT")]
    min_request_timeout: u64,
    /// How probably an HTTP/2 request has its connection closed, so that clients spread over replicas: 0 (never) to 0.02
    #[arg(long, value_name = "CHANCE", default_value_t = 0.0, env = "BULWARD_GOAWAY_CHANCE")]
    goaway_chance: f64,
}

impl LimitsArgs {
    pub(super) fn config(&self) -> Result<Allowance, Error> {
        if self.request_timeout.is_zero() {
            return Err(refused("request-timeout", "0 would answer nothing, allow at least 1s"));
        }
        if self.min_request_timeout == 0 {
            return Err(refused(
                "min-request-timeout",
                "0 would end every watch at once, say at least 1",
            ));
        }
        if !(0.0..=MAX_GOAWAY_CHANCE).contains(&self.goaway_chance) {
            let why = format!("{} is not from 0 to {MAX_GOAWAY_CHANCE}", self.goaway_chance);
            return Err(refused("goaway-chance", why));
        }
        Ok(Allowance {
            reading: self.max_requests_inflight,
            mutating: self.max_mutating_requests_inflight,
            watches_per_user: self.max_watches_per_user,
            unsent_bytes: self.max_unsent_bytes,
            request_timeout: self.request_timeout,
            min_request_timeout: Duration::from_secs(self.min_request_timeout),
            goaway_chance: self.goaway_chance,
        })
    }
}
