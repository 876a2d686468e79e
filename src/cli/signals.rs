//! SIGTERM and SIGINT.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;
use crate::http::shutdown::Shutdown;

/// The first signal starts the shutdown, `delay` before its drain; the second one ends the process at once with exit
/// code 1 (k8s.io/apiserver pkg/server/signal.go).
pub(super) fn follow(shutdown: Shutdown, delay: Duration) -> Result<(), Failure> {
    let on = |kind| signal(kind).map_err(|error| Failure::Runtime(format!("cannot receive signals: {error}")));
    let (mut terminate, mut interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    tokio::spawn(async move {
        let name = either(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = name, ?delay, "shutting down; a second signal ends at once");
        tokio::spawn(async move { shutdown.run(delay).await });
        let name = either(&mut terminate, &mut interrupt).await;
        eprintln!("bulward: ended by a second {name}: running requests were cut");
        std::process::exit(1);
    });
    Ok(())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
