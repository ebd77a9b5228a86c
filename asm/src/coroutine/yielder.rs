//! The inside of a coroutine: how its body starts, suspends and ends.
//!
//! The two sides communicate through a [`Call`], which lies in the frame of the resumer. The resumer puts the
//! input there and passes its address as the word of the switch. The lowest bit of the word is set if there is no
//! input but the order to unwind. The coroutine answers with a word that says which field it has filled in.
#![expect(unsafe_code, reason = "reaches into the resumer's frame, and its own body is read from raw memory")]

use core::cell::Cell;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::{self, NonNull};
use std::boxed::Box;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

use super::panics::{LEFT_ALONE, Taken};
use crate::context::{Context, Exit};
use crate::switching::switch;

/// One resumption, in the frame of the resumer. The yielder, which does not know the type of the result,
/// sees only this part.
///
/// The alignment leaves the lowest bit of its address free.
#[repr(C, align(8))]
pub(super) struct Call<Input, Yield> {
    /// Filled in by the resumer unless it orders to unwind. Read once, by the coroutine, as the first thing
    /// it does.
    pub(super) input: MaybeUninit<Input>,
    /// Filled in by a coroutine that suspends: when it answers with [`SUSPENDED`].
    pub(super) yielded: MaybeUninit<Yield>,
}

/// A [`Call`] with the place for the result.
#[repr(C)]
pub(super) struct FullCall<Input, Yield, Return> {
    /// The first field: a pointer to the whole is a pointer to it.
    pub(super) call: Call<Input, Yield>,
    /// Filled in by a coroutine that ends: when it answers with [`ENDED`]. `Ok(None)` if it was dropped
    /// before it began.
    pub(super) returned: MaybeUninit<thread::Result<Option<Return>>>,
}

impl<Input, Yield, Return> FullCall<Input, Yield, Return> {
    #[inline]
    pub(super) fn new(input: MaybeUninit<Input>) -> Self {
        let call = Call { input, yielded: MaybeUninit::uninit() };
        Self { call, returned: MaybeUninit::uninit() }
    }
}

/// Set in the word of a resumption that has no input but the order to unwind.
pub(super) const UNWIND: usize = 1;

/// The coroutine's answer when it suspends.
pub(super) const SUSPENDED: usize = 0;

/// The coroutine's answer when it has ended.
pub(super) const ENDED: usize = 1;

/// The payload that unwinds a suspended coroutine which is dropped.
pub(super) struct Unwound;

/// The inner end of a coroutine, with which it suspends. Its body is called with a reference to one.
///
/// The reference can be passed on to any depth of calls:
///
/// ```
/// # use abaca_asm as abaca;
/// use abaca::coroutine::{Coroutine, Yielder};
///
/// fn countdown(yielder: &Yielder<(), u32>, from: u32) {
///     if from > 0 {
///         yielder.suspend(from);
///         countdown(yielder, from - 1);
///     }
/// }
///
/// let mut coroutine = Coroutine::new(|yielder, ()| countdown(yielder, 2));
/// assert_eq!(coroutine.resume(()).into_yield(), Some(2));
/// assert_eq!(coroutine.resume(()).into_yield(), Some(1));
/// assert_eq!(coroutine.resume(()).into_yield(), None);
/// ```
pub struct Yielder<Input, Yield> {
    /// Where the coroutine goes on, while it is suspended.
    pub(super) context: Cell<Context>,
    /// Where the resumer goes on, while the coroutine runs.
    pub(super) resumer: NonNull<Context>,
    /// The number of panics that were under way on the thread when the coroutine was resumed, or [`LEFT_ALONE`]. It is 0 while
    /// the coroutine is suspended.
    pub(super) standing: Cell<usize>,
    /// Whether the coroutine is suspended with panics of its own, which were taken off the thread.
    pub(super) is_unwinding: Cell<bool>,
    /// The current resumption; valid while the coroutine runs.
    call: Cell<*mut Call<Input, Yield>>,
}

impl<Input, Yield> Yielder<Input, Yield> {
    /// Suspends the coroutine: the current [`resume`](super::Coroutine::resume) returns `value`, and this
    /// call returns the input of the next one.
    ///
    /// If the coroutine is dropped instead of resumed, this call unwinds.
    #[inline]
    pub fn suspend(&self, value: Yield) -> Input {
        if thread::panicking() {
            return self.suspend_unwinding(value);
        }
        self.switch_to_resumer(value)
    }

    /// Suspends a coroutine that may be unwinding, and takes its panics off the thread meanwhile.
    #[cold]
    #[inline(never)]
    fn suspend_unwinding(&self, value: Yield) -> Input {
        match self.standing.get() {
            LEFT_ALONE => self.switch_to_resumer(value),
            standing => {
                self.standing.set(0);
                let taken = Taken::all_but(standing);
                self.is_unwinding.set(taken.is_some());
                let input = self.switch_to_resumer(value);
                self.is_unwinding.set(false);
                input
            }
        }
    }

    #[inline]
    fn switch_to_resumer(&self, value: Yield) -> Input {
        // SAFETY: a body can call this only while its coroutine runs, since the yielder is lent to it for
        // that time and stays on its thread: so the call is valid, the resumer suspended, and `context` is
        // free. The word that the switch returns comes from the next resumer.
        unsafe {
            (*self.call.get()).yielded.write(value);
            let resumer = self.resumer.read();
            let word = switch(self.context.as_ptr(), resumer, SUSPENDED);
            match self.answer(word) {
                Some(input) => input,
                None => unwind(),
            }
        }
    }

    /// Begins a resumption and takes its input. There is none if the coroutine must unwind.
    ///
    /// # Safety
    ///
    /// `word` is the exposed address of the call of a resumer that is suspended, with [`UNWIND`] set if it
    /// has no input.
    #[inline]
    unsafe fn answer(&self, word: usize) -> Option<Input> {
        let call = ptr::with_exposed_provenance_mut::<Call<Input, Yield>>(word & !UNWIND);
        self.call.set(call);
        if word & UNWIND != 0 {
            return None;
        }
        // SAFETY: the caller's promise; this is the one place that reads the input.
        Some(unsafe { (*call).input.assume_init_read() })
    }
}

impl<Input, Yield> core::fmt::Debug for Yielder<Input, Yield> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Yielder").finish_non_exhaustive()
    }
}

/// Unwinds the coroutine up to `run`, without calling the panic hook.
#[cold]
fn unwind() -> ! {
    panic::resume_unwind(Box::new(Unwound))
}

/// The record at the top of a coroutine's stack, above its initial frame.
#[repr(C)]
pub(super) struct Start<Input, Yield, Body> {
    pub(super) yielder: Yielder<Input, Yield>,
    /// Read once, by `run`.
    body: ManuallyDrop<Body>,
}

impl<Input, Yield, Body> Start<Input, Yield, Body> {
    pub(super) fn new(context: Context, resumer: NonNull<Context>, body: Body) -> Self {
        let yielder = Yielder {
            context: Cell::new(context),
            resumer,
            standing: Cell::new(0),
            is_unwinding: Cell::new(false),
            call: Cell::new(ptr::null_mut()),
        };
        Self { yielder, body: ManuallyDrop::new(body) }
    }
}

/// The entry function of a coroutine's stack.
///
/// # Safety
///
/// `start` points to a `Start` of these types whose body was not read, and `word` is the exposed address of
/// a `FullCall` of these types, in the frame of a resumer that is suspended, with [`UNWIND`] set if it has
/// no input. The same holds for the word of each later switch to the coroutine.
pub(super) unsafe extern "C" fn run<Input, Yield, Return, Body>(word: usize, start: *mut ()) -> Exit
where
    Body: FnOnce(&Yielder<Input, Yield>, Input) -> Return,
{
    let start = start.cast::<Start<Input, Yield, Body>>();
    // SAFETY: the contract of this function. The body is read here and nowhere else.
    let (yielder, body) = unsafe { (&(*start).yielder, ManuallyDrop::take(&mut (*start).body)) };
    // SAFETY: the contract of this function.
    let input = unsafe { yielder.answer(word) };
    let returned = panic::catch_unwind(AssertUnwindSafe(|| match input {
        Some(input) => Some(body(yielder, input)),
        // Dropped before it was first resumed. There is nothing to unwind, which may not even be possible.
        None => {
            drop(body);
            None
        }
    }));
    // SAFETY: the coroutine was resumed by a call which is not over, and every call is part of a `FullCall`.
    unsafe {
        let call = yielder.call.get().cast::<FullCall<Input, Yield, Return>>();
        (*call).returned.write(returned);
        Exit { to: yielder.resumer.read(), word: ENDED }
    }
}
