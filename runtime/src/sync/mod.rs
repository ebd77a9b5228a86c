//! Locks and other synchronisation primitives for fibers and plain threads, mirroring [`std::sync`].
//!
//! Code written against `std::sync` compiles and behaves the same after its `use` path has changed. The difference is how
//! a waiter waits: a fiber parks, and its worker runs other fibers; a plain OS thread blocks. Both can wait for the same
//! lock at the same time.
//!
//! ```
//! use abaca::sync::{Arc, Condvar, Mutex};
//!
//! let pair = Arc::new((Mutex::new(false), Condvar::new()));
//! let theirs = Arc::clone(&pair);
//! let thread = std::thread::spawn(move || {
//!     *theirs.0.lock().unwrap() = true;
//!     theirs.1.notify_one();
//! });
//! let ready = pair.1.wait_while(pair.0.lock().unwrap(), |ready| !*ready).unwrap();
//! assert!(*ready);
//! # drop(ready);
//! # thread.join().unwrap();
//! ```
//!
//! # Cancellation
//!
//! A fiber that is cancelled while it waits here leaves the queue and unwinds. It takes neither a lock nor a notification
//! with it: another waiter gets them. The unwinding drops the guards that the fiber holds. That does not poison their
//! locks, just as dropping a future that holds a guard does not.
//!
//! The end of a runtime cancels the fibers that are left, also those that wait here.

mod barrier;
mod condvar;
mod lazy_lock;
mod mapped;
pub mod mpsc;
mod mutex;
mod notify;
mod once;
mod once_lock;
mod poison;
mod raw_mutex;
mod raw_rw_lock;
mod raw_semaphore;
mod rw_lock;
mod semaphore;
mod semaphore_error;
mod semaphore_permit;
mod wait_group;

#[doc(no_inline)]
#[cfg(not(loom))]
pub use std::sync::atomic;
#[doc(no_inline)]
pub use std::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult, Weak};
// What is built on the public API is modelled as well.
#[cfg(loom)]
pub use loom::sync::atomic;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use lazy_lock::LazyLock;
pub use mapped::{MappedMutexGuard, MappedRwLockReadGuard, MappedRwLockWriteGuard};
pub use mutex::{Mutex, MutexGuard};
pub use notify::Notify;
pub use once::{Once, OnceState};
pub use once_lock::OnceLock;
pub(crate) use raw_mutex::{MUTEX_LAYOUT, RawMutex};
pub(crate) use raw_rw_lock::RawRwLock;
pub use rw_lock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::Semaphore;
pub use semaphore_error::{AcquireError, TryAcquireError};
pub use semaphore_permit::{OwnedSemaphorePermit, SemaphorePermit};
pub(crate) use wait_group::Shared as WaitGroupShared;
pub use wait_group::WaitGroup;
