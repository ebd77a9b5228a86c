//! The outside of a coroutine: a handle, with which its owner makes, resumes and drops it.
//!
//! The handle owns the stack, and gives it back as soon as the coroutine has ended. At the top of
//! the stack lies a `Start` (see `yielder.rs`), in which both sides find each other's contexts.
#![expect(unsafe_code, reason = "writes to the coroutine's stack and switches to it")]

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use std::panic;
use std::sync::{Arc, LazyLock};
use std::thread;

use super::end::Member;
use super::local;
use super::panics::{self, LEFT_ALONE};
use super::result::CoroutineResult;
use super::yielder::{Start, Yielder, decode, encode, run};
use crate::context::Context;
use crate::linking::{End, Word, bury, prepare_linked, resume};
use crate::stack::{DEFAULT_STACK_BYTES, Stack, StackError, StackPool};

/// The stacks of the coroutines that were not given a pool.
///
/// It is a static, like the state of the allocator: a coroutine on its own has no runtime to keep its
/// stacks in, and the state that is shared here, unused memory, cannot be observed.
pub(super) static DEFAULT_POOL: LazyLock<Arc<StackPool>> =
    LazyLock::new(|| Arc::new(StackPool::new(DEFAULT_STACK_BYTES)));

/// The pool of the coroutines that were not given one, so that its surplus can be released with `release_surplus`.
///
/// A thread keeps the stack of its last coroutine for the next one. The calling thread gives that back now, and each thread does
/// when it ends; until then the pool counts it as handed out.
///
/// ```
/// # use abaca_asm as abaca;
/// use abaca::coroutine;
/// assert_eq!(coroutine::default_pool().stack_bytes(), coroutine::DEFAULT_STACK_BYTES);
/// ```
pub fn default_pool() -> &'static StackPool {
    local::give_back();
    &DEFAULT_POOL
}

/// A computation on a stack of its own, suspended or ended. See the [module](super) for an example.
///
/// It is neither `Send` nor `Sync`. Dropping it while it is suspended unwinds it: its destructors run. Only if its thread is
/// destroying its thread-locals, or if it is suspended in the middle of an unwinding, it is leaked instead; see [At the end of the
/// thread](super#at-the-end-of-the-thread) and [Panics and early ends](super#panics-and-early-ends).
pub struct Coroutine<Input, Yield, Return> {
    /// The first field of the yielder, on the stack; [`ENDED`] once the coroutine has ended.
    pub(super) member: NonNull<Member>,
    /// `None` once the coroutine has ended.
    pub(super) stack: Option<Stack>,
    /// `None` for the default pool.
    pool: Option<Arc<StackPool>>,
    sides: PhantomData<NonNull<Yielder<Input, Yield>>>,
    result: PhantomData<fn() -> Return>,
}

/// In place of the member of a coroutine that has ended: it has no context to continue.
pub(super) struct Ended(pub(super) Member);

// SAFETY: nobody changes it: it is on no list, and a link without a context is not used for a switch.
unsafe impl Sync for Ended {}

pub(super) static ENDED: Ended = Ended(Member::new());

impl<Input: 'static, Yield: 'static, Return: 'static> Coroutine<Input, Yield, Return> {
    /// Makes a coroutine on a stack of [`DEFAULT_STACK_BYTES`] from a pool that all such coroutines share. `body` runs when
    /// it is first resumed, with that input.
    ///
    /// # Panics
    ///
    /// * If there is no stack. [`with_pool`](Self::with_pool) returns an error instead.
    /// * If `body` itself is larger than half of the stack.
    #[track_caller]
    pub fn new<Body>(body: Body) -> Self
    where
        Body: FnOnce(&Yielder<Input, Yield>, Input) -> Return + 'static,
    {
        // SAFETY: everything is 'static.
        unsafe { Self::new_unchecked(body) }
    }

    /// Makes a coroutine on a stack from `pool`. The stack goes back to the pool when the coroutine ends or is
    /// dropped.
    ///
    /// ```
    /// # use abaca_asm as abaca;
    /// use std::sync::Arc;
    /// use abaca::coroutine::{Coroutine, StackPool};
    ///
    /// let small = Arc::new(StackPool::new(16 * 1024));
    /// let mut coroutine = Coroutine::with_pool(&small, |_, number: u32| number + 1)?;
    /// assert_eq!(small.allocated(), 1);
    /// # let _: abaca::coroutine::CoroutineResult<(), u32> =
    /// coroutine.resume(1);
    /// assert_eq!(small.allocated(), 0);
    /// # Ok::<(), abaca::coroutine::StackError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`StackPool::take`]: the kernel has no memory, no address space or no mapping left.
    ///
    /// # Panics
    ///
    /// If `body` itself is larger than half of the stack.
    #[track_caller]
    pub fn with_pool<Body>(pool: &Arc<StackPool>, body: Body) -> Result<Self, StackError>
    where
        Body: FnOnce(&Yielder<Input, Yield>, Input) -> Return + 'static,
    {
        // SAFETY: everything is 'static.
        unsafe { Self::with_pool_unchecked(pool, body) }
    }
}

impl<Input, Yield, Return> Coroutine<Input, Yield, Return> {
    /// Makes the coroutine independent of its thread, on which this is called: it may then be resumed on other threads, one after
    /// the other, and outlive its own.
    ///
    /// # Safety
    ///
    /// The body keeps nothing that belongs to a thread on its stack across a suspension.
    #[doc(hidden)]
    pub unsafe fn unbind(&mut self) {
        self.member().leave();
        // SAFETY: the coroutine has not ended, since nobody has resumed it, so its yielder is on its stack.
        unsafe { self.yielder() }.standing.set(LEFT_ALONE);
    }

    /// Like `new`, without the bounds of `'static`.
    ///
    /// # Safety
    ///
    /// The coroutine is dropped before any lifetime in the four types ends; it is not forgotten.
    #[track_caller]
    pub(super) unsafe fn new_unchecked<Body>(body: Body) -> Self
    where
        Body: FnOnce(&Yielder<Input, Yield>, Input) -> Return,
    {
        assert_fits::<Start<Input, Yield, Body>>(DEFAULT_STACK_BYTES);
        let stack = local::take().unwrap_or_else(|| match DEFAULT_POOL.take() {
            Ok(stack) => stack,
            Err(error) => panic!("a coroutine needs a stack: {error}"),
        });
        // SAFETY: the caller's promise; the stack has just been taken.
        unsafe { Self::on(stack, None, body) }
    }

    /// Like `with_pool`, without the bounds of `'static`.
    ///
    /// # Safety
    ///
    /// The coroutine is dropped before any lifetime in the four types ends; it is not forgotten.
    #[track_caller]
    unsafe fn with_pool_unchecked<Body>(pool: &Arc<StackPool>, body: Body) -> Result<Self, StackError>
    where
        Body: FnOnce(&Yielder<Input, Yield>, Input) -> Return,
    {
        assert_fits::<Start<Input, Yield, Body>>(pool.stack_bytes());
        let stack = pool.take()?;
        // SAFETY: the caller's promise; the stack has just been taken.
        Ok(unsafe { Self::on(stack, Some(Arc::clone(pool)), body) })
    }

    /// Makes the coroutine on a stack that is as large as [`assert_fits`] demands.
    ///
    /// # Safety
    ///
    /// The coroutine is dropped before any lifetime in the four types ends; it is not forgotten. The stack is fresh.
    #[inline]
    unsafe fn on<Body>(stack: Stack, pool: Option<Arc<StackPool>>, body: Body) -> Self
    where
        Body: FnOnce(&Yielder<Input, Yield>, Input) -> Return,
    {
        let align = align_of::<Start<Input, Yield, Body>>();
        let start = stack.top().wrapping_sub(size_of::<Start<Input, Yield, Body>>());
        let start = start.wrapping_sub(start.addr() % align).cast::<Start<Input, Yield, Body>>();
        let member = start.cast::<Member>();
        // SAFETY: the stack is fresh, and half of it is left below `start`, which is aligned, and a multiple of 16 as the alignment
        // of a link is. `run` is called with the link of that start, and by `go_on` with the right words. The start
        // stays until the coroutine has ended, which then leaves the list, or has been forgotten with its stack.
        unsafe {
            start.write(Start::new(body));
            prepare_linked(member.cast(), run::<Input, Yield, Return, Body>);
            local::enter(member);
            Self {
                member: NonNull::new_unchecked(member),
                stack: Some(stack),
                pool,
                sides: PhantomData,
                result: PhantomData,
            }
        }
    }

    /// Runs the coroutine with `input` until it suspends or ends. The body gets the first input as its second argument; each
    /// later input is returned by its `suspend`.
    ///
    /// # Panics
    ///
    /// * If the coroutine has ended: see [`is_done`](Self::is_done).
    /// * If the thread is destroying its thread-locals, and made its first coroutine before that; or if it has ended, as the fiber that
    ///   made the coroutine can, where fibers have storage of their own.
    /// * If the coroutine panics: the panic goes on here. The coroutine has ended then.
    #[inline]
    #[track_caller]
    pub fn resume(&mut self, input: Input) -> CoroutineResult<Yield, Return> {
        if thread::panicking() {
            self.note_panics();
        }
        let mut input = ManuallyDrop::new(input);
        // SAFETY: the context is that of the coroutine, or none to be continued.
        let (word, is_suspended, end) =
            unsafe { self.go_on(self.member().link.coroutine.get(), encode(&mut input)) };
        if is_suspended {
            // SAFETY: the word of a coroutine that suspends is what it suspends with.
            return CoroutineResult::Yield(unsafe { decode(word) });
        }
        self.returned(word, end, input)
    }

    /// The result of a coroutine that has just ended. A function of its own, so that `resume` is short enough to be inlined.
    ///
    /// # Panics
    ///
    /// If the coroutine cannot be resumed, and has not taken the input.
    #[inline(never)]
    #[track_caller]
    fn returned(
        &mut self,
        word: Word,
        end: End,
        input: ManuallyDrop<Input>,
    ) -> CoroutineResult<Yield, Return> {
        if end == End::RETURNED {
            // SAFETY: the word is the result.
            let value = unsafe { decode(word) };
            // SAFETY: it has just ended.
            unsafe { self.close() };
            return CoroutineResult::Return(value);
        }
        if end == End::REFUSED {
            drop(ManuallyDrop::into_inner(input));
            assert!(!self.is_done(), "a coroutine that has ended cannot be resumed");
            panic!(
                "a coroutine cannot be resumed by a destructor at the end of its thread, nor after that (where fibers have \
                 thread-local storage of their own, its thread is the fiber that made it)"
            );
        }
        // SAFETY: it has just ended in this way.
        match unsafe { self.end(word, end) } {
            Ok(_) => unreachable!("a coroutine that was resumed has a result"),
            Err(payload) => panic::resume_unwind(payload),
        }
    }

    /// Stores how many panics are under way on the thread, before a resumption.
    #[cold]
    #[inline(never)]
    pub(super) fn note_panics(&self) {
        if !self.is_done() {
            // SAFETY: it has not ended.
            panics::note(unsafe { &self.yielder().standing });
        }
    }

    /// Whether the coroutine has ended, by returning or by a panic.
    ///
    /// ```
    /// # use abaca_asm as abaca;
    /// use abaca::coroutine::Coroutine;
    ///
    /// let mut once = Coroutine::<(), (), ()>::new(|yielder, ()| yielder.suspend(()));
    /// once.resume(());
    /// assert!(!once.is_done());
    /// once.resume(());
    /// assert!(once.is_done());
    /// ```
    #[inline]
    pub fn is_done(&self) -> bool {
        self.stack.is_none()
    }

    /// What the handle and the stack have in common.
    #[inline(always)]
    pub(super) fn member(&self) -> &Member {
        // SAFETY: it is a static, or the first field of the yielder of a coroutine that has not ended, whose stack is there.
        unsafe { self.member.as_ref() }
    }

    /// # Safety
    ///
    /// The coroutine has not ended.
    #[inline(always)]
    pub(super) unsafe fn yielder(&self) -> &Yielder<Input, Yield> {
        // SAFETY: the stack is there, and the member is the yielder's first field.
        unsafe { self.member.cast().as_ref() }
    }

    /// Switches to the coroutine with an input. Returns its answer, and whether it is suspended.
    ///
    /// # Safety
    ///
    /// `context` is that of its link, and the word an input.
    #[inline(always)]
    unsafe fn go_on(&mut self, context: Context, word: Word) -> (Word, bool, End) {
        // SAFETY: the caller's promise. It does not run, since this handle is borrowed exclusively.
        unsafe { resume(self.member.as_ptr().cast(), context, word) }
    }

    /// Takes the result and gives the stack back. There is no result if the coroutine was dropped before it began.
    ///
    /// # Safety
    ///
    /// The coroutine has just ended in this way.
    #[inline]
    pub(super) unsafe fn end(&mut self, word: Word, end: End) -> thread::Result<Option<Return>> {
        // SAFETY: the word is of the type that goes with the end.
        let result = unsafe {
            match end {
                End::RETURNED => Ok(Some(decode(word))),
                End::PANICKED => Err(decode(word)),
                _ => Ok(None),
            }
        };
        // SAFETY: the caller's promise.
        unsafe { self.close() };
        result
    }

    /// Gives the stack back.
    ///
    /// # Safety
    ///
    /// The coroutine has just ended, and its last word was read.
    #[inline]
    unsafe fn close(&mut self) {
        // SAFETY: the caller's promise.
        unsafe { bury(self.member.as_ptr().cast()) };
        self.member().leave();
        self.member = NonNull::from(&ENDED.0);
        let stack = self.stack.take().expect("a coroutine ends once");
        match &self.pool {
            None => local::put(stack),
            Some(pool) => pool.give(stack),
        }
    }
}

impl<Input, Yield, Return> core::fmt::Debug for Coroutine<Input, Yield, Return> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Coroutine")
            .field("started", &(self.is_done() || self.is_suspended()))
            .field("done", &self.is_done())
            .finish_non_exhaustive()
    }
}

/// # Panics
///
/// If the record takes more than half of a stack.
#[inline(always)]
#[track_caller]
fn assert_fits<Start>(stack_bytes: usize) {
    let bytes = size_of::<Start>() + align_of::<Start>();
    assert!(bytes <= stack_bytes / 2, "the body of a coroutine must fit into half of its stack");
}
