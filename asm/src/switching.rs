//! The public functions that change stacks, with their contracts. Their code is in `arch`, and for the sanitizers'
//! builds in `sanitizer`.
#![expect(unsafe_code, reason = "switching stacks cannot be checked by the compiler")]

#[cfg(not(any(abaca_asan, abaca_tsan)))]
use crate::arch as backend;
use crate::arch::own_storage;
use crate::context::{Context, Entry};
#[cfg(any(abaca_asan, abaca_tsan))]
use crate::sanitizer as backend;

/// The bytes below the top of a stack that a backend may write to when it prepares the stack.
#[cfg(abaca_valgrind)]
const LEAST_BYTES: usize = 1024;

/// Suspends the caller, continues `to`, and returns when the context that was saved in `*save` is continued.
///
/// `word` is passed to the continued computation: its `switch` returns it, or its [`Entry`] function gets it as the first
/// argument. The returned word comes from the computation that continues the caller.
///
/// The caller's context is written to `*save` before anything of `to` runs, but after all of the caller's
/// frames are quiescent: code that runs on the other side of the switch may hand the saved context to
/// another thread.
///
/// The function is always inlined and compiles to neither `call` nor `ret`.
///
/// # Safety
///
/// * `save` is valid for writing, and stays so until the switch has happened.
/// * `to` came from [`prepare`] or was saved by `switch`, has not been continued since, and the stack it
///   lies on is still there. Nobody else continues it at the same time.
/// * A computation that is continued on another thread than the one it was suspended on must be fit for
///   that: everything on its stack may be used from the new thread, and no address of a thread-local
///   variable is kept over the switch.
/// * No reference that the compiler believes to be exclusive to the caller is used by the other side.
///
/// # Example
///
/// ```
/// use abaca_asm::{Context, Exit, prepare, stack::StackPool, switch};
///
/// struct Pair {
///     caller: Context,
///     fiber: Context,
/// }
///
/// /// Adds one to each word it is sent, until it is sent 0.
/// unsafe extern "C" fn add_one(mut word: usize, pair: *mut ()) -> Exit {
///     let pair = pair.cast::<Pair>();
///     // SAFETY: the pair outlives the fiber, and the caller's context is saved by each switch to the fiber.
///     unsafe {
///         while word != 0 {
///             word = switch(&raw mut (*pair).fiber, (*pair).caller, word + 1);
///         }
///         Exit { to: (*pair).caller, word: 0 }
///     }
/// }
///
/// let pool = StackPool::new(64 * 1024);
/// let stack = pool.take()?;
/// let mut pair = Pair { caller: Context::dangling(), fiber: Context::dangling() };
/// let pair = &raw mut pair;
/// // SAFETY: the stack is fresh and outlives the fiber, each context is continued once, all on this thread.
/// unsafe {
///     (*pair).fiber = prepare(stack.top(), add_one, pair.cast());
///     assert_eq!(switch(&raw mut (*pair).caller, (*pair).fiber, 41), 42);
///     assert_eq!(switch(&raw mut (*pair).caller, (*pair).fiber, 6), 7);
///     assert_eq!(switch(&raw mut (*pair).caller, (*pair).fiber, 0), 0);
/// }
/// pool.give(stack);
/// # Ok::<(), abaca_asm::stack::StackError>(())
/// ```
#[inline(always)]
pub unsafe fn switch(save: *mut Context, to: Context, word: usize) -> usize {
    // SAFETY: the contract is the backend's.
    unsafe { backend::switch(save, to, word) }
}

/// Whether [`switch_with`] and [`leave_with`] can be used: whether the switch is one that is written by hand, no sanitizer or valgrind
/// watches it, and on x86_64 the kernel lets programs set the base of `fs` (bit 1 of `AT_HWCAP2`, Linux 5.9).
///
/// ```
/// if !abaca_asm::can_switch_with() {
///     println!("computations share the thread's storage here");
/// }
/// ```
pub fn can_switch_with() -> bool {
    own_storage::IS_BUILT && (!cfg!(target_arch = "x86_64") || crate::os::may_set_fs_base())
}

/// [`switch`] to a computation that has thread-local storage of its own: also makes `thread_pointer` the processor's thread
/// pointer (the base of `fs`, `tpidr_el0`, `tp`).
///
/// The caller's own thread pointer is not saved: whoever continues the caller must know it, and uses this function as well.
///
/// ```
/// use abaca_asm::{Context, Exit, can_switch_with, prepare, stack::StackPool, switch_with, thread_pointer};
///
/// unsafe extern "C" fn double(word: usize, caller: *mut ()) -> Exit {
///     // SAFETY: the caller is suspended, and its context is there.
///     Exit { to: unsafe { caller.cast::<Context>().read() }, word: 2 * word }
/// }
///
/// if can_switch_with() {
///     let pool = StackPool::new(64 * 1024);
///     let stack = pool.take()?;
///     let mut caller = Context::dangling();
///     let caller = &raw mut caller;
///     // SAFETY: the stack is fresh, the context is continued once, and both sides have this thread's thread pointer.
///     let answer = unsafe {
///         let to = prepare(stack.top(), double, caller.cast());
///         switch_with(caller, to, 21, thread_pointer())
///     };
///     assert_eq!(answer, 42);
///     pool.give(stack);
/// }
/// # Ok::<(), abaca_asm::stack::StackError>(())
/// ```
///
/// # Panics
///
/// If the build is one in which [`can_switch_with`] is false.
///
/// # Safety
///
/// As for [`switch`], and:
///
/// * `thread_pointer` is that of `to`: of the thread or block with which it was suspended, or in which it begins. No other
///   thread runs with it.
/// * [`can_switch_with`] is true.
#[inline(always)]
pub unsafe fn switch_with(save: *mut Context, to: Context, word: usize, thread_pointer: *mut ()) -> usize {
    // SAFETY: the contract is the backend's.
    unsafe { own_storage::switch_with(save, to, word, thread_pointer) }
}

/// The calling thread's thread pointer, or that of the block with which the caller runs.
///
/// The compiler takes the thread pointer for constant within a function, so it must not be kept over a switch to another
/// computation.
///
/// # Panics
///
/// If the build is one in which [`can_switch_with`] is false.
#[inline(always)]
pub fn thread_pointer() -> *mut () {
    own_storage::thread_pointer()
}

/// Continues `to` with its thread pointer, as [`switch_with`] does, and never returns: the caller has ended.
///
/// # Panics
///
/// If the build is one in which [`can_switch_with`] is false.
///
/// # Safety
///
/// As for [`switch_with`]. Nothing on the caller's stack is dropped.
#[inline(always)]
pub unsafe fn leave_with(to: Context, word: usize, thread_pointer: *mut ()) -> ! {
    // SAFETY: the contract is the backend's.
    unsafe { own_storage::leave_with(to, word, thread_pointer) }
}

/// Makes a context on a fresh stack: the first switch to it calls `entry(word, argument)` there.
///
/// See [`switch`] for an example. When `entry` returns, its [`Exit`](crate::Exit) names the context to continue. A
/// backtrace taken on the stack ends at the frame below `entry`.
///
/// # Safety
///
/// * `top` is a multiple of 16, and below it lies a stack that nothing else uses, big enough for what `entry`
///   does, until `entry` has returned or the context is abandoned.
/// * `entry` is safe to call with `argument` and with the word of the first switch.
/// * `entry` does not unwind.
pub unsafe fn prepare(top: *mut u8, entry: Entry, argument: *mut ()) -> Context {
    #[cfg(abaca_valgrind)]
    crate::valgrind::allow_writing_below(top, LEAST_BYTES);
    // SAFETY: the contract is the backend's.
    unsafe { backend::prepare(top, entry, argument) }
}
