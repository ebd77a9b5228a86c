//! The cell: one heap allocation that holds a fiber's header and first its closure, then its result.
//!
//! ```text
//!   Cell<F, T>   +--------------------------------+
//!                | Header                         |  the scheduler's part
//!                +--------------------------------+
//!                | phase                          |  tells what the payload is
//!                | payload: F, later Result<T>    |
//!                +--------------------------------+
//! ```

#![expect(unsafe_code, reason = "a union of closure and result, reached through an erased pointer")]

use std::alloc::Layout;
use std::any::Any;
use std::cell::{Cell as StdCell, UnsafeCell};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::ptr::NonNull;
use std::thread;

use super::header::VTable;
use super::magazine::{Magazines, Size, Supply};
use super::{Cancelled, Fiber, Flags, Header};

/// The content of a cell's payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Closure,
    /// The content is being run, dropped or taken, or was: there is nothing to drop.
    Empty,
    Result,
}

union Payload<F, T> {
    closure: ManuallyDrop<F>,
    result: ManuallyDrop<thread::Result<T>>,
}

#[repr(C)]
struct FiberCell<F, T> {
    header: Header,
    phase: StdCell<Phase>,
    payload: UnsafeCell<Payload<F, T>>,
}

impl<F: FnOnce() -> T, T> FiberCell<F, T> {
    const VTABLE: VTable = VTable {
        run: Self::run,
        abort_unstarted: Self::abort_unstarted,
        take: Self::take,
        clear: Self::clear,
        is_clear: Self::is_clear,
        size: Self::SIZE,
    };
    const SIZE: Size = Size::of(Layout::new::<Self>());

    unsafe fn run(this: NonNull<Header>) {
        let this = this.cast::<Self>();
        // SAFETY: the vtable belongs to cells of this type; the worker that runs a fiber is the cell's only user.
        let cell = unsafe { this.as_ref() };
        assert_eq!(cell.phase.replace(Phase::Empty), Phase::Closure, "a fiber starts once");
        // SAFETY: the phase said that the payload is the closure, and now says that it is empty.
        let closure = unsafe { ManuallyDrop::take(&mut (*cell.payload.get()).closure) };
        let mut result = catch_unwind(AssertUnwindSafe(closure));
        if let Err(payload) = &mut result {
            Cancelled::end_unwinding(&mut **payload);
        }
        cell.store(result);
    }

    unsafe fn abort_unstarted(this: NonNull<Header>, payload: Box<dyn Any + Send>) {
        // SAFETY: as in `run`; a fiber that is aborted is in no queue any more.
        let cell = unsafe { this.cast::<Self>().as_ref() };
        assert_eq!(cell.phase.replace(Phase::Empty), Phase::Closure, "a fiber that started is not aborted");
        // SAFETY: as in `run`.
        let closure = unsafe { ManuallyDrop::take(&mut (*cell.payload.get()).closure) };
        let result = match catch_unwind(AssertUnwindSafe(|| drop(closure))) {
            Ok(()) => payload,
            Err(mut panic) => {
                Cancelled::end_unwinding(&mut *panic);
                panic
            }
        };
        cell.store(Err(result));
    }

    unsafe fn take(this: NonNull<Header>, into: *mut ()) {
        // SAFETY: as in `run`; the join protocol made the caller the cell's only user.
        let cell = unsafe { this.cast::<Self>().as_ref() };
        assert_eq!(cell.phase.replace(Phase::Empty), Phase::Result, "a result is taken once, after the end");
        // SAFETY: the phase said that the payload is the result.
        let result = unsafe { ManuallyDrop::take(&mut (*cell.payload.get()).result) };
        // SAFETY: `take_result` passes the address of an uninitialized result of this type.
        unsafe { into.cast::<thread::Result<T>>().write(result) };
    }

    unsafe fn clear(this: NonNull<Header>) {
        // SAFETY: as in `take`.
        let cell = unsafe { this.cast::<Self>().as_ref() };
        let payload = cell.payload.get();
        match cell.phase.replace(Phase::Empty) {
            // SAFETY: the phase said what the payload is, and now says that it is empty.
            Phase::Closure => drop(unsafe { ManuallyDrop::take(&mut (*payload).closure) }),
            // SAFETY: as above.
            Phase::Result => drop(unsafe { ManuallyDrop::take(&mut (*payload).result) }),
            Phase::Empty => {}
        }
    }

    unsafe fn is_clear(this: NonNull<Header>) -> bool {
        // SAFETY: as in `take`.
        unsafe { this.cast::<Self>().as_ref() }.phase.get() == Phase::Empty
    }
}

impl<F, T> FiberCell<F, T> {
    #[inline]
    fn store(&self, result: thread::Result<T>) {
        // SAFETY: the payload is empty, and nothing reads it before the join word says that the fiber has ended.
        unsafe { (*self.payload.get()).result = ManuallyDrop::new(result) };
        self.phase.set(Phase::Result);
    }
}

/// Allocates the cell of an unstarted fiber that will run `closure`, and that the caller has spawned. `runtime` is the shared state of its runtime;
/// `stack_bytes` is the size of its stack, where 0 is the runtime's default. The cell's memory comes from `supply`.
#[inline]
#[track_caller]
pub(crate) fn allocate<F: FnOnce() -> T, T>(
    closure: F,
    flags: Flags,
    stack_bytes: u32,
    identity: Option<Fiber>,
    runtime: *const (),
    supply: Supply<'_>,
) -> NonNull<Header> {
    let memory = supply.obtain(FiberCell::<F, T>::SIZE);
    let site = Location::caller();
    // SAFETY: the memory was obtained for this type, and nothing else knows it.
    unsafe { fill(memory, closure, flags, (stack_bytes, identity), runtime, site) }
}

/// [`allocate`], of a fiber that `site` has spawned; `None` if there is no memory for it.
#[cfg(feature = "own-tls")]
pub(crate) fn try_allocate<F: FnOnce() -> T, T>(
    closure: F,
    settings: (u32, Option<Fiber>),
    runtime: *const (),
    supply: Supply<'_>,
    site: &'static Location<'static>,
) -> Option<NonNull<Header>> {
    let memory = supply.try_obtain(FiberCell::<F, T>::SIZE)?;
    // SAFETY: as above.
    Some(unsafe { fill(memory, closure, Flags::default(), settings, runtime, site) })
}

/// Makes a cell in `memory`.
///
/// # Safety
///
/// The memory was obtained for this type, and nothing else knows it.
#[inline]
unsafe fn fill<F: FnOnce() -> T, T>(
    memory: NonNull<u8>,
    closure: F,
    flags: Flags,
    (stack_bytes, identity): (u32, Option<Fiber>),
    runtime: *const (),
    site: &'static Location<'static>,
) -> NonNull<Header> {
    let cell = memory.cast::<FiberCell<F, T>>();
    let content = FiberCell {
        header: Header::new(&FiberCell::<F, T>::VTABLE, flags, stack_bytes, identity, runtime, site),
        phase: StdCell::new(Phase::Closure),
        payload: UnsafeCell::new(Payload { closure: ManuallyDrop::new(closure) }),
    };
    // SAFETY: the caller's promise.
    unsafe { cell.write(content) };
    let header = cell.cast::<Header>();
    // SAFETY: nothing else knows the cell yet.
    if let Some(identity) = unsafe { header.as_ref() }.peek_identity() {
        identity.attach(header);
        if !identity.labels().is_empty() {
            // SAFETY: as above.
            unsafe { header.as_ref() }.set_flag(Flags::LABELLED);
        }
    }
    header
}

/// Takes the result of a fiber that has ended, and frees its cell, into the magazines of the calling thread's worker if there is one.
///
/// # Safety
///
/// The cell was allocated for a closure that returns `T`, and the join protocol made it the caller's.
#[inline]
pub(crate) unsafe fn take_result<T>(
    this: NonNull<Header>,
    magazines: Option<&Magazines>,
) -> thread::Result<T> {
    let mut result = MaybeUninit::<thread::Result<T>>::uninit();
    // SAFETY: the cell lives until `free` below.
    let vtable = unsafe { this.as_ref() }.vtable;
    // SAFETY: the caller's promise; `result` has the type that the cell writes.
    unsafe { (vtable.take)(this, result.as_mut_ptr().cast()) };
    // SAFETY: the caller owns the cell and does not use it again; the payload is empty.
    unsafe { Header::free(this, magazines) };
    // SAFETY: `take` has written the result.
    unsafe { result.assume_init() }
}
