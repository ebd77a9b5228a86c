//! The switch for every architecture that has none written by hand: the same interface on top of corosensei's
//! coroutines.
//!
//! corosensei's coroutines are asymmetric: they can only go back to their resumer. [`switch`] is
//! symmetric: any context can go to any other. So a thread has a *hub*, and every fiber is a coroutine that
//! the hub resumes:
//!
//! 1. A `switch` from the thread's own stack (the *root*) becomes the hub: its context is a [`Root`] in its
//!    own frame, and it loops, resuming one fiber after the other.
//! 2. A `switch` on a fiber suspends to the hub and names the context to continue next. A fiber that ends
//!    does the same by its return value.
//! 3. If the context to continue is the hub's own root, the loop ends and the `switch` of step 1 returns.
//!
//! Each thread knows which fiber runs on it, and only the hub changes that. A fiber that is suspended on
//! one thread may be resumed by the hub of another; a root is continued by its own thread alone, since its
//! frames are the thread's.
//!
//! Two things differ from the backends that are written by hand: a switch costs two switches and a look at a thread-local
//! variable, and a backtrace goes on from every fiber into the hub.
#![expect(unsafe_code, reason = "contexts are addresses, and stacks are borrowed by address")]

#[cfg(any(abaca_asan, abaca_tsan))]
compile_error!("the sanitizers know the hand-written switches only, not corosensei's");

use core::cell::Cell;
use core::mem::MaybeUninit;
use core::num::NonZeroUsize;
use core::ptr::NonNull;

use corosensei::stack::{self, StackPointer};
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::context::{Context, Entry, Exit, Saved};

/// A stack that the caller of `prepare` owns: corosensei may run on it and never frees it.
struct BorrowedStack {
    base: StackPointer,
}

// SAFETY: `base` is a multiple of the alignment, and by the contract of `prepare` a stack with a guard lies
// below it. It may be larger than the limit says, but corosensei uses the limit only for its trap handlers,
// which are not used here.
unsafe impl stack::Stack for BorrowedStack {
    fn base(&self) -> StackPointer {
        self.base
    }

    fn limit(&self) -> StackPointer {
        NonZeroUsize::new(self.base.get() - stack::MIN_STACK_SIZE).expect("no stack lies at address 0")
    }
}

/// The kind of thing that a context points to. The first field of [`Root`] and of [`Fiber`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Kind {
    Root,
    Fiber,
}

/// A thread's own stack while its hub runs. Lives in the hub's frame.
#[repr(C)]
struct Root {
    kind: Kind,
}

/// A fiber, at the top of its stack.
#[repr(C)]
struct Fiber {
    kind: Kind,
    /// Dropped when the fiber has ended. A fiber that is abandoned while suspended is forgotten with its
    /// stack.
    coroutine: MaybeUninit<Coroutine<usize, Exit, Exit, BorrowedStack>>,
    /// The way to the hub. Set when the fiber starts.
    yielder: Cell<*const Yielder<usize, Exit>>,
}

std::thread_local! {
    /// The fiber that runs on this thread; null on the root. Only `run_hub` sets it.
    static CURRENT: Cell<*const Fiber> = const { Cell::new(core::ptr::null()) };
}

/// The fiber that the caller runs on. Out of line: after a switch the caller may be on another thread, and
/// the compiler must not keep an address of the last one's thread-local variable.
#[inline(never)]
fn current() -> *const Fiber {
    CURRENT.get()
}

/// The contexts of this backend are handles, in which nothing is found.
pub(crate) const SAVED: Saved = Saved { program_counter: 0, frame_pointer: 0, bytes: 0 };

/// Saves the caller into `*save` and continues `to`. See [`crate::switch`] for the contract.
#[inline]
pub(crate) unsafe fn switch(save: *mut Context, to: Context, word: usize) -> usize {
    match NonNull::new(current().cast_mut()) {
        None => {
            let root = Root { kind: Kind::Root };
            // SAFETY: the caller's promise about `save` and `to`; nothing has run since.
            unsafe {
                save.write(Context(NonNull::from(&root).cast()));
                run_hub(&root, to, word)
            }
        }
        Some(fiber) => {
            // SAFETY: the current fiber runs, so it is there and has stored its yielder. The hub has its coroutine as `&mut` meanwhile, so
            // no reference is made to the whole.
            let yielder = unsafe { &*(&(*fiber.as_ptr()).yielder).get() };
            // SAFETY: the caller's promise. Nobody can continue us before the hub does, and it does so only
            // after the line below has suspended us.
            unsafe { save.write(Context(fiber.cast())) };
            yielder.suspend(Exit { to, word })
        }
    }
}

/// Resumes fibers, beginning with `to`, until one of them continues `root`. Returns the word for it.
///
/// # Safety
///
/// `to`, and each context that a fiber names, is suspended and continued by nobody else.
#[inline(never)]
unsafe fn run_hub(root: &Root, mut to: Context, mut word: usize) -> usize {
    while to.0 != NonNull::from(root).cast() {
        let fiber = to.0.cast::<Fiber>();
        // SAFETY: a context points to a root or to a fiber, which both begin with their kind.
        let kind = unsafe { to.0.cast::<Kind>().read() };
        assert_eq!(kind, Kind::Fiber, "the stack of a thread can be continued by that thread only");
        CURRENT.set(fiber.as_ptr());
        // SAFETY: it is a fiber, which is suspended, so nobody uses its coroutine; `prepare` has written
        // that.
        let result = unsafe { (*fiber.as_ptr()).coroutine.assume_init_mut() }.resume(word);
        CURRENT.set(core::ptr::null());
        let exit = match result {
            CoroutineResult::Yield(exit) => exit,
            CoroutineResult::Return(exit) => {
                // SAFETY: it has ended, so this is its last use.
                unsafe { (*fiber.as_ptr()).coroutine.assume_init_drop() };
                exit
            }
        };
        (to, word) = (exit.to, exit.word);
    }
    word
}

/// Makes a context that calls `entry`. See [`crate::prepare`] for the contract.
pub(crate) unsafe fn prepare(top: *mut u8, entry: Entry, argument: *mut ()) -> Context {
    const ROOM: usize = size_of::<Fiber>().next_multiple_of(stack::STACK_ALIGNMENT);
    debug_assert!(top.addr().is_multiple_of(16), "the top of a stack is a multiple of 16");
    // SAFETY: the caller promises a page below `top`, and a fiber is much smaller.
    let fiber = unsafe { NonNull::new_unchecked(top).sub(ROOM) }.cast::<Fiber>();
    let base = StackPointer::new(fiber.addr().get()).expect("no stack lies at address 0");
    let body = move |yielder: &Yielder<usize, Exit>, word: usize| {
        // SAFETY: the fiber runs, so it is there; see `switch`.
        unsafe { &(*fiber.as_ptr()).yielder }.set(yielder);
        // SAFETY: the contract of `crate::prepare`: the entry function is safe to call once with its
        // argument.
        unsafe { entry(word, argument) }
    };
    // SAFETY: nothing that is sent back and forth has a lifetime; the argument's is the caller's affair.
    let coroutine = unsafe { Coroutine::with_stack_unchecked(BorrowedStack { base }, body) };
    let yielder = Cell::new(core::ptr::null());
    // SAFETY: the place is in the page that the caller promised, and aligned as `STACK_ALIGNMENT` is at
    // least.
    unsafe {
        fiber.write(Fiber { kind: Kind::Fiber, coroutine: MaybeUninit::new(coroutine), yielder });
    }
    Context(fiber.cast())
}

const _: () = assert!(align_of::<Fiber>() <= stack::STACK_ALIGNMENT);
