//! Spawning a fiber that is a thread to the program.

#![expect(unsafe_code, reason = "fills in the cell of a fiber that nobody else knows of")]

use super::{Builder, admit_beyond};
use crate::cell::Flags;
use crate::fiber::{JoinHandle, SpawnError};
use crate::scheduler::{self, current_worker};

impl Builder {
    /// Spawns a fiber that is a thread to the program, on the current runtime, also while that ends without its threads.
    pub(crate) fn spawn_thread<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let worker = current_worker().ok_or(SpawnError::NoRuntime)?;
        let (stack_bytes, identity) = self.settings()?;
        if worker.shared().ends_threads() {
            return Err(SpawnError::ShuttingDown);
        }
        admit_beyond(worker.shared())?;
        let cell = scheduler::new_fiber(worker, f, Flags::default(), stack_bytes, identity);
        // SAFETY: just allocated; nobody else knows of it.
        unsafe { cell.as_ref() }.make_thread();
        scheduler::spawn_here(worker, cell);
        // SAFETY: just allocated, for that closure.
        Ok(unsafe { JoinHandle::new(cell) })
    }
}
