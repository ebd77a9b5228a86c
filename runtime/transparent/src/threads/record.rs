//! What there is to know of a thread that is a fiber. Its address, made odd, is the thread's `pthread_t`: libc's are even.
//!
//! The fiber's cell keeps the record: first in the closure, then in the result. So it is there until the thread was joined, or was
//! detached and has ended, which is as long as its `pthread_t` may be used.

#![expect(unsafe_code, reason = "follows the addresses that a `pthread_t` stands for")]

use std::cell::OnceCell;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use abaca::JoinHandle;
use abaca::hook::{self, Counted};
use libc::{EINVAL, pthread_t};

use super::identity::may_have_been_fiber;
use super::masks;

/// The name of a thread with its zero byte.
pub(crate) type Name = [u8; 16];

/// The stack that a thread's creator has asked for. There may be more of it.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) bytes: usize,
    pub(crate) guard_bytes: usize,
}

/// The result of a thread's fiber.
pub(crate) struct Finished {
    pub(crate) value: usize,
    #[expect(dead_code, reason = "keeps the record until the join")]
    pub(crate) record: Counted<Record>,
}

/// May be joined.
const JOINABLE: u8 = 0;
/// Somebody joins it.
const JOINING: u8 = 1;
const DETACHED: u8 = 2;

/// See the module's documentation.
pub(crate) struct Record {
    state: AtomicU8,
    /// The fiber's handle, once its creator has it, until the thread is joined or detached.
    handle: AtomicPtr<()>,
    /// Where the stack begins and how many bytes it has; 0 before the fiber has started.
    pub(crate) stack: (AtomicUsize, AtomicUsize),
    pub(crate) asked: Asked,
    /// The argument of `pthread_exit`.
    pub(crate) exit_value: AtomicUsize,
    /// Whom this thread waits for in a join.
    pub(crate) joins: AtomicPtr<Record>,
    pub(crate) cancel: super::cancel::Request,
    pub(crate) pending: super::pending::Pending,
    /// The mask of signals with which the thread begins.
    mask: u64,
    details: Mutex<Details>,
}

/// What is rarely asked for. The threads that a thread creates begin with its own.
#[derive(Default)]
pub(crate) struct Details {
    /// `None` is the process's.
    pub(crate) name: Option<Name>,
    /// The processors that the thread was told to run on; `None` is all of the process's.
    pub(crate) processors: Option<Vec<u8>>,
    /// How nice it was told to be, and its class at disks; `None` is as its OS thread.
    pub(super) nice: Option<i32>,
    pub(super) at_disks: Option<usize>,
}

impl Details {
    /// The same of another thread. `None` if there is no memory for it.
    pub(crate) fn try_clone(&self) -> Option<Self> {
        let copy = |own: &Vec<u8>| {
            let mut processors = Vec::new();
            processors.try_reserve_exact(own.len()).ok()?;
            processors.extend_from_slice(own);
            Some(processors)
        };
        let processors = match &self.processors {
            Some(own) => Some(copy(own)?),
            None => None,
        };
        Some(Self { name: self.name, processors, nice: self.nice, at_disks: self.at_disks })
    }
}

thread_local! {
    /// What other fibers were told of themselves, if they were: a word in the storage of each.
    static DETAILS: OnceCell<Box<Mutex<Details>>> = const { OnceCell::new() };
}

impl Record {
    /// `None` if there is no memory for it.
    pub(crate) fn new(is_detached: bool, details: Details, asked: Asked, mask: u64) -> Option<Counted<Self>> {
        Counted::new(Self {
            state: AtomicU8::new(if is_detached { DETACHED } else { JOINABLE }),
            handle: AtomicPtr::new(ptr::null_mut()),
            stack: (AtomicUsize::new(0), AtomicUsize::new(0)),
            asked,
            exit_value: AtomicUsize::new(0),
            joins: AtomicPtr::new(ptr::null_mut()),
            cancel: super::cancel::Request::new(),
            pending: super::pending::Pending::new(mask),
            mask,
            details: Mutex::new(details),
        })
    }

    /// The thread's `pthread_t`.
    pub(crate) fn thread(&self) -> pthread_t {
        (ptr::from_ref(self).expose_provenance() | 1) as pthread_t
    }

    /// The calling thread's.
    #[inline]
    pub(crate) fn current() -> Option<&'static Self> {
        // When the fiber has ended, what comes before its storage is made new is the runtime's code, and the record may be gone.
        if !hook::on_fiber() && !may_have_been_fiber() {
            return None;
        }
        // SAFETY: the cell of a fiber that runs keeps its record; a thread that never was a fiber has none.
        unsafe { hook::record().cast::<Self>().as_ref() }
    }

    /// The calling thread's, in a call of the runtime that one of the hooks has made for it.
    #[inline]
    pub(crate) fn current_within() -> Option<&'static Self> {
        // SAFETY: the cell of a fiber that is in a hook keeps its record.
        unsafe { hook::record().cast::<Self>().as_ref() }
    }

    /// Makes the record the calling fiber's, for the rest of its life.
    pub(crate) fn enter(&self) {
        // Null on a plain thread, and in other fibers. It is gone with the fiber's storage.
        hook::set_record(ptr::from_ref(self).cast());
        masks::begin(self.mask);
        self.pending.begin();
        if let Some(stack) = hook::stack() {
            // Relaxed, Release: the size tells that both are there.
            self.stack.0.store(stack.start, Ordering::Relaxed);
            self.stack.1.store(stack.len(), Ordering::Release);
        }
    }

    pub(crate) fn details(&self) -> MutexGuard<'_, Details> {
        self.details.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_detached(&self) -> bool {
        // Acquire: as below.
        self.state.load(Ordering::Acquire) == DETACHED
    }

    /// Stores the handle of the fiber, which has been spawned.
    ///
    /// SeqCst, here and in `detach`: either this sees that the thread was detached, or `detach` sees the handle.
    pub(crate) fn set_handle(&self, handle: JoinHandle<Finished>) {
        self.handle.store(hook::into_raw(handle).as_ptr(), Ordering::SeqCst);
        if self.state.load(Ordering::SeqCst) == DETACHED {
            drop(self.take_handle());
        }
    }

    /// Whether the thread's fiber waits.
    ///
    /// # Safety
    ///
    /// Nobody joins or detaches the thread meanwhile.
    pub(super) unsafe fn is_waiting(&self) -> bool {
        // SAFETY: only who joins or detaches the thread takes it.
        unsafe { self.borrow_handle() }.is_some_and(|handle| hook::is_waiting(&handle))
    }

    fn take_handle(&self) -> Option<JoinHandle<Finished>> {
        let handle = NonNull::new(self.handle.swap(ptr::null_mut(), Ordering::SeqCst))?;
        // SAFETY: `set_handle` has stored it, and the exchange makes it the caller's.
        Some(unsafe { hook::from_raw(handle) })
    }

    /// The handle, which is left to the record.
    ///
    /// # Safety
    ///
    /// Nobody takes it meanwhile.
    unsafe fn borrow_handle(&self) -> Option<ManuallyDrop<JoinHandle<Finished>>> {
        // Acquire: pairs with the store in `set_handle`.
        let handle = NonNull::new(self.handle.load(Ordering::Acquire))?;
        // SAFETY: as above; the caller's promise: the one that is taken is a handle after this one.
        Some(ManuallyDrop::new(unsafe { hook::from_raw(handle) }))
    }

    /// Detaches the thread. The record may be gone afterwards.
    ///
    /// # Errors
    ///
    /// * `EINVAL`: it is detached, or somebody joins it.
    pub(crate) fn detach(&self) -> Result<(), i32> {
        self.change(JOINABLE, DETACHED)?;
        drop(self.take_handle());
        Ok(())
    }

    /// Begins a join.
    ///
    /// # Errors
    ///
    /// * `EINVAL`: it is detached, or somebody joins it.
    pub(crate) fn begin_join(&self) -> Result<(), i32> {
        self.change(JOINABLE, JOINING)
    }

    /// Waits for the end of the fiber until `deadline`, in a join that has begun. Returns its result, or `None` if it has not ended:
    /// then the join is over. The fiber of a runtime that was shut down before it began has no result.
    pub(crate) fn join(&self, wait: impl FnOnce(&JoinHandle<Finished>) -> bool) -> Option<Option<Finished>> {
        let handle = loop {
            // SAFETY: only who joins takes it, which is the caller.
            match unsafe { self.borrow_handle() } {
                Some(handle) => break handle,
                // The creator, in `pthread_create`, is about to store it. It may be a fiber of this worker.
                None => hook::yield_now(),
            }
        };
        if !wait(&handle) {
            // Nobody else changes the state while it is `JOINING`.
            self.state.store(JOINABLE, Ordering::Release);
            return None;
        }
        let handle = self.take_handle().expect("seen above, and only the joiner takes it");
        Some(handle.join().ok())
    }

    /// The thread, which is the caller, has jumped out of its call: that is over.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn leave_call(&self) {
        self.cancel.leave_call();
        let joined = self.joins.swap(ptr::null_mut(), Ordering::SeqCst);
        // SAFETY: a thread that the caller joins is joined by nobody else, and its record is there.
        if let Some(joined) = unsafe { joined.as_ref() } {
            joined.state.store(JOINABLE, Ordering::Release);
        }
    }

    fn change(&self, from: u8, to: u8) -> Result<(), i32> {
        self.state
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst)
            .map(drop)
            .map_err(|_| EINVAL)
    }
}

/// The thread that a `pthread_t` stands for.
pub(crate) enum Target {
    /// One that is a fiber.
    Fiber(&'static Record),
    /// The calling fiber, which `pthread_create` has not made.
    Caller,
    /// One of the kernel's.
    Kernel,
}

impl Target {
    /// # Safety
    ///
    /// The thread has not ended, or may still be joined.
    pub(crate) unsafe fn of(thread: pthread_t) -> Self {
        if thread & 1 == 1 {
            // SAFETY: the caller's promise; the record lives as long.
            return Self::Fiber(unsafe { &*ptr::with_exposed_provenance(thread as usize & !1) });
        }
        if hook::on_fiber() && thread == super::identity::own_self() { Self::Caller } else { Self::Kernel }
    }

    /// Calls `f` with what is known of the thread; `None` if it is the kernel's.
    pub(crate) fn with_details<R>(&self, f: impl FnOnce(&mut Details) -> R) -> Option<R> {
        match self {
            Self::Fiber(record) => Some(f(&mut record.details())),
            Self::Caller => Some(DETAILS.with(|details| {
                f(&mut details.get_or_init(Box::default).lock().unwrap_or_else(PoisonError::into_inner))
            })),
            Self::Kernel => None,
        }
    }
}
