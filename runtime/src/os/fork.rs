//! Tells whether this process is a copy, by fork(2), of the process that made an object.
//!
//! A copy has the same descriptors, and they refer to the same kernel objects: a descriptor that it removes from an epoll
//! instance is removed from its parent's.

#![expect(unsafe_code, reason = "a call of the C library; values that are never freed")]
#![cfg_attr(
    not(feature = "own-tls"),
    expect(unreachable_pub, reason = "the hooks export what others do without")
)]

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// The number of forks between this process and the one that called [`Generation::current`] first.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// The number of forks when an object was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    pub(crate) fn current() -> Self {
        // If there is no memory for it, copies are not told apart.
        static COUNT: AtFork = AtFork::in_each_copy(count);
        COUNT.set_up();
        Self(FORKS.load(Ordering::Relaxed))
    }

    pub(crate) fn is_current(self) -> bool {
        self.0 == FORKS.load(Ordering::Relaxed)
    }
}

/// A value behind a lock, with which each copy of the process begins anew. What another thread of the original had locked at the fork would
/// stay locked there for ever, and what the value tells is of the original's threads and descriptors.
///
/// The value of a process is never freed: a thread of a copy may be about to look at its original's.
pub struct PerProcess<T> {
    /// The value of this process, or of the one of which this is a copy. Null before the first.
    current: AtomicPtr<Owned<T>>,
    first: fn() -> T,
    owns: PhantomData<Mutex<T>>,
}

impl<T> fmt::Debug for PerProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerProcess").finish_non_exhaustive()
    }
}

struct Owned<T> {
    generation: Generation,
    value: Mutex<T>,
}

impl<T> PerProcess<T> {
    /// `first` makes the value with which a process begins.
    pub const fn new(first: fn() -> T) -> Self {
        Self { current: AtomicPtr::new(std::ptr::null_mut()), first, owns: PhantomData }
    }

    /// Locks the value of this process.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.of_this_process().lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, unless another thread of this process has locked it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.of_this_process().try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn of_this_process(&self) -> &Mutex<T> {
        // Acquire, here and below: pairs with the Release below, so that a value is seen as it was made.
        let mut at = self.current.load(Ordering::Acquire);
        loop {
            // SAFETY: made by `Box` below, and never freed.
            if let Some(owned) = unsafe { at.as_ref() }
                && owned.generation.is_current()
            {
                return &owned.value;
            }
            let value = Mutex::new((self.first)());
            let made = Box::into_raw(Box::new(Owned { generation: Generation::current(), value }));
            match self.current.compare_exchange(at, made, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: made above, and never freed from here on.
                Ok(_) => return &unsafe { &*made }.value,
                Err(now) => {
                    // SAFETY: made above, and nobody else has seen it.
                    drop(unsafe { Box::from_raw(made) });
                    at = now;
                }
            }
        }
    }
}

/// The id of the calling process: of a child of vfork(2), which shares this memory, another one.
#[cfg(feature = "own-tls")]
pub(crate) fn process_id() -> i32 {
    // SAFETY: it takes nothing.
    unsafe { libc::getpid() }
}

/// What is done at each fork(2): before it, and in each copy of the process when that begins. It may not wait, and may be done twice: two threads
/// may set it up at the same time.
///
/// There is no lock, as that of `Once`, which a fork by another thread could catch, so that its copy waited for ever.
#[derive(Debug)]
pub struct AtFork {
    before: Option<extern "C" fn()>,
    in_copy: Option<extern "C" fn()>,
    is_set_up: AtomicBool,
}

impl AtFork {
    /// Nothing yet.
    pub const fn new(before: Option<extern "C" fn()>, in_copy: Option<extern "C" fn()>) -> Self {
        Self { before, in_copy, is_set_up: AtomicBool::new(false) }
    }

    /// The same, with nothing to do before.
    pub const fn in_each_copy(begin: extern "C" fn()) -> Self {
        Self::new(None, Some(begin))
    }

    /// From now on it is done. If there is no memory for that, it never is.
    #[inline]
    pub fn set_up(&self) {
        // Relaxed, here and below: who does not see it sets it up again.
        if !self.is_set_up.load(Ordering::Relaxed) {
            self.tell_libc();
        }
    }

    #[cold]
    fn tell_libc(&self) {
        let handler = |f: extern "C" fn()| f as unsafe extern "C" fn();
        // SAFETY: the handlers are functions of ours, and may run on any thread that forks, and in a child of it.
        unsafe { libc::pthread_atfork(self.before.map(handler), None, self.in_copy.map(handler)) };
        self.is_set_up.store(true, Ordering::Relaxed);
    }
}

extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::thread;

    use super::*;

    /// The wait status of a copy of the process that does this, and is killed if it does not end.
    fn in_copy(body: impl FnOnce()) -> i32 {
        // SAFETY: the copy takes locks of its own alone, and ends at once.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::alarm(20);
                body();
                libc::_exit(7);
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            status
        }
    }

    #[test]
    fn a_copy_begins_anew_while_another_thread_holds_the_original() {
        static VALUE: PerProcess<u32> = PerProcess::new(|| 1);
        let (locked, is_locked) = std::sync::mpsc::channel();
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let other = thread::spawn(move || {
            let mut value = VALUE.lock();
            *value = 2;
            locked.send(()).unwrap();
            let _ = finished.recv();
        });
        is_locked.recv().unwrap();
        let status = in_copy(|| {
            let mut value = VALUE.lock();
            if std::mem::replace(&mut *value, 3) != 1 {
                std::process::abort();
            }
        });
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "{status:#x}");
        drop(finish);
        other.join().unwrap();
        assert_eq!(*VALUE.lock(), 2);
    }

    #[test]
    fn all_threads_find_one_value() {
        static VALUE: PerProcess<u32> = PerProcess::new(|| 0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..100).for_each(|_| *VALUE.lock() += 1));
            }
        });
        assert_eq!(*VALUE.lock(), 800);
    }
}
