//! Threads for evaluations: an expression that takes its time keeps none of the runtime's. Their stacks are large, since both
//! the parser and the evaluation go as deep as an expression is nested.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, mpsc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// At least this many, so that one that waits for an authorizer does not keep all others waiting.
const THREADS: usize = 4;
/// Only what is used of it is memory.
const STACK: usize = 64 << 20;

type Job = Box<dyn FnOnce() + Send>;

static JOBS: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    let threads = std::thread::available_parallelism().map_or(THREADS, |cores| cores.get().max(THREADS));
    for at in 0..threads {
        let receiver = receiver.clone();
        let work = move || {
            loop {
                let job = receiver.lock().recv();
                let Ok(job) = job else { return };
                job();
            }
        };
        let thread = std::thread::Builder::new().name(format!("cel-{at}")).stack_size(STACK);
        if let Err(error) = thread.spawn(work) {
            tracing::error!(%error, "no thread for the evaluation of expressions");
        }
    }
    sender
});

/// The evaluation did not come to an end: a defect of a library, told in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the evaluation failed")]
pub(crate) struct Aborted;

/// Runs `job` on one of the threads.
///
/// # Errors
/// It panicked, or there are no threads.
pub(crate) async fn run<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Result<T, Aborted> {
    let (sender, receiver) = oneshot::channel();
    let job = move || {
        // Nothing of what the job has seen is looked at again.
        if let Ok(done) = catch_unwind(AssertUnwindSafe(job)) {
            drop(sender.send(done));
        }
    };
    JOBS.send(Box::new(job)).map_err(|_| Aborted)?;
    receiver.await.map_err(|_| Aborted)
}
