//! tokio's runtimes, with their defaults but for the number of workers.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

/// The multi-thread runtime on `workers` threads, or the current-thread runtime.
///
/// # Panics
///
/// If the runtime's threads cannot be started.
#[must_use]
pub fn runtime(workers: Option<usize>) -> Runtime {
    let mut builder = match workers {
        Some(workers) => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
        None => Builder::new_current_thread(),
    };
    builder.enable_all().build().expect("workers start")
}

/// Runs `body` as a task of the runtime.
///
/// # Panics
///
/// If the body does.
pub fn run<T: Send + 'static>(workers: Option<usize>, body: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = runtime(workers);
    runtime.block_on(async { tokio::spawn(body).await }).expect("the body does not panic")
}
