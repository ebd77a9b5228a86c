//! Locks and other meeting points for fibers and plain threads, mirroring [`std::sync`].
//!
//! Code written against `std::sync` compiles and behaves the same after its `use` path has changed. The
//! difference is in who waits: a fiber that waits for one of these parks, and its worker runs other fibers; a
//! plain OS thread that waits blocks. Both can wait for the same lock at the same time.
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
//! A fiber that is cancelled while it waits here leaves the queue and unwinds; it takes nothing with it: neither
//! a lock nor a notification that another waiter could use. Guards it already holds are dropped by the
//! unwinding, which poisons their mutexes exactly as a panic does, because a critical section was left half-way.

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
mod rw_lock;
mod semaphore;
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
pub use rw_lock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{AcquireError, Semaphore, TryAcquireError};
pub use semaphore_permit::{OwnedSemaphorePermit, SemaphorePermit};
pub use wait_group::WaitGroup;
