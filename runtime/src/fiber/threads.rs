//! Fibers that are threads to the program: `pthread_create` makes them, which fails where there is no memory.

#![expect(unsafe_code, reason = "makes handles of new cells")]

use super::admission::{admit, admit_thread};
use super::{Builder, JoinHandle, SpawnError};
use crate::cell::{Fiber, Supply, site_of_threads, try_allocate};
use crate::scheduler::{self, Shared, current_worker};

impl Builder {
    /// Spawns a fiber that is a thread to the program, on the calling fiber's runtime. `kept` is dropped when all memory has been got but what a
    /// queue may need; `None` if it is to do without, where memory is limited: then the fiber may be one that no other worker takes.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn), but that a runtime that ends takes it; [`SpawnError::NoRuntime`] also if there is no memory.
    pub(crate) fn spawn_thread<F, T>(
        self,
        f: F,
        kept: Option<impl Sized>,
    ) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let worker = current_worker().ok_or(SpawnError::NoRuntime)?;
        let (stack_bytes, _, _) = self.settings()?;
        // Labels are shared; what has them needs memory of its own.
        let identity =
            if scheduler::has_labels() { Some(Fiber::try_new().ok_or(SpawnError::NoRuntime)?) } else { None };
        admit_thread(worker.shared())?;
        let made = scheduler::try_new_fiber(worker, f, (stack_bytes, identity), site_of_threads());
        let cell = made.ok_or_else(|| no_memory(worker.shared()))?;
        // SAFETY: just allocated; nobody else knows of it.
        unsafe { cell.as_ref() }.make_thread();
        match kept {
            Some(kept) => {
                drop(kept);
                scheduler::spawn_here(worker, cell);
            }
            None => scheduler::spawn_here_without_memory(worker, cell),
        }
        // SAFETY: just allocated, for that closure.
        Ok(unsafe { JoinHandle::new(cell) })
    }

    /// The same on another runtime, which is not about to end.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn); [`SpawnError::NoRuntime`] also if there is no memory.
    pub(crate) fn spawn_thread_onto<F, T>(
        self,
        shared: &Shared,
        f: F,
        kept: Option<impl Sized>,
    ) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (stack_bytes, _, late) = self.settings()?;
        if shared.is_elsewhere() {
            return Err(SpawnError::Forked);
        }
        let _guard = shared.guard();
        admit(shared, late)?;
        let supply = Supply::Depot(&shared.cells);
        let made = try_allocate(f, (stack_bytes, None), shared.address(), supply, site_of_threads());
        let cell = made.ok_or_else(|| no_memory(shared))?;
        match kept {
            Some(kept) => {
                drop(kept);
                shared.inject(cell);
            }
            None => shared.inject_without_memory(cell),
        }
        // SAFETY: just allocated, for that closure.
        Ok(unsafe { JoinHandle::new(cell) })
    }
}

/// There is no memory for a fiber that was admitted.
#[cold]
fn no_memory(shared: &Shared) -> SpawnError {
    shared.dismiss();
    SpawnError::NoRuntime
}
