//! Waiting on a condition with a deadline: the only way in which tests wait.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout_at};

use super::process::Process;

/// How long a program may take until it serves; generous, because the machine may be compiling meanwhile.
pub(crate) const STARTUP: Duration = Duration::from_secs(60);

/// Time between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(100);

/// Calls `check` until it answers `Ok`, and returns that; panics with the last `Err` once `deadline` has passed.
pub(crate) async fn eventually<T, E: Display>(
    what: &str,
    deadline: Duration,
    mut check: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let end = Instant::now() + deadline;
    let mut last = String::from("the first look did not come back");
    loop {
        match timeout_at(end, check()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(state)) if Instant::now() < end => last = state.to_string(),
            Ok(Err(state)) => panic!("{what}: not within {deadline:?}; last seen: {state}"),
            Err(_) => panic!("{what}: not within {deadline:?}; last seen: {last}"),
        }
        sleep(PAUSE).await;
    }
}

/// What `start` started, once for the whole test binary: the first test that asks starts it, the others wait.
///
/// A failure is kept as well, also a panic: then every test says why at once, and none tries again for a minute.
pub(crate) async fn started_once<T>(
    what: &str,
    cell: &'static OnceCell<Result<T, String>>,
    start: impl AsyncFnOnce() -> Result<T, String>,
) -> &'static T {
    let guarded = async || {
        let outcome = AssertUnwindSafe(start()).catch_unwind().await;
        outcome.unwrap_or_else(|panic| {
            let text = panic.downcast::<String>().map(|text| *text);
            Err(text.unwrap_or_else(|_| "a panic, see above".to_owned()))
        })
    };
    let outcome = cell.get_or_init(guarded).await;
    outcome
        .as_ref()
        .unwrap_or_else(|why| panic!("{what} did not start: {why}"))
}

/// Waits until `https://127.0.0.1:<port>/readyz` answers 200, without verifying the certificate.
///
/// Gives up as soon as `process` has ended, as a program that refused to start never becomes ready.
pub(crate) async fn serving(process: &Process, port: u16) -> Result<(), String> {
    super::pki::install_tls_provider();
    let uri = format!("https://127.0.0.1:{port}")
        .parse()
        .map_err(|e| format!("{e}"))?;
    let mut config = kube::Config::new(uri);
    config.accept_invalid_certs = true;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(Duration::from_secs(5));
    let client = kube::Client::try_from(config).map_err(|e| e.to_string())?;
    let end = Instant::now() + STARTUP;
    loop {
        if let Some(status) = process.ended() {
            return Err(format!(
                "{} ended with {status} before it served: {}",
                process.name(),
                process.log_tail()
            ));
        }
        let request = http::Request::get("/readyz")
            .body(Vec::new())
            .map_err(|e| e.to_string())?;
        let state = match timeout_at(end, client.request_text(request)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        if Instant::now() >= end {
            let (name, log) = (process.name(), process.log_tail());
            return Err(format!(
                "{name} did not become ready within {STARTUP:?}; last answer: {state}; {log}"
            ));
        }
        sleep(PAUSE).await;
    }
}
