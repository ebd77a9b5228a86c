//! A supply of stacks of one size. Slabs are mapped as they are needed, and stacks that are given back are handed
//! out again, last in first out, since the pages of the stack that was used last are in the cache.
//!
//! # When the memory is unmapped
//!
//! A handle gives access to its slab without a lock, so a slab may only be unmapped when no handle is left, or when the pool
//! has them all (see `surplus.rs`). Dropping the pool therefore counts the handles that were handed out, less those that were
//! given back, less those that were dropped. If that is zero, everything is unmapped. If not, some handle may still be used, or
//! was forgotten while a fiber was suspended on its stack, and the pool leaks its slabs: an unmapped stack under a living
//! reference would be worse.
#![expect(unsafe_code, reason = "frees slabs that handles point to")]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::{self, ManuallyDrop};
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::error::StackError;
use super::fixture::Fixture;
use super::guard::Guard;
use super::registry;
use super::slab::{Shape, Slab, Stack};
use crate::lock::Lock;

/// The stacks of a pool's first slab. Each later slab has twice as many, up to [`Slab::MOST`].
pub(super) const FIRST_SLAB: usize = 64;

/// The fewest guards that are installed at once. Later batches grow up to [`Guard::BATCH`].
const FIRST_BATCH: usize = 8;

/// Stacks of one size, shared by all threads.
///
/// # Example
///
/// ```
/// use abaca_asm::stack::StackPool;
///
/// let pool = StackPool::new(256 * 1024);
/// let stack = pool.take()?;
/// assert_eq!(stack.top().addr() % 16, 0);
/// assert_eq!(pool.allocated(), 1);
/// pool.give(stack);
/// assert_eq!(pool.allocated(), 0);
/// # Ok::<(), abaca_asm::stack::StackError>(())
/// ```
pub struct StackPool {
    /// In a box, since a slab identifies its pool by this address. Freed by `drop`, unless handles are
    /// left.
    pub(super) shared: ManuallyDrop<Box<Shared>>,
}

pub(super) struct Shared {
    shape: Shape,
    fixture: Option<Fixture>,
    pub(super) state: Lock<State>,
}

pub(super) struct State {
    guard: Guard,
    /// Each came from `Box::into_raw`. The last one may have stacks that were never handed out.
    pub(super) slabs: Vec<NonNull<Slab>>,
    /// The stacks of the last slab from this index on were never handed out.
    pub(super) fresh: usize,
    /// The stacks of the last slab below this index have their guards; at least `fresh`.
    pub(super) guarded: usize,
    /// The stacks that were given back, last in first out. Room for all stacks is reserved when a slab is mapped.
    pub(super) free: Vec<Stack>,
    /// The stacks that were given back and have no page any more; see `surplus.rs`. Room is reserved as for `free`.
    pub(super) bare: Vec<Stack>,
    /// The least length of `free` in this period.
    pub(super) least_free: usize,
    /// The stacks that lay in `free` for a whole period, and are about to lose their pages. Room is reserved as for `free`.
    pub(super) surplus: Vec<Stack>,
    /// Slabs that are no longer part of the pool and will be unmapped.
    pub(super) retired: Vec<NonNull<Slab>>,
    /// The stacks in all slabs.
    pub(super) total: usize,
    /// The handles that were handed out and not given back, including those that were dropped.
    pub(super) taken: usize,
}

// SAFETY: the pointers in `slabs` are owned; a slab can be sent and shared, as argued for `Stack`.
unsafe impl Send for State {}

impl StackPool {
    /// A pool of stacks with `stack_bytes` usable bytes each, rounded up to whole pages; the least is one page.
    /// The guard is extra.
    ///
    /// Nothing is mapped before the first stack is taken.
    pub fn new(stack_bytes: usize) -> Self {
        Self::with_guard(stack_bytes, Guard::DEFAULT)
    }

    /// Like [`new`](Self::new), with the given way of guarding stacks. Without a special reason, such as a test, let `new`
    /// choose.
    ///
    /// ```
    /// use abaca_asm::stack::{Guard, StackPool};
    ///
    /// let pool = StackPool::with_guard(64 * 1024, Guard::Mprotect);
    /// assert_eq!(pool.guard(), Guard::Mprotect);
    /// ```
    pub fn with_guard(stack_bytes: usize, guard: Guard) -> Self {
        Self::build(stack_bytes, guard, None)
    }

    /// Like [`new`](Self::new), for stacks whose owner makes a [`Fixture`] at the top of each. Its size is rounded up to whole pages
    /// that cannot be released, and is part of the `stack_bytes`.
    ///
    /// # Safety
    ///
    /// What anybody stores in the [word](Stack::fixture) of a stack of this pool is null, or may be given to [`Fixture::remove`] when nobody
    /// uses the stack any more.
    ///
    /// ```
    /// use std::ptr::NonNull;
    /// use std::sync::atomic::Ordering;
    ///
    /// use abaca_asm::stack::{Fixture, StackPool};
    ///
    /// /// Nothing has to be freed: the fixture is a number in the stack's memory.
    /// unsafe fn remove(_number: NonNull<()>) {}
    ///
    /// // SAFETY: `remove` does nothing.
    /// let pool = unsafe { StackPool::with_fixtures(64 * 1024, Fixture { bytes: 16, remove }) };
    /// let stack = pool.take()?;
    /// let word = stack.fixture().expect("the pool has fixtures");
    /// assert!(word.load(Ordering::Acquire).is_null());
    /// let number = stack.top().wrapping_sub(16).cast::<u64>();
    /// // SAFETY: nobody else uses the stack.
    /// unsafe { number.write(42) };
    /// word.store(number.cast(), Ordering::Release);
    /// pool.give(stack);
    ///
    /// let again = pool.take()?;
    /// assert_eq!(again.fixture().unwrap().load(Ordering::Acquire), number.cast());
    /// # pool.give(again);
    /// # Ok::<(), abaca_asm::stack::StackError>(())
    /// ```
    pub unsafe fn with_fixtures(stack_bytes: usize, fixture: Fixture) -> Self {
        Self::build(stack_bytes, Guard::DEFAULT, Some(fixture))
    }

    fn build(stack_bytes: usize, guard: Guard, fixture: Option<Fixture>) -> Self {
        let state = State {
            guard,
            slabs: Vec::new(),
            fresh: 0,
            guarded: 0,
            free: Vec::new(),
            bare: Vec::new(),
            least_free: 0,
            surplus: Vec::new(),
            retired: Vec::new(),
            total: 0,
            taken: 0,
        };
        let shape = Shape::for_stack(stack_bytes);
        let shape = fixture.map_or(shape, |fixture| shape.with_fixture(fixture.bytes));
        Self { shared: ManuallyDrop::new(Box::new(Shared { shape, fixture, state: Lock::new(state) })) }
    }

    /// Takes the stack that was given back last, or a fresh one.
    ///
    /// # Errors
    ///
    /// * The kernel has no memory, no address space or no mapping left. The error names the limit to raise.
    pub fn take(&self) -> Result<Stack, StackError> {
        let mut state = self.shared.state.lock();
        let stack = self.next(&mut state)?;
        state.taken += 1;
        Ok(stack)
    }

    /// Takes up to `count` stacks, at little more than the cost of one, and appends them to `into`.
    ///
    /// ```
    /// let pool = abaca_asm::stack::StackPool::new(64 * 1024);
    /// let mut stacks = Vec::new();
    /// pool.take_many(10, &mut stacks)?;
    /// assert!((1..=10).contains(&stacks.len()));
    /// pool.give_many(stacks.drain(..));
    /// # Ok::<(), abaca_asm::stack::StackError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// * As [`take`](Self::take), if there is not even one stack. If there are some but not `count`, that is no error.
    pub fn take_many(&self, count: usize, into: &mut Vec<Stack>) -> Result<(), StackError> {
        let mut state = self.shared.state.lock();
        for already in 0..count {
            match self.next(&mut state) {
                Ok(stack) => into.push(stack),
                Err(_) if already > 0 => break,
                Err(error) => return Err(error),
            }
            state.taken += 1;
        }
        Ok(())
    }

    /// Takes a stack back. It is the next to be handed out.
    ///
    /// # Panics
    ///
    /// If the stack is from another pool.
    #[track_caller]
    pub fn give(&self, stack: Stack) {
        self.give_many(core::iter::once(stack));
    }

    /// Takes several stacks back, at little more than the cost of one. The last one is the next to be handed
    /// out.
    ///
    /// The pool is locked while `stacks` is drained. The iterator must not use the pool itself, or the thread waits
    /// forever.
    ///
    /// # Panics
    ///
    /// If a stack is from another pool. Those before it are given back.
    #[track_caller]
    pub fn give_many(&self, stacks: impl Iterator<Item = Stack>) {
        let mut state = self.shared.state.lock();
        for stack in stacks {
            assert!(core::ptr::eq(stack.pool(), self.id()), "the stack belongs to another pool");
            // Relaxed: the next taker gets the stack through the lock.
            stack.owner().store(core::ptr::null_mut(), Ordering::Relaxed);
            state.free.push(stack);
            state.taken -= 1;
        }
    }

    /// The usable bytes of each stack. Up to 448 of them lie above its [`top`](Stack::top).
    pub fn stack_bytes(&self) -> usize {
        self.shared.shape.usable_bytes
    }

    /// How many stacks are handed out, including those that were dropped instead of given back.
    pub fn allocated(&self) -> usize {
        self.shared.state.lock().taken
    }

    /// The way in which the stacks are guarded. It may change until the first stack has been taken.
    pub fn guard(&self) -> Guard {
        self.shared.state.lock().guard
    }

    fn id(&self) -> *const () {
        (&raw const **self.shared).cast()
    }

    fn next(&self, state: &mut State) -> Result<Stack, StackError> {
        match state.free.pop() {
            Some(stack) => {
                state.least_free = state.least_free.min(state.free.len());
                #[cfg(abaca_valgrind)]
                stack.renew();
                Ok(stack)
            }
            None => self.next_unused(state),
        }
    }

    #[cold]
    fn next_unused(&self, state: &mut State) -> Result<Stack, StackError> {
        let stack = if let Some(stack) = state.surplus.pop() {
            stack
        } else if let Some(stack) = state.bare.pop() {
            // SAFETY: slabs stay while a handle of theirs is left.
            unsafe { stack.home().as_ref() }.count_bare(-1);
            stack
        } else {
            return self.next_fresh(state);
        };
        #[cfg(abaca_valgrind)]
        stack.renew();
        Ok(stack)
    }

    #[cold]
    fn next_fresh(&self, state: &mut State) -> Result<Stack, StackError> {
        let slab = match state.slabs.last() {
            // SAFETY: slabs on the list are mapped.
            Some(&slab) if state.fresh < unsafe { slab.as_ref() }.count() => slab,
            _ => self.grow(state)?,
        };
        if state.fresh == state.guarded {
            // SAFETY: as above.
            let slab = unsafe { slab.as_ref() };
            let count = (state.total - slab.count() + state.guarded).clamp(FIRST_BATCH, Guard::BATCH);
            let count = count.min(slab.count() - state.guarded);
            let Shape { stride_bytes, guard_bytes, .. } = self.shared.shape;
            let first = slab.lowest(state.guarded);
            // SAFETY: these are the lowest bytes of stacks that were never handed out.
            state.guarded += unsafe { state.guard.install(first, stride_bytes, guard_bytes, count) }?;
        }
        state.fresh += 1;
        // SAFETY: it is guarded and was never handed out before. `drop` below keeps the slab while a handle
        // is left.
        Ok(unsafe { Stack::new(slab, state.fresh - 1) })
    }

    /// Maps the next slab: as many stacks as there are, or far fewer if there is no room for that, since others want addresses as well.
    fn grow(&self, state: &mut State) -> Result<NonNull<Slab>, StackError> {
        let mut count = state.total.clamp(FIRST_SLAB, Slab::MOST);
        let slab = loop {
            match Slab::map(self.shared.shape, count, self.id(), self.shared.fixture) {
                Ok(slab) => break slab,
                Err(_) if count > 1 => count = (count / 8).max(1),
                Err(error) => return Err(error),
            }
        };
        let no_memory =
            |_| StackError::new("allocation", (state.total + count) * size_of::<Stack>(), libc::ENOMEM);
        state.free.try_reserve(state.total + count).map_err(no_memory)?;
        state.surplus.try_reserve(state.total + count).map_err(no_memory)?;
        state.bare.try_reserve(state.total + count).map_err(no_memory)?;
        state.slabs.try_reserve(1).map_err(no_memory)?;
        let slab = NonNull::from(Box::leak(slab));
        // SAFETY: it stays in its box.
        unsafe { registry::enter(slab) };
        state.slabs.push(slab);
        state.total += count;
        (state.fresh, state.guarded) = (0, 0);
        Ok(slab)
    }
}

impl Drop for StackPool {
    fn drop(&mut self) {
        let state = self.shared.state.get_mut();
        // The pool's own handles do not use a stack: they must not count as lost.
        state.free.drain(..).chain(state.surplus.drain(..)).chain(state.bare.drain(..)).for_each(mem::forget);
        for slab in state.retired.drain(..) {
            // SAFETY: it came from `Box::leak`, and no handle of its stacks was left when it was retired.
            drop(unsafe { Box::from_raw(slab.as_ptr()) });
        }
        // SAFETY: slabs stay until they are dropped below.
        let lost: usize = state.slabs.iter().map(|slab| unsafe { slab.as_ref() }.lost()).sum();
        if state.taken != lost {
            // Some handle is left. The state stays with the slabs: its address must not become that of
            // another pool, to which the handle could then be given.
            return;
        }
        for slab in state.slabs.drain(..) {
            // SAFETY: it came from `Box::leak`, and the count says that no handle is left.
            drop(unsafe { Box::from_raw(slab.as_ptr()) });
        }
        // SAFETY: nothing uses it after this.
        unsafe { ManuallyDrop::drop(&mut self.shared) };
    }
}

impl core::fmt::Debug for StackPool {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let state = self.shared.state.lock();
        out.debug_struct("StackPool")
            .field("stack_bytes", &self.shared.shape.usable_bytes)
            .field("guard", &state.guard)
            .field("allocated", &state.taken)
            .field("total", &state.total)
            .finish()
    }
}
