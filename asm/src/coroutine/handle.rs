//! The outside of a coroutine: a handle, with which its owner makes, resumes and drops it.
//!
//! The handle owns the stack, and gives it back as soon as the coroutine has ended. At the top of
//! the stack lies a `Start` (see `yielder.rs`), in which both sides find each other's contexts.
#![expect(unsafe_code, reason = "writes to the coroutine's stack and switches to it")]

use core::marker::PhantomData;
use core::mem::{self, MaybeUninit};
use core::ptr::NonNull;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, LazyLock};
use std::thread;

use super::end::Thread;
use super::panics::{self, LEFT_ALONE};
use super::yielder::{FullCall, SUSPENDED, Start, UNWIND, Unwound, Yielder, run};
use crate::context::Context;
use crate::stack::{DEFAULT_STACK_BYTES, Stack, StackError, StackPool};
use crate::switching::{prepare_linked, switch};

/// The stacks of the coroutines that were not given a pool.
///
/// It is a static, like the state of the allocator: a coroutine on its own has no runtime to keep its
/// stacks in, and the state that is shared here, unused memory, cannot be observed.
static DEFAULT_POOL: LazyLock<Arc<StackPool>> =
    LazyLock::new(|| Arc::new(StackPool::new(DEFAULT_STACK_BYTES)));

/// The pool of the coroutines that were not given one, so that its surplus can be released with `release_surplus`.
///
/// ```
/// # use abaca_asm as abaca;
/// use abaca::coroutine;
/// assert_eq!(coroutine::default_pool().stack_bytes(), coroutine::DEFAULT_STACK_BYTES);
/// ```
pub fn default_pool() -> &'static StackPool {
    &DEFAULT_POOL
}

/// The result of [`Coroutine::resume`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoroutineResult<Yield, Return> {
    /// The coroutine suspended with this value. It can be resumed.
    Yield(Yield),
    /// The coroutine ended with this value. It cannot be resumed any more.
    Return(Return),
}

impl<Yield, Return> CoroutineResult<Yield, Return> {
    /// The value that the coroutine suspended with, if it did.
    ///
    /// ```
    /// # use abaca_asm as abaca;
    /// use abaca::coroutine::CoroutineResult;
    /// assert_eq!(CoroutineResult::<u32, ()>::Yield(3).into_yield(), Some(3));
    /// assert_eq!(CoroutineResult::<u32, ()>::Return(()).into_yield(), None);
    /// ```
    pub fn into_yield(self) -> Option<Yield> {
        match self {
            Self::Yield(value) => Some(value),
            Self::Return(_) => None,
        }
    }

    /// The value that the coroutine ended with, if it did.
    ///
    /// ```
    /// # use abaca_asm as abaca;
    /// use abaca::coroutine::CoroutineResult;
    /// assert_eq!(CoroutineResult::<(), u32>::Return(3).into_return(), Some(3));
    /// assert_eq!(CoroutineResult::<(), u32>::Yield(()).into_return(), None);
    /// ```
    pub fn into_return(self) -> Option<Return> {
        match self {
            Self::Yield(_) => None,
            Self::Return(value) => Some(value),
        }
    }
}

/// A computation on a stack of its own, suspended or ended. See the [module](super) for an example.
///
/// It is neither `Send` nor `Sync`. Dropping it while it is suspended unwinds it: its destructors run. Only if its thread is
/// destroying its thread-locals, or if it is suspended in the middle of an unwinding, it is leaked instead; see [At the end of the
/// thread](super#at-the-end-of-the-thread) and [Panics and early ends](super#panics-and-early-ends).
pub struct Coroutine<Input, Yield, Return> {
    /// On the stack, so valid as long as that is there.
    yielder: NonNull<Yielder<Input, Yield>>,
    /// `None` once the coroutine has ended.
    stack: Option<Stack>,
    pool: Arc<StackPool>,
    thread: Thread,
    /// Whether the body has begun.
    started: bool,
    result: PhantomData<fn() -> Return>,
}

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
        match Self::with_pool(&DEFAULT_POOL, body) {
            Ok(coroutine) => coroutine,
            Err(error) => panic!("a coroutine needs a stack: {error}"),
        }
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
        self.thread = Thread::none();
        // SAFETY: the coroutine has not ended, since nobody has resumed it, so its yielder is on its stack.
        unsafe { self.yielder.as_ref() }.standing.set(LEFT_ALONE);
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
        // SAFETY: the caller's promise.
        match unsafe { Self::with_pool_unchecked(&DEFAULT_POOL, body) } {
            Ok(coroutine) => coroutine,
            Err(error) => panic!("a coroutine needs a stack: {error}"),
        }
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
        let align = align_of::<Start<Input, Yield, Body>>().max(16);
        let bytes = size_of::<Start<Input, Yield, Body>>() + align;
        assert!(bytes <= pool.stack_bytes() / 2, "the body of a coroutine must fit into half of its stack");
        let stack = pool.take()?;
        let top = stack.top();
        let start = top.wrapping_sub((top.addr() % align) + size_of::<Start<Input, Yield, Body>>());
        let start = start.wrapping_sub(start.addr() % align);
        // SAFETY: the stack is fresh, and half of it is left below `start`, which is a multiple of 16.
        // `run` is called with `start`, which is written below, and by `go_on` with the right words.
        let (context, resumer) =
            unsafe { prepare_linked(start, run::<Input, Yield, Return, Body>, start.cast()) };
        let start = start.cast::<Start<Input, Yield, Body>>();
        // SAFETY: `start` is aligned and inside the stack, as computed above.
        let yielder = unsafe {
            start.write(Start::new(context, resumer, body));
            NonNull::new_unchecked(&raw mut (*start).yielder)
        };
        let (pool, thread) = (Arc::clone(pool), Thread::current());
        Ok(Self { yielder, stack: Some(stack), pool, thread, started: false, result: PhantomData })
    }

    /// Runs the coroutine with `input` until it suspends or ends. The body gets the first input as its second argument; each
    /// later input is returned by its `suspend`.
    ///
    /// # Panics
    ///
    /// * If the coroutine has ended: see [`is_done`](Self::is_done).
    /// * If the thread is destroying its thread-locals, and made its first coroutine before that.
    /// * If the coroutine panics: the panic goes on here. The coroutine has ended then.
    #[inline]
    #[track_caller]
    pub fn resume(&mut self, input: Input) -> CoroutineResult<Yield, Return> {
        assert!(!self.is_done(), "a coroutine that has ended cannot be resumed");
        assert!(
            !self.thread.has_ended(),
            "a coroutine cannot be resumed by a destructor at the end of its thread"
        );
        self.started = true;
        let mut call = FullCall::new(MaybeUninit::new(input));
        if self.go_on(&mut call, 0) == SUSPENDED {
            // SAFETY: a coroutine that suspends has filled in this field.
            return CoroutineResult::Yield(unsafe { call.call.yielded.assume_init() });
        }
        self.returned(call)
    }

    /// The result of a coroutine that has just ended. A function of its own, so that `resume` is short enough to be inlined.
    #[inline(never)]
    fn returned(&mut self, call: FullCall<Input, Yield, Return>) -> CoroutineResult<Yield, Return> {
        match self.end(call).transpose().expect("a coroutine that was resumed has a result") {
            Ok(value) => CoroutineResult::Return(value),
            Err(payload) => panic::resume_unwind(payload),
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

    /// Switches to the coroutine, with an input in the call or the order [`UNWIND`]. Returns its
    /// answer, which says which field of the call it has filled in.
    #[inline]
    fn go_on(&mut self, call: &mut FullCall<Input, Yield, Return>, order: usize) -> usize {
        let word = (&raw mut *call).expose_provenance() | order;
        // SAFETY: both callers have checked that the coroutine has not ended, so its stack is there and it
        // is suspended: it does not run, since this handle is borrowed exclusively. The word is as `run`
        // demands, and the call is valid until the switch returns.
        unsafe {
            let yielder = self.yielder.as_ptr();
            if thread::panicking() {
                panics::note(&(*yielder).standing);
            }
            let context: Context = (*yielder).context.get();
            switch((*yielder).resumer.as_ptr(), context, word)
        }
    }

    /// Gives the stack back and takes the result. The coroutine has answered that it has ended.
    #[cold]
    fn end(&mut self, call: FullCall<Input, Yield, Return>) -> thread::Result<Option<Return>> {
        let stack = self.stack.take().expect("a coroutine ends once");
        self.pool.give(stack);
        // SAFETY: a coroutine that ends has filled in this field.
        unsafe { call.returned.assume_init() }
    }

    /// Whether dropping the coroutine needs an unwinding that this build cannot do.
    pub(super) fn is_stuck(&self) -> bool {
        cfg!(panic = "abort") && self.is_suspended()
    }

    /// Whether it is suspended in a destructor, in the middle of an unwinding of its own.
    fn is_unwinding(&self) -> bool {
        // SAFETY: a coroutine that has not ended has its yielder on its stack.
        !self.is_done() && unsafe { self.yielder.as_ref() }.is_unwinding.get()
    }

    /// Forgets the stack, which is not counted as lost: the pool must not unmap a stack whose destructors have not run.
    fn leak(&mut self) {
        mem::forget(self.stack.take());
    }

    /// Whether there are frames of the body on the stack.
    fn is_suspended(&self) -> bool {
        self.started && !self.is_done()
    }

    /// Unwinds the coroutine, if it has not ended: a drop without its exceptions. Calls `give_up`, whereupon the coroutine no longer
    /// has a stack, if it is suspended in a destructor of an unwinding already: a second one would abort the process.
    pub(super) fn finish(&mut self, give_up: fn(&mut Self)) {
        if self.is_unwinding() {
            give_up(self);
        } else if !self.is_done()
            && let Err(payload) = self.unwind(give_up)
            && !payload.is::<Unwound>()
        {
            // A destructor, or the body itself, has panicked meanwhile.
            panic::resume_unwind(payload);
        }
    }

    /// Orders the coroutine to unwind until it has ended. If its body catches the unwinding, it may suspend
    /// meanwhile. If a destructor suspends, the rest is up to `give_up`.
    #[cold]
    fn unwind(&mut self, give_up: fn(&mut Self)) -> thread::Result<Option<Return>> {
        let mut call = FullCall::new(MaybeUninit::uninit());
        let mut panicked = Ok(());
        while self.go_on(&mut call, UNWIND) == SUSPENDED {
            // SAFETY: a coroutine that suspends has filled in this field.
            let value = unsafe { call.call.yielded.assume_init_read() };
            // A panic here must wait: the coroutine's frames are alive, and the stack must not go before
            // they have ended.
            if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| drop(value))) {
                panicked = Err(payload);
            }
            if self.is_unwinding() {
                give_up(self);
                return panicked.map(|()| None);
            }
        }
        let returned = self.end(call);
        panicked.and(returned)
    }
}

impl<Input, Yield, Return> Drop for Coroutine<Input, Yield, Return> {
    fn drop(&mut self) {
        if self.is_stuck() || (self.is_suspended() && self.thread.is_ending()) {
            self.leak();
        } else {
            self.finish(Self::leak);
        }
    }
}

impl<Input, Yield, Return> core::fmt::Debug for Coroutine<Input, Yield, Return> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Coroutine")
            .field("started", &self.started)
            .field("done", &self.is_done())
            .finish_non_exhaustive()
    }
}
